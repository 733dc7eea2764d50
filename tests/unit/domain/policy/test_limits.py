from fractions import Fraction
from typing import Any

import pytest

from aichat_workspace.domain.policy import effective_spec, limits
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec


def spec(**fields: Any) -> WorkspaceSpec:
    return WorkspaceSpec.model_validate({"workspaceName": "team-a", **fields})


def platform(**fields: Any) -> PlatformSpec:
    return PlatformSpec.model_validate(fields)


def first_violation(asked: WorkspaceSpec, settings: PlatformSpec) -> Problem | None:
    return next(limits.violations(asked, settings), None)


def test_what_the_workspace_leaves_out_is_the_platforms() -> None:
    asked = spec(resources={"ollama": {"memoryLimit": "6Gi"}})
    share = effective_spec.ollama_share(asked, platform(ollama={"cpuLimit": "3"}))
    assert (share.memory_limit, share.cpu_limit, share.storage) == ("6Gi", "3", "20Gi")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"memoryLimit": "512Mi"}, ("512Mi", "512Mi")),
        ({"memoryRequest": "16Gi"}, ("16Gi", "16Gi")),
        ({"memoryRequest": "2Gi", "memoryLimit": "3Gi"}, ("2Gi", "3Gi")),
    ],
)
def test_where_only_one_bound_is_chosen_the_other_follows(
    chosen: dict[str, str], expected: tuple[str, str]
) -> None:
    share = effective_spec.ollama_share(spec(resources={"ollama": chosen}), platform())
    assert (share.memory_request, share.memory_limit) == expected


def test_the_quota_has_room_for_a_roll_out_unless_it_is_chosen() -> None:
    assert effective_spec.quota(spec(), platform())["cpu"] == Fraction(12)
    assert effective_spec.quota(spec(quota={"cpu": "5"}), platform())["cpu"] == Fraction(5)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"resources": {"ollama": {"cpuLimit": "40"}}}, "spec.quota.cpu"),
        ({"quota": {"memory": "1Ti"}}, "spec.quota.memory"),
        ({"storage": {"ollama": {"size": "2Ti"}}}, "spec.quota.storage"),
        ({"resources": {"ollama": {"gpu": {"count": 9}}}}, "spec.resources.ollama.gpu.count"),
    ],
)
def test_more_than_the_ceiling_names_the_field(fields: dict[str, Any], field: str) -> None:
    found = first_violation(spec(**fields), platform())
    assert found is not None
    assert found.reason == "CeilingExceeded"
    assert field in found.message


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("our.chat.localtest.me", True),
        ("team-a.localtest.me", True),
        ("chat.localtest.me", False),
        ("a.b.example.org", True),
        ("localtest.me", False),
        ("x.y", False),
    ],
)
def test_a_host_is_under_an_allowed_domain(host: str, allowed: bool) -> None:
    settings = platform(ingress={"allowedDomains": ["example.org"]})
    found = first_violation(spec(ingress={"host": host}), settings)
    assert (found is None) is allowed


@pytest.mark.parametrize(
    ("name", "host"),
    [("team-a", "api.example.org"), ("api", None), ("api", "api.example.org")],
)
def test_no_workspace_has_a_reserved_host_by_choice_or_by_its_name(
    name: str, host: str | None
) -> None:
    settings = platform(ingress={"domain": "example.org", "reservedHosts": ["api.example.org"]})
    asked = spec(workspaceName=name, ingress={"host": host} if host else {})
    found = first_violation(asked, settings)
    assert found is not None
    assert found.reason == "HostNotAllowed"
    assert "spec.ingress.host" in found.message


def test_a_workspace_whose_name_reserves_its_host_may_choose_another() -> None:
    settings = platform(ingress={"domain": "example.org", "reservedHosts": ["api.example.org"]})
    asked = spec(workspaceName="api", ingress={"host": "our.chat.example.org"})
    assert first_violation(asked, settings) is None


def test_a_model_comes_from_an_allowed_registry() -> None:
    settings = platform(
        models={"allowedRegistries": ["models.example.org:5000", "registry.ollama.ai"]}
    )
    assert first_violation(spec(models=["gemma2:2b"]), settings) is None
    assert first_violation(spec(models=["models.example.org:5000/a/b:1"]), settings) is None
    found = first_violation(spec(models=["evil.test/a/b:1"]), settings)
    assert found is not None
    assert found.reason == "RegistryNotAllowed"
    assert "spec.models" in found.message


def test_the_platforms_own_embedding_model_needs_no_leave_and_a_chosen_one_does() -> None:
    private = platform(models={"allowedRegistries": ["models.example.org:5000"]})
    assert first_violation(spec(models=["models.example.org:5000/a/b:1"]), private) is None
    assert first_violation(spec(embeddingModel="none"), private) is None
    found = first_violation(spec(embeddingModel="all-minilm"), private)
    assert found is not None
    assert "spec.embeddingModel" in found.message
    assert "spec.models" not in found.message


def test_the_embedding_model_can_be_chosen_and_left_out() -> None:
    assert effective_spec.embedding_model(spec(), platform()) == "nomic-embed-text:latest"
    assert effective_spec.embedding_model(spec(embeddingModel="all-minilm"), platform()) == (
        "all-minilm:latest"
    )
    assert effective_spec.embedding_model(spec(embeddingModel="none"), platform()) is None
    off = platform(models={"embeddingModel": "none"})
    assert effective_spec.embedding_model(spec(), off) is None


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        ({"cpu": "5"}, "spec.quota.cpu is 5, and the two workloads need 6"),
        ({"memory": "9Gi"}, "spec.quota.memory is 9Gi, and the two workloads need 10Gi"),
        ({"storage": "21Gi"}, "spec.quota.storage is 21Gi, and the two workloads need 22Gi"),
    ],
)
def test_a_quota_without_room_for_both_workloads_names_the_field(
    quota: dict[str, str], said: str
) -> None:
    found = first_violation(spec(quota=quota), platform())
    assert found is not None
    assert found.reason == "QuotaTooSmall"
    assert said in found.message


def test_a_quota_with_just_room_for_both_workloads_is_enough() -> None:
    asked = spec(quota={"cpu": "6", "memory": "10Gi", "storage": "22Gi"})
    assert first_violation(asked, platform()) is None


def test_what_is_permitted_has_no_model_of_another_registry() -> None:
    settings = platform(models={"allowedRegistries": ["models.example.org"]})
    asked = spec(models=["models.example.org/a/b:1", "evil.test/a/b:1"])
    assert effective_spec.permitted(asked, settings).models == ("models.example.org/a/b:1",)
    own = effective_spec.embedding_model(asked, settings)
    assert (
        effective_spec.embedding_model(effective_spec.permitted(asked, settings), settings) == own
    )
    foreign = spec(embeddingModel="evil.test/a/b:1")
    assert (
        effective_spec.embedding_model(effective_spec.permitted(foreign, settings), settings)
        is None
    )
    assert effective_spec.permitted(asked, platform()) == asked
