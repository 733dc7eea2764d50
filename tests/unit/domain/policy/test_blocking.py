from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.kinds import JOB_KINDS, WORKLOAD_KINDS
from aichat_workspace.domain.kubernetes.manifest import ref
from aichat_workspace.domain.policy import blocking
from aichat_workspace.domain.policy.blocking import (
    blocked_kinds,
    blocks_host,
    blocks_models,
    is_certain,
    kinds_of_settings,
    spec_problem,
)
from aichat_workspace.domain.policy.size_classes import with_size_class
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render import render
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.samples import CREDENTIALS, desired, workspace


def problem(reason: Reason) -> Problem:
    return Problem(reason, "")


def test_without_a_problem_nothing_is_blocked() -> None:
    assert blocked_kinds([]) == frozenset()
    assert not blocks_models([])


def test_two_problems_block_the_kinds_of_both() -> None:
    blocked = blocked_kinds([problem(Reason.HOST_TAKEN), problem(Reason.SECRET_TAKEN)])
    assert blocked == {*WORKLOAD_KINDS, *JOB_KINDS, "Ingress", "HTTPRoute", "Secret"}


def test_what_blocks_secrets_blocks_the_pods_that_name_them() -> None:
    causes: dict[str, frozenset[str]] = {
        **{reason: blocked_kinds([problem(reason)]) for reason in blocking._BLOCKED_KINDS},
        **{name: kinds_of_settings([name]) for name in blocking._KINDS_OF_SETTINGS},
    }
    for cause, kinds in causes.items():
        assert "Secret" not in kinds or kinds >= WORKLOAD_KINDS | JOB_KINDS, cause


def test_network_policies_accounts_and_services_are_never_blocked() -> None:
    for reason in (
        Reason.CEILING_EXCEEDED,
        Reason.SECRET_NOT_FOUND,
        Reason.SPEC_NOT_UNDERSTOOD,
        Reason.HOST_NOT_ALLOWED,
    ):
        assert not {"NetworkPolicy", "ServiceAccount", "Service"} & blocked_kinds([problem(reason)])


def test_a_choice_that_is_not_allowed_blocks_only_what_it_is_written_into() -> None:
    routes, workloads = {"Ingress", "HTTPRoute"}, {"StatefulSet", "Deployment"}
    assert blocked_kinds([problem(Reason.SCHEDULING_NOT_ALLOWED)]) == workloads
    assert blocked_kinds([problem(Reason.GPU_NOT_ALLOWED)]) == {*workloads, "ResourceQuota"}
    assert blocked_kinds([problem(Reason.STORAGE_CLASS_NOT_ALLOWED)]) == {"PersistentVolumeClaim"}
    assert blocked_kinds([problem(Reason.INGRESS_CLASS_NOT_ALLOWED)]) == routes
    # The chat's own address depends on whether it has a certificate.
    assert blocked_kinds([problem(Reason.ISSUER_NOT_ALLOWED)]) == {
        *routes,
        "Deployment",
        "ResourceQuota",
    }


def test_models_are_blocked_by_a_registry_that_is_not_allowed() -> None:
    assert blocks_models([problem(Reason.HOST_TAKEN), problem(Reason.REGISTRY_NOT_ALLOWED)])
    assert not blocks_models([problem(Reason.CEILING_EXCEEDED)])


def test_a_host_is_blocked_when_it_is_not_allowed_or_taken() -> None:
    for reason in (Reason.HOST_NOT_ALLOWED, Reason.HOST_TAKEN):
        assert blocks_host([problem(Reason.CEILING_EXCEEDED), problem(reason)])
    assert not blocks_host([problem(Reason.CEILING_EXCEEDED)])


def test_the_problem_of_a_spec_that_is_not_understood_names_the_field() -> None:
    spec_error = spec_problem(workspace(scheduling={"nodeSelector": {"not a key": "x"}}))
    assert spec_error.reason == Reason.SPEC_NOT_UNDERSTOOD
    assert "spec.scheduling.nodeSelector.not a key" in spec_error.message


