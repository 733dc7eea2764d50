"""A namespace whose resource is gone: told, stopped after a grace, never deleted."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.decide import decide
from aichat_workspace.domain.decision.decisions import Decision, Orphan, Provision, Reject
from aichat_workspace.domain.decision.snapshot import NewSecrets, Snapshot
from aichat_workspace.domain.decision.steps import AnnounceOrphan, ClaimNamespace
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.planning.actions import Delete, Scale
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.secret_copies import recorded_copies, with_record
from aichat_workspace.domain.render import render, tenant_namespace
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from tests.unit.domain.samples import CREDENTIALS, NOW, as_cached, namespace, workspace

OBJECTS = as_cached(render(workspace(), PlatformSpec(), CREDENTIALS))
SUCCESSOR = workspace(metadata={"uid": "uid-b"})
DAY = timedelta(days=1).total_seconds()


def orphan(**marks: str) -> Manifest:
    """The sample workspace's namespace, with more annotations."""
    annotations = {**tenant_namespace(workspace())["metadata"]["annotations"], **marks}
    return namespace(annotations=annotations)


def orphaned_for(**time: float) -> Manifest:
    since = NOW - timedelta(**time)
    return orphan(**{names.ORPHANED_ANNOTATION: f"{since.isoformat()} uid-a"})


def decided(namespace: Manifest, *claimants: Workspace, **facts: Any) -> tuple[Decision, ...]:
    return decide(
        Snapshot(
            claimants,
            facts.pop("platform", PlatformSpec()),
            NewSecrets("key", "password"),
            Observed(namespace=namespace, objects=OBJECTS),
            **facts,
        ),
        NOW,
    )


def the_orphan(decisions: Sequence[Decision]) -> Orphan:
    (decision,) = (decision for decision in decisions if isinstance(decision, Orphan))
    return decision


def steps_of(decision: Orphan) -> list[str]:
    return [type(step).__name__ for step in decision.steps]


@pytest.mark.parametrize(
    "since",
    ["", "long ago", "2020-01-01T00:00:00 uid-a", "2020-01-01T00:00:00+00:00 its-former-owner"],
)
def test_it_is_confirmed_dated_and_told_with_the_ways_on(since: str) -> None:
    decision = the_orphan(decided(orphan(**{names.ORPHANED_ANNOTATION: since})))
    assert steps_of(decision) == ["ConfirmResourceGone", "ClaimNamespace", "AnnounceOrphan"]
    assert decision.stops_in_seconds == DAY
    _, claim, event = decision.steps
    assert isinstance(claim, ClaimNamespace)
    marks = claim.manifest["metadata"]["annotations"]
    assert marks[names.ORPHANED_ANNOTATION] == f"{NOW.isoformat()} uid-a"
    assert marks[names.OWNER_UID_ANNOTATION] == "uid-a", "whose it was stays"
    assert isinstance(event, AnnounceOrphan)
    assert event.reason == "Orphaned"
    assert "it is stopped at 2026-11-24T12:00:00+00:00, with all data kept" in event.note


def test_it_runs_on_until_the_grace_is_over() -> None:
    decision = the_orphan(decided(orphaned_for(hours=23)))
    assert (decision.steps, decision.stops_in_seconds) == ((), 3600)


def test_then_it_is_stopped_and_retained_and_nothing_is_deleted_but_its_way_in() -> None:
    decision = the_orphan(decided(orphaned_for(hours=24)))
    stopped = {step.ref.kind for step in decision.steps if isinstance(step, Scale)}
    removed = {step.ref.kind for step in decision.steps if isinstance(step, Delete)}
    assert (stopped, removed) == ({"StatefulSet", "Deployment"}, {"Ingress"})
    assert decision.stops_in_seconds is None
    (claim,) = (step for step in decision.steps if isinstance(step, ClaimNamespace))
    marks = claim.manifest["metadata"]["annotations"]
    assert names.RETAINED_ANNOTATION in marks
    assert names.ORPHANED_ANNOTATION not in marks
    assert steps_of(decision)[0] == "ConfirmResourceGone"


@pytest.mark.parametrize("left_alone", [orphan(), orphaned_for(hours=24)])
def test_the_copies_of_secrets_stay_on_record_for_its_next_owner(left_alone: Manifest) -> None:
    recorded = with_record(left_alone, frozenset({"team-a-aichat-openwebui-tls-0123456789"}))
    decision = the_orphan(decided(recorded))
    (claim,) = (step for step in decision.steps if isinstance(step, ClaimNamespace))
    assert recorded_copies(claim.manifest) == recorded_copies(recorded)
    assert recorded_copies(recorded)


@pytest.mark.parametrize("left_alone", [orphan(), orphaned_for(hours=24)])
def test_who_pays_for_it_goes_on_to_be_told(left_alone: Manifest) -> None:
    metadata = left_alone["metadata"]
    labels = {**metadata["labels"], names.COST_CENTRE_LABEL: "CC-1"}
    decision = the_orphan(decided({**left_alone, "metadata": {**metadata, "labels": labels}}))
    (claim,) = (step for step in decision.steps if isinstance(step, ClaimNamespace))
    assert claim.manifest["metadata"]["labels"][names.COST_CENTRE_LABEL] == "CC-1"


def test_once_it_is_retained_there_is_nothing_more_to_do() -> None:
    assert decided(orphan(**{names.RETAINED_ANNOTATION: "true"})) == ()


def test_the_platform_sets_the_grace() -> None:
    platform = PlatformSpec.model_validate({"deletion": {"orphanGraceHours": 1}})
    decision = the_orphan(decided(orphaned_for(hours=2), platform=platform))
    assert decision.stops_in_seconds is None


def test_it_is_not_stopped_while_the_grace_is_not_understood() -> None:
    unknown = {"deletion": "deletion: no"}
    decision = the_orphan(decided(orphaned_for(hours=99), unknown_settings=unknown))
    assert (decision.steps, decision.stops_in_seconds) == ((), 60)


def test_a_successor_that_does_not_have_it_is_told_how_and_the_grace_goes_on() -> None:
    first, second = decided(orphan(), SUCCESSOR)
    assert isinstance(first, Orphan)
    assert isinstance(second, Reject)
    assert f"{names.ADOPT_ANNOTATION}=uid-b" in second.rejection.message


def test_a_successor_that_was_given_it_takes_it_over_with_its_data() -> None:
    (decision,) = decided(orphan(**{names.ADOPT_ANNOTATION: "uid-b"}), SUCCESSOR)
    assert isinstance(decision, Provision)
    (claim,) = (step for step in decision.steps if isinstance(step, ClaimNamespace))
    assert claim.uid == "ns-1"
    assert claim.manifest["metadata"]["annotations"][names.OWNER_UID_ANNOTATION] == "uid-b"
    kinds = {action.ref.kind for action in decision.actions if isinstance(action, Delete)}
    assert "PersistentVolumeClaim" not in kinds


def test_a_namespace_whose_resource_is_there_is_no_orphan() -> None:
    decisions = decided(orphan(), workspace(), SUCCESSOR)
    assert not [decision for decision in decisions if isinstance(decision, Orphan)]
