"""The live view of a workspace that comes up."""

from aichat_workspace.cli.render import bring_up
from aichat_workspace.cli.render.bring_up import BringUp
from aichat_workspace.cli.render.lines import text_of
from tests.unit.cli.world import PULLING_STATUS, READY_STATUS, STALLED_STATUS, condition

NEW = {"name": "red-chat", "generation": 1, "status": {}}
PULLING = {**NEW, "status": PULLING_STATUS}
READY = {**NEW, "status": READY_STATUS}


def shown(progress: BringUp, now: float, width: int = 120) -> list[str]:
    return [text_of(spans) for spans in bring_up.live_lines(progress, now, width)]


def test_steps_have_their_seconds_from_the_moment_when_each_was_done() -> None:
    started = {**NEW, "status": {"conditions": [condition("Provisioned")]}}
    progress = bring_up.begin(NEW, 100).observe(started, 100.4).observe(PULLING, 103.1)
    lines = shown(progress, 110)
    assert lines[:3] == [
        "  ✓ namespace, quota, walls         0.4 s",
        "  ✓ model server                    3.1 s",
        "  ✓ chat                            3.1 s",
    ]
    assert lines[3] == (
        "  ◐ llama3.3:70b                 ━━━━━━━━━───────────────  41 %  16.1 GiB of 39.6 GiB"
        "  67.7 MiB/s  about 6 min"
    )


def test_a_narrow_view_has_no_bar_and_is_cut() -> None:
    lines = shown(bring_up.begin(PULLING, 0), 1, 60)
    assert "━" not in lines[3]
    assert max(map(len, lines)) <= 60


def test_what_has_not_begun_waits() -> None:
    assert shown(bring_up.begin(NEW, 0), 2)[0] == "  · namespace, quota, walls         2.0 s"


def test_a_problem_is_shown_below() -> None:
    lines = shown(bring_up.begin({**NEW, "status": STALLED_STATUS}, 0), 1)
    assert lines[-1] == "  ▲ the models' volume is full"


def test_a_step_that_is_undone_is_not_done() -> None:
    progress = bring_up.begin(READY, 0).observe(NEW, 5)
    assert progress.done_at == {}


def test_plain_lines_say_only_what_is_new() -> None:
    first = bring_up.begin(NEW, 0)
    second = first.observe(PULLING, 3)
    third = second.observe(READY, 400)
    assert [*bring_up.plain_lines(first, None, 0)] == ["    0.0 s  Waiting"]
    texts = [*bring_up.plain_lines(second, first, 3)]
    assert sorted(texts[:3]) == [
        "    3.0 s  chat: done",
        "    3.0 s  model server: done",
        "    3.0 s  namespace, quota, walls: done",
    ]
    assert texts[3] == "    3.0 s  Downloading"
    assert texts[4].startswith("    3.0 s  llama3.3:70b 41 %, about 6 min")
    assert [*bring_up.plain_lines(second, second, 4)] == []
    assert [*bring_up.plain_lines(third, second, 400)] == [
        "  400.0 s  gemma2:2b: done",
        "  400.0 s  Ready",
    ]


def test_a_status_of_an_older_generation_says_nothing_of_this_one() -> None:
    newer = {**READY, "generation": 2}
    assert not bring_up.is_ready(newer)
    assert not bring_up.is_true(newer, "Provisioned")
    assert bring_up.problem_of({**newer, "status": STALLED_STATUS}) == ""
