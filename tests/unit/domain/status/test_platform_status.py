from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.platform_status import (
    Enforcement,
    PlatformInputs,
    Standing,
    compute_platform_status,
    false_conditions,
    other_namespaces,
    standing,
)
from aichat_workspace.domain.v1alpha1.platform_settings import settings_in_force
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.platform_status import (
    PlatformCondition,
    PlatformConditionType,
    PlatformStatus,
    WorkspaceCounts,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DEFAULT_CLASS = {"storageclass.kubernetes.io/is-default-class": "true"}


def manifest(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}}


INPUTS = PlatformInputs(
    generation=3,
    settings=PlatformSpec(),
    storage_classes=(manifest("standard", annotations=DEFAULT_CLASS),),
    ingress_classes=(manifest("internal"),),
    namespaces=frozenset({"kube-system"}),
)


def settings(**fields: Any) -> PlatformSpec:
    return PlatformSpec.model_validate(fields)


def conditions(inputs: PlatformInputs) -> dict[PlatformConditionType, PlatformCondition]:
    status = compute_platform_status(PlatformStatus(), inputs, NOW)
    return {condition.type: condition for condition in status.conditions}


def test_settings_in_force_are_accepted_and_resolved() -> None:
    counts = WorkspaceCounts(total=3, following=2, waiting=1)
    status = compute_platform_status(PlatformStatus(), replace(INPUTS, counts=counts), NOW)
    assert status.observed_generation == 3
    assert status.workspaces == counts
    assert [(condition.type, condition.status) for condition in status.conditions] == [
        ("Accepted", "True"),
        ("ReferencesResolved", "True"),
        ("PeopleAdmitted", "True"),
        ("NetworkPoliciesEnforced", "Unknown"),
    ]


def test_a_field_that_is_not_understood_says_whether_its_earlier_value_holds() -> None:
    def platform(pulls: int) -> Manifest:
        return {"metadata": {}, "spec": {"models": {"concurrentPulls": pulls}}}

    present, earlier = platform(-1), settings_in_force(platform(3), None, None)
    for last, effect in (
        (earlier, "the earlier values stay in force; correct it"),
        (None, "no earlier value of models is known, so what depends on it is left as it is"),
    ):
        settings = settings_in_force(present, None, last)
        assert settings
        refused = replace(INPUTS, settings=settings.spec, refusal=settings.refusal)
        accepted = conditions(refused)[PlatformConditionType.ACCEPTED]
        assert (accepted.status, accepted.reason) == ("False", "SettingsNotUnderstood")
        assert "spec.models.concurrentPulls" in accepted.message
        assert effect in accepted.message


@pytest.mark.parametrize(
    ("fields", "reason", "part"),
    [
        ({"storageClassName": "fast"}, "StorageClassNotFound", "'fast', and the cluster has stand"),
        ({"ingress": {"className": "public"}}, "IngressClassNotFound", "has internal"),
        (
            {"ingress": {"gateway": {"name": "front", "namespace": "edge"}}},
            "GatewayNotFound",
            "edge/front",
        ),
        ({"ingress": {"issuer": {"name": "corp"}}}, "IssuerNotFound", "'corp'"),
    ],
)
def test_what_the_settings_name_and_is_not_there_is_named(
    fields: dict[str, Any], reason: str, part: str
) -> None:
    unresolved = replace(INPUTS, settings=settings(**fields))
    condition = conditions(unresolved)[PlatformConditionType.REFERENCES_RESOLVED]
    assert (condition.status, condition.reason) == ("False", reason)
    assert part in condition.message
    resolved = replace(
        unresolved,
        storage_classes=(*INPUTS.storage_classes, manifest("fast")),
        ingress_classes=(*INPUTS.ingress_classes, manifest("public")),
        gateways=(manifest("front", namespace="edge"),),
        issuers=(manifest("corp"),),
    )
    assert conditions(resolved)[PlatformConditionType.REFERENCES_RESOLVED].status == "True"


def test_a_cluster_without_a_default_class_needs_a_named_one() -> None:
    """F14: the storage class is missing."""
    bare = replace(INPUTS, storage_classes=(manifest("standard"),))
    condition = conditions(bare)[PlatformConditionType.REFERENCES_RESOLVED]
    assert condition.reason == "StorageClassNotFound"
    assert "no default StorageClass" in condition.message


def test_an_issuer_of_each_workspace_is_not_looked_for() -> None:
    own = replace(INPUTS, settings=settings(ingress={"issuer": {"name": "a", "kind": "Issuer"}}))
    assert conditions(own)[PlatformConditionType.REFERENCES_RESOLVED].status == "True"


def test_a_missing_secret_of_the_settings_is_the_first_thing_to_mend() -> None:
    missing = Problem(Reason.PULL_SECRET_NOT_FOUND, "Secret 'registry' is not there")
    unresolved = replace(INPUTS, storage_classes=(), missing=(missing,))
    condition = conditions(unresolved)[PlatformConditionType.REFERENCES_RESOLVED]
    assert (condition.reason, condition.message) == (missing.reason, missing.message)


