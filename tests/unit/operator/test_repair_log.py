"""Who keeps changing an object is named, and who changes the spec is not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.planning.repairs import Repair
from aichat_workspace.operator.repair_log import Generations, RepairLog
from tests.unit.domain.samples import NOW

SERVICE = Ref("Service", "team-a", "web")
MANY = 5
ASKED = Generations(workspace=1, platform=1)


def noted(repairs: list[Repair], pause: timedelta = timedelta(seconds=10)) -> str:
    """Return what is reported after these repairs."""
    log = RepairLog()
    for number, repair in enumerate(repairs):
        log.note("team-a", ASKED, [repair], NOW + number * pause)
    problem = log.problem("team-a")
    return problem.message if problem else ""


@pytest.mark.parametrize(
    ("repair", "text"),
    [
        (
            Repair(SERVICE, "d", ("mesh", "kubectl"), ("spec.type", "spec.ports")),
            "(spec.type, spec.ports) is changed again and again by 'mesh' and 'kubectl'; ",
        ),
        (
            Repair(SERVICE, "d"),
            "Service team-a/web is changed again and again by somebody, perhaps a second operator",
        ),
        (Repair(SERVICE, "d", is_gone=True), "Service team-a/web is deleted again and again"),
        (Repair(SERVICE, "", is_extra=True), "none of the workspace, is made again and again by"),
    ],
)
def test_the_fifth_repair_names_what_is_changed_and_by_whom(repair: Repair, text: str) -> None:
    assert noted([repair] * (MANY - 1)) == ""
    assert text in noted([repair] * MANY)


def test_what_is_wanted_otherwise_each_time_is_no_fight() -> None:
    assert noted([Repair(SERVICE, f"d{number}") for number in range(2 * MANY)]) == ""


@pytest.mark.parametrize("spec", ["workspace", "platform"])
def test_what_another_spec_has_taken_away_and_brought_back_is_no_fight(spec: str) -> None:
    log = RepairLog()
    for generation in range(1, 2 * MANY):
        generations = replace(ASKED, **{spec: generation})
        assert not log.note("team-a", generations, [Repair(SERVICE, "d", is_gone=True)], NOW)
    assert log.problem("team-a") is None


def test_repairs_with_long_pauses_are_no_fight() -> None:
    assert noted([Repair(SERVICE, "d")] * (2 * MANY), timedelta(minutes=5)) == ""


def test_a_fight_is_over_after_five_minutes_without_a_repair() -> None:
    log = RepairLog()
    for _ in range(MANY):
        log.note("team-a", ASKED, [Repair(SERVICE, "d")], NOW)
    assert log.ends_in_seconds("team-a", NOW + timedelta(minutes=1)) == 240
    log.note("team-a", ASKED, [], NOW + timedelta(minutes=4))
    assert log.problem("team-a") is not None
    assert log.problem("team-b") is None
    log.note("team-a", ASKED, [], NOW + timedelta(minutes=5))
    assert log.problem("team-a") is None
    assert log.ends_in_seconds("team-a", NOW) is None
    assert not log._series, "nothing is left of it"


def test_a_workspace_that_is_not_repaired_any_more_is_forgotten() -> None:
    log = RepairLog()
    assert not log.note("team-a", ASKED, [Repair(SERVICE, "d")], NOW)
    assert log.note("team-a", ASKED, [Repair(SERVICE, "d")], NOW)
    log.note("team-b", ASKED, [], NOW + timedelta(minutes=5))
    assert not log._series
