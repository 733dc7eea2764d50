import time
from collections.abc import Iterable

import pytest
from pydantic import ValidationError

from aichat_workspace.domain.planning.rollout import (
    GRANTED,
    Place,
    Refusal,
    Rollout,
    RolloutBoard,
    RolloutSlot,
    Stage,
)
from aichat_workspace.domain.v1alpha1.platform_spec import Upgrades


def place(name: str, *, healthy: bool = True, order: int = 0, salt: str = "") -> Place:
    return Place(name, healthy, order or ord(name[0]), salt)


def board_of(**stages: Stage) -> RolloutBoard:
    """A board on which turns go by name."""
    board = RolloutBoard()
    for name, stage in stages.items():
        board.put(name, Rollout(place(name), stage))
    return board


def granted(board: RolloutBoard, candidates: Iterable[str], **upgrades: object) -> list[str]:
    limits = Upgrades.model_validate(upgrades)
    return [name for name in candidates if board.slot(place(name), limits).granted]


def put(board: RolloutBoard, name: str, stage: Stage, *, healthy: bool = True) -> None:
    board.put(name, Rollout(place(name, healthy=healthy), stage))


def test_a_limited_number_changes_at_a_time_in_order() -> None:
    board = board_of(c=Stage.WAITING, a=Stage.WAITING, b=Stage.WAITING)
    assert board.waiting == ["a", "b", "c"]
    assert granted(board, "abc", concurrent=2) == ["a", "b"]


def test_a_changing_workspace_takes_a_slot_and_one_that_is_done_frees_it() -> None:
    board = board_of(a=Stage.CHANGING, b=Stage.WAITING, c=Stage.WAITING)
    assert granted(board, "bc", concurrent=2) == ["b"]
    put(board, "a", Stage.DONE)
    assert granted(board, "bc", concurrent=2) == ["b", "c"]


def test_a_workspace_that_is_not_on_the_board_waits_too() -> None:
    limits = Upgrades(concurrent=1)
    board = board_of(a=Stage.WAITING, c=Stage.WAITING)
    assert board.slot(place("b"), limits) == RolloutSlot(Refusal.WAITING)
    assert board_of(c=Stage.WAITING).slot(place("b"), limits) == GRANTED


def test_who_waits_is_told_for_whom() -> None:
    board = board_of(a=Stage.CHANGING, b=Stage.CHANGING, c=Stage.WAITING)
    slot = board.slot(place("c"), Upgrades(concurrent=2))
    assert slot == RolloutSlot(Refusal.WAITING, ("a", "b"))


@pytest.mark.parametrize("stage", [Stage.STUCK, Stage.FAILED])
def test_a_turn_that_did_not_succeed_holds_no_slot(stage: Stage) -> None:
    """Two that get no node held up all others, for ever and in silence."""
    board = board_of(a=stage, b=stage, c=Stage.WAITING)
    assert granted(board, "c", concurrent=2, maxFailures=2) == ["c"]


def test_one_tenants_failure_stops_no_rollout_and_the_second_does() -> None:
    board = board_of(a=Stage.FAILED, b=Stage.WAITING)
    assert granted(board, "b") == ["b"]
    put(board, "c", Stage.FAILED)
    assert board.slot(place("b"), Upgrades()) == RolloutSlot(Refusal.STOPPED, ("a", "c"))
    put(board, "a", Stage.DONE)
    assert granted(board, "b") == ["b"], "it goes on by itself"


@pytest.mark.parametrize(
    ("max_failures", "ended", "tolerated"),
    [
        (0, 9, 0),
        (3, 9, 3),
        ("4", 9, 4),
        ("10%", 1, 1),
        ("10%", 30, 3),
        ("10%", 31, 4),
        ("0%", 9, 0),
    ],
)
def test_failures_are_tolerated_by_number_or_by_share(
    max_failures: object, ended: int, tolerated: int
) -> None:
    upgrades = Upgrades.model_validate({"maxFailures": max_failures})
    assert upgrades.tolerated_failures(ended) == tolerated