SMALL: dict[str, Any] = {
    "name": "small",
    "resources": {
        "ollama": {"memoryLimit": "3Gi", "gpu": {"count": 1}},
        "openWebUI": {"memoryLimit": "3Gi"},
    },
    "storage": {"ollama": {"size": "31Gi", "storageClassName": "fast"}},
    "models": ["phi3:mini"],
}
SETTINGS: dict[str, Any] = {
    "ollama": {"memoryLimit": "3Gi", "storage": "31Gi"},
    "openWebUI": {"memoryLimit": "3Gi", "storage": "31Gi"},
    "storageClassName": "fast",
    "network": {"egressExcept": ["10.0.0.0/8"]},
    "ceiling": {"cpu": "1"},
    "sizeClasses": [SMALL],
    "pods": {"runAs": "Cluster", "runtimeClass": {"name": "kata", "cpuOverhead": "1"}},
    "namespaceMetadata": {"labels": {"example.org/tier": "b"}},
    "upgrades": {"concurrent": 7},
    "images": {"mirror": "mirror.example.org"},
    "ingress": {"domain": "ai.example.org"},
    "models": {"embeddingModel": "none"},
    "proxy": {"url": "http://10.1.2.3:3128"},
    "trustedAuthorities": {"configMapName": "corp"},
    "imagePullSecretNames": ["registry"],
}


@pytest.mark.parametrize("name", PlatformSpec.model_fields)
def test_a_setting_that_is_not_understood_blocks_each_kind_that_shows_it(name: str) -> None:
    alias = PlatformSpec.model_fields[name].alias or name
    changed = PlatformSpec.model_validate({alias: SETTINGS.get(alias, {})})
    before, after = (
        {ref(manifest): manifest for manifest in rendered}
        for rendered in (desired(), desired(changed))
    )
    kinds = {
        reference.kind
        for reference in before | after
        if before.get(reference) != after.get(reference)
    }
    if alias == "images":
        assert kinds == {"StatefulSet", "Deployment"}, "whose present images are kept"
    else:
        assert kinds <= kinds_of_settings([alias])


def test_an_unknown_size_class_blocks_each_kind_that_a_class_shows_in() -> None:
    platform = PlatformSpec.model_validate({"sizeClasses": [SMALL]})
    sized = with_size_class(workspace(className="small", models=[]), platform)
    unsized = workspace(className="small", models=[])
    rendered = [render(shape, platform, CREDENTIALS) for shape in (unsized, sized)]
    kinds = {before["kind"] for before, after in zip(*rendered, strict=True) if before != after}
    assert kinds == {"ResourceQuota", "LimitRange", *WORKLOAD_KINDS, "PersistentVolumeClaim"}
    for reason in (Reason.SIZE_CLASS_NOT_FOUND, Reason.SIZE_CLASS_NOT_ALLOWED):
        assert kinds <= blocked_kinds([problem(reason)])
        assert blocks_models([problem(reason)])
        assert not is_certain(problem(reason), {"sizeClasses"})
    assert kinds <= kinds_of_settings(["sizeClasses"])


def test_a_setting_that_this_table_does_not_know_blocks_everything() -> None:
    assert kinds_of_settings(["invented"]) >= {"NetworkPolicy", "Deployment", "Service"}
    assert kinds_of_settings([]) == frozenset()


def test_while_it_is_unknown_what_teams_may_choose_every_kind_that_a_choice_shows_in_stays() -> (
    None
):
    reasons = (
        Reason.SCHEDULING_NOT_ALLOWED,
        Reason.GPU_NOT_ALLOWED,
        Reason.STORAGE_CLASS_NOT_ALLOWED,
        Reason.INGRESS_CLASS_NOT_ALLOWED,
        Reason.ISSUER_NOT_ALLOWED,
    )
    problems = [problem(reason) for reason in reasons]
    assert blocked_kinds(problems) <= kinds_of_settings(["allowed"])
    for uncertain in problems:
        assert not is_certain(uncertain, {"allowed"})
