from collections.abc import Iterable, Sequence

from aichat_workspace.domain.planning.image_rollout import (
    GRANTED,
    ImagePair,
    Rollout,
    RolloutBoard,
    RolloutSlot,
)

OLD: ImagePair = ("ollama:1", "webui:1")
NEW: ImagePair = ("ollama:2", "webui:2")


def rollout_of(
    name: str,
    running: ImagePair | None,
    last_working: ImagePair | None = OLD,
    *,
    failing: bool = False,
    rejected: bool = False,
    healthy: bool = True,
) -> Rollout:
    return Rollout(name, running, last_working, NEW, failing, rejected, healthy)


def slot(rollout: Rollout, others: Iterable[Rollout], concurrent: int) -> RolloutSlot:
    board = RolloutBoard()
    for other in others:
        board.put(other.name, other)
    return board.slot(rollout, concurrent)


def slot_of(name: str, rollouts: Sequence[Rollout], concurrent: int) -> RolloutSlot:
    (rollout,) = (rollout for rollout in rollouts if rollout.name == name)
    return slot(rollout, rollouts, concurrent)


def test_a_new_or_unchanged_workspace_does_not_wait() -> None:
    rollouts = [rollout_of("a", NEW), rollout_of("b", None, None), rollout_of("c", OLD)]
    assert slot_of("b", rollouts, 1) == GRANTED
    assert slot_of("a", rollouts, 1) == GRANTED


def test_a_limited_number_changes_at_a_time_in_the_order_of_names() -> None:
    rollouts = [rollout_of("c", OLD), rollout_of("a", OLD), rollout_of("b", OLD)]
    assert [slot_of(name, rollouts, 2).granted for name in "abc"] == [True, True, False]


def test_a_changing_workspace_takes_a_slot() -> None:
    rollouts = [rollout_of("a", NEW), rollout_of("b", OLD), rollout_of("c", OLD)]
    assert [slot_of(name, rollouts, 2).granted for name in "bc"] == [True, False]


def test_a_changed_workspace_frees_its_slot() -> None:
    rollouts = [rollout_of("a", NEW, NEW), rollout_of("b", OLD), rollout_of("c", OLD)]
    assert [slot_of(name, rollouts, 1).granted for name in "bc"] == [True, False]


def test_no_rollout_starts_while_a_changed_workspace_fails() -> None:
    rollouts = [rollout_of("a", NEW, failing=True), rollout_of("b", OLD)]
    assert slot_of("b", rollouts, 4) == RolloutSlot(granted=False, blocked_by="a")


def test_a_workspace_that_failed_before_comes_last() -> None:
    rollouts = [
        rollout_of("a", OLD, failing=True, healthy=False),
        rollout_of("b", OLD),
        rollout_of("c", OLD),
    ]
    assert [slot_of(name, rollouts, 2).granted for name in "abc"] == [False, True, True]
    assert slot_of("a", [rollouts[0], rollout_of("b", NEW, NEW)], 2).granted


def test_a_rejected_rollout_stops_the_others_and_goes_on_itself() -> None:
    rollouts = [
        rollout_of("a", OLD, rejected=True),
        rollout_of("b", (NEW[0], OLD[1]), rejected=True),
        rollout_of("c", OLD),
    ]
    assert slot_of("c", rollouts, 9) == RolloutSlot(granted=False, blocked_by="a")
    assert slot_of("a", rollouts, 1) == slot_of("b", rollouts, 1) == GRANTED
    assert (
        slot_of("c", [rollout_of("a", NEW, NEW, rejected=True), rollout_of("c", OLD)], 1) == GRANTED
    )


def test_a_workspace_missing_on_the_board_waits_too() -> None:
    candidate = rollout_of("b", OLD)
    assert slot(candidate, [rollout_of("a", NEW, failing=True)], 4) == RolloutSlot(
        granted=False, blocked_by="a"
    )
    assert slot(candidate, [rollout_of("a", NEW)], 1) == RolloutSlot(granted=False)
    assert slot(candidate, [rollout_of("a", OLD), rollout_of("c", OLD)], 1) == RolloutSlot(
        granted=False
    )
    assert slot(candidate, [rollout_of("c", OLD)], 1) == GRANTED


def test_a_failure_of_another_cause_stops_no_rollout() -> None:
    long_there = rollout_of("a", NEW, NEW, failing=True)
    not_yet = rollout_of("b", OLD, failing=True)
    assert slot_of("c", [long_there, not_yet, rollout_of("c", OLD)], 4) == GRANTED