def test_a_new_leader_keeps_what_the_one_before_saw_until_its_own_first_result() -> None:
    enforced = replace(INPUTS, enforcement=Enforcement.ENFORCED)
    before = compute_platform_status(PlatformStatus(), enforced, NOW)
    later = NOW + timedelta(hours=1)
    assert compute_platform_status(before, INPUTS, later) == before
    unchecked = replace(INPUTS, enforcement=Enforcement.UNCHECKED)
    (condition,) = (
        condition
        for condition in compute_platform_status(before, unchecked, later).conditions
        if condition.type is PlatformConditionType.NETWORK_POLICIES_ENFORCED
    )
    assert (condition.status, condition.last_transition_time) == ("Unknown", later)


def test_a_tenants_namespace_is_no_ingress_controllers() -> None:
    tenant = manifest("istio-system", annotations={names.OWNER_UID_ANNOTATION: "uid-a"})
    assert other_namespaces([tenant, manifest("edge")]) == {"edge"}


@pytest.mark.parametrize(
    ("ingress", "status", "part"),
    [
        ({"controllerNamespaces": ["edge"]}, "False", "none of the namespaces edge is there"),
        ({"controllerNamespaces": ["edge", "kube-system"]}, "True", "the pods of kube-system"),
        (
            {
                "controllerNamespaces": ["edge"],
                "gateway": {"name": "front", "namespace": "kube-system"},
            },
            "True",
            "the pods of kube-system",
        ),
        (
            {"controllerNamespaces": ["edge"], "sourceRanges": ["192.0.2.0/24"]},
            "True",
            "let in 192.0.2.0/24",
        ),
        ({"controllerNamespaces": ["edge"], "anySource": True}, "True", "everybody"),
    ],
)
def test_it_is_told_when_nobody_can_come_in(
    ingress: dict[str, Any], status: str, part: str
) -> None:
    admitted = conditions(replace(INPUTS, settings=settings(ingress=ingress)))[
        PlatformConditionType.PEOPLE_ADMITTED
    ]
    assert admitted.status == status
    assert part in admitted.message


@pytest.mark.parametrize(
    ("enforcement", "status", "reason"),
    [
        (Enforcement.ENFORCED, "True", "NetworkPoliciesEnforced"),
        (Enforcement.NOT_ENFORCED, "False", "NetworkPoliciesNotEnforced"),
        (Enforcement.UNCHECKED, "Unknown", "NetworkPoliciesUnchecked"),
    ],
)
def test_it_is_told_whether_the_cluster_holds_network_policies(
    enforcement: Enforcement, status: str, reason: str
) -> None:
    condition = conditions(replace(INPUTS, enforcement=enforcement))[
        PlatformConditionType.NETWORK_POLICIES_ENFORCED
    ]
    assert (condition.status, condition.reason) == (status, reason)


def test_an_unchanged_status_is_equal_and_a_moved_condition_is_dated_anew() -> None:
    status = compute_platform_status(PlatformStatus(), INPUTS, NOW)
    later = NOW + timedelta(minutes=1)
    assert compute_platform_status(status, INPUTS, later) == status
    moved = compute_platform_status(status, replace(INPUTS, storage_classes=()), later)
    assert [condition.last_transition_time for condition in moved.conditions] == [
        NOW,
        later,
        NOW,
        NOW,
    ]


def resource(phase: str | None = None, up_to_date: str = "True", **metadata: Any) -> dict[str, Any]:
    conditions = [{"type": "UpToDate", "status": up_to_date}]
    status = {"status": {"phase": phase, "conditions": conditions}} if phase else {}
    return {"metadata": {"name": "a", **metadata}, **status}


@pytest.mark.parametrize(
    ("workspace", "expected"),
    [
        (resource("Ready"), Standing.FOLLOWING),
        (resource("Suspended"), Standing.FOLLOWING),
        (resource("Ready", up_to_date="False"), Standing.WAITING),
        (resource("Provisioning"), Standing.WAITING),
        (resource(), Standing.WAITING),
        (resource("Degraded"), Standing.FAILING),
        (resource("Degraded", deletionTimestamp="2026-11-23T12:00:00Z"), None),
    ],
)
def test_a_workspace_follows_waits_or_fails(
    workspace: dict[str, Any], expected: Standing | None
) -> None:
    assert standing(workspace) is expected


def test_only_conditions_that_are_false_are_counted() -> None:
    conditions = [
        {"type": "Accepted", "status": "True"},
        {"type": "PeopleAdmitted", "status": "False"},
        {"type": "NetworkPoliciesEnforced", "status": "Unknown"},
    ]
    assert false_conditions({"status": {"conditions": conditions}}) == {"PeopleAdmitted"}
    assert false_conditions({}) == false_conditions(None) == frozenset()