@pytest.mark.parametrize("text", ["-1", "101%", "half", "1.5", True])
def test_another_number_of_failures_is_no_setting(text: object) -> None:
    with pytest.raises(ValidationError):
        Upgrades.model_validate({"maxFailures": text})


def test_a_share_is_of_those_that_changed_in_this_rollout() -> None:
    board = board_of(**{f"w{number}": Stage.CHANGING for number in range(20)}, z=Stage.WAITING)
    for number in range(18):
        put(board, f"w{number}", Stage.DONE)
    for number in (18, 19):
        put(board, f"w{number}", Stage.FAILED)
    assert granted(board, "z", maxFailures="10%") == ["z"]
    assert granted(board, "z", maxFailures="5%") == []
    put(board, "z", Stage.DONE)
    assert board.changed == 0, "it is over, and the next one begins to count"


def test_unhealthy_workspaces_come_last_and_a_label_orders_the_others() -> None:
    board = RolloutBoard()
    for candidate in (
        place("a", healthy=False, order=1),
        place("b", order=100),
        place("c", order=7),
        place("d", order=1000),
    ):
        board.put(candidate.name, Rollout(candidate, Stage.WAITING))
    assert board.waiting == ["c", "b", "d", "a"]


def test_no_workspace_is_always_the_first() -> None:
    firsts = {
        min((place(name, order=1, salt=f"change {n}") for name in "abcdef"), key=lambda p: p.key)
        for n in range(50)
    }
    assert {first.name for first in firsts} == {*"abcdef"}


def test_no_turn_begins_before_all_were_looked_at() -> None:
    """Otherwise the one that is looked at first would be the first, whatever its label says."""
    board, limits = RolloutBoard(), Upgrades(concurrent=1)
    board.begin(["a", "b", "c"])
    for name in "cb":
        board.see(name)
        assert not board.slot(place(name), limits).granted
        put(board, name, Stage.WAITING)
        assert board.take_offers(limits) == []
    board.see("a")
    put(board, "a", Stage.DONE)
    assert board.take_offers(limits) == ["b"]


def test_only_those_that_get_a_slot_are_offered_one_and_only_once() -> None:
    limits = Upgrades(concurrent=2)
    board = board_of(a=Stage.CHANGING, b=Stage.CHANGING, c=Stage.WAITING, d=Stage.WAITING)
    assert board.take_offers(limits) == []
    board.put("b", None)
    assert board.take_offers(limits) == ["c"]
    board.put("x", None)
    put(board, "y", Stage.FAILED)
    assert board.take_offers(limits) == [], "a deletion and a failure elsewhere concern no other"
    put(board, "c", Stage.CHANGING)
    assert board.take_offers(limits) == []
    put(board, "a", Stage.DONE)
    assert board.take_offers(limits) == ["d"]


def test_a_rollout_can_be_paused_and_resumed() -> None:
    limits, board = Upgrades(), board_of(a=Stage.WAITING)
    assert board.slot(place("a"), limits, is_paused=True) == RolloutSlot(Refusal.PAUSED)
    assert board.take_offers(limits, is_paused=True) == []
    assert board.take_offers(limits) == ["a"]


def test_what_is_counted_has_a_number_for_each_stage() -> None:
    board = board_of(a=Stage.WAITING, b=Stage.STUCK)
    assert board.counts() == {
        "waiting": 1,
        "changing": 0,
        "failed": 0,
        "stuck": 1,
        "skipped": 0,
        "done": 0,
    }
    assert (board.stage("a"), board.stage("x")) == (Stage.WAITING, None)


def test_a_decision_costs_the_same_at_5000_workspaces() -> None:
    board, limits = RolloutBoard(), Upgrades()
    for number in range(5_000):
        name = f"w{number:05}"
        board.put(name, Rollout(Place(name), Stage.WAITING))
    begun = time.perf_counter()
    for number in range(200):
        name = f"w{number:05}"
        board.slot(Place(name), limits)
        board.put(name, Rollout(Place(name), Stage.CHANGING))
        board.take_offers(limits)
        board.put(name, Rollout(Place(name), Stage.DONE))
    assert (time.perf_counter() - begun) / 200 < 0.001
