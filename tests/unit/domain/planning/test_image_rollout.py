from collections.abc import Sequence

from aichat_workspace.domain.planning.image_rollout import Images, Rollout, RolloutSlot
from aichat_workspace.domain.planning.image_rollout import grant_slot as turn_of

OLD: Images = ("ollama:1", "webui:1")
NEW: Images = ("ollama:2", "webui:2")


def at(
    name: str,
    running: Images | None,
    last_working: Images | None = OLD,
    *,
    failing: bool = False,
    refused: bool = False,
    healthy: bool = True,
) -> Rollout:
    return Rollout(name, running, last_working, NEW, failing, refused, healthy)


def turn(name: str, rollouts: Sequence[Rollout], concurrent: int) -> RolloutSlot:
    (asks,) = (each for each in rollouts if each.name == name)
    return turn_of(asks, rollouts, concurrent)


def test_one_that_is_new_or_does_not_change_need_not_wait() -> None:
    all_ = [at("a", NEW), at("b", None, None), at("c", OLD)]
    assert turn("b", all_, 1) == RolloutSlot(now=True)
    assert turn("a", all_, 1) == RolloutSlot(now=True)


def test_so_many_change_at_the_same_time_in_the_order_of_their_names() -> None:
    all_ = [at("c", OLD), at("a", OLD), at("b", OLD)]
    assert [turn(name, all_, 2).now for name in "abc"] == [True, True, False]


def test_one_that_is_changing_takes_a_place() -> None:
    all_ = [at("a", NEW), at("b", OLD), at("c", OLD)]
    assert [turn(name, all_, 2).now for name in "bc"] == [True, False]


def test_one_that_has_changed_gives_its_place_to_the_next() -> None:
    all_ = [at("a", NEW, NEW), at("b", OLD), at("c", OLD)]
    assert [turn(name, all_, 1).now for name in "bc"] == [True, False]


def test_none_starts_while_one_that_changed_fails() -> None:
    all_ = [at("a", NEW, failing=True), at("b", OLD)]
    assert turn("b", all_, 4) == RolloutSlot(now=False, failed="a")


def test_one_that_was_broken_before_comes_last() -> None:
    all_ = [at("a", OLD, failing=True, healthy=False), at("b", OLD), at("c", OLD)]
    assert [turn(name, all_, 2).now for name in "abc"] == [False, True, True]
    assert turn("a", [all_[0], at("b", NEW, NEW)], 2).now


def test_one_that_the_api_server_refuses_stops_the_others_and_goes_on_itself() -> None:
    all_ = [at("a", OLD, refused=True), at("b", (NEW[0], OLD[1]), refused=True), at("c", OLD)]
    assert turn("c", all_, 9) == RolloutSlot(now=False, failed="a")
    assert turn("a", all_, 1) == turn("b", all_, 1) == RolloutSlot(now=True)
    assert turn("c", [at("a", NEW, NEW, refused=True), at("c", OLD)], 1) == RolloutSlot(now=True)


def test_one_that_the_others_do_not_know_of_waits_as_they_do() -> None:
    asks = at("b", OLD)
    assert turn_of(asks, [at("a", NEW, failing=True)], 4) == RolloutSlot(now=False, failed="a")
    assert turn_of(asks, [at("a", NEW)], 1) == RolloutSlot(now=False)
    assert turn_of(asks, [at("a", OLD), at("c", OLD)], 1) == RolloutSlot(now=False)
    assert turn_of(asks, [at("c", OLD)], 1) == RolloutSlot(now=True)


def test_one_that_fails_for_another_reason_stops_nobody() -> None:
    long_there = at("a", NEW, NEW, failing=True)
    not_yet = at("b", OLD, failing=True)
    assert turn("c", [long_there, not_yet, at("c", OLD)], 4) == RolloutSlot(now=True)
