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


def test_one_that_is_new_or_does_not_change_need_not_wait() -> None:
    rollouts = [rollout_of("a", NEW), rollout_of("b", None, None), rollout_of("c", OLD)]
    assert slot_of("b", rollouts, 1) == GRANTED
    assert slot_of("a", rollouts, 1) == GRANTED


def test_so_many_change_at_the_same_time_in_the_order_of_their_names() -> None:
    rollouts = [rollout_of("c", OLD), rollout_of("a", OLD), rollout_of("b", OLD)]
    assert [slot_of(name, rollouts, 2).granted for name in "abc"] == [True, True, False]


def test_one_that_is_changing_takes_a_place() -> None:
    rollouts = [rollout_of("a", NEW), rollout_of("b", OLD), rollout_of("c", OLD)]
    assert [slot_of(name, rollouts, 2).granted for name in "bc"] == [True, False]


def test_one_that_has_changed_gives_its_place_to_the_next() -> None:
    rollouts = [rollout_of("a", NEW, NEW), rollout_of("b", OLD), rollout_of("c", OLD)]
    assert [slot_of(name, rollouts, 1).granted for name in "bc"] == [True, False]


def test_none_starts_while_one_that_changed_fails() -> None:
    rollouts = [rollout_of("a", NEW, failing=True), rollout_of("b", OLD)]
    assert slot_of("b", rollouts, 4) == RolloutSlot(granted=False, blocked_by="a")


def test_one_that_was_broken_before_comes_last() -> None:
    rollouts = [
        rollout_of("a", OLD, failing=True, healthy=False),
        rollout_of("b", OLD),
        rollout_of("c", OLD),
    ]
    assert [slot_of(name, rollouts, 2).granted for name in "abc"] == [False, True, True]
    assert slot_of("a", [rollouts[0], rollout_of("b", NEW, NEW)], 2).granted


def test_one_that_the_api_server_refuses_stops_the_others_and_goes_on_itself() -> None:
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


def test_one_that_the_others_do_not_know_of_waits_as_they_do() -> None:
    candidate = rollout_of("b", OLD)
    assert slot(candidate, [rollout_of("a", NEW, failing=True)], 4) == RolloutSlot(
        granted=False, blocked_by="a"
    )
    assert slot(candidate, [rollout_of("a", NEW)], 1) == RolloutSlot(granted=False)
    assert slot(candidate, [rollout_of("a", OLD), rollout_of("c", OLD)], 1) == RolloutSlot(
        granted=False
    )
    assert slot(candidate, [rollout_of("c", OLD)], 1) == GRANTED


def test_one_that_fails_for_another_reason_stops_nobody() -> None:
    long_there = rollout_of("a", NEW, NEW, failing=True)
    not_yet = rollout_of("b", OLD, failing=True)
    assert slot_of("c", [long_there, not_yet, rollout_of("c", OLD)], 4) == GRANTED
