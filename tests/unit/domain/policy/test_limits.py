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


def first_violation(workspace_spec: WorkspaceSpec, settings: PlatformSpec) -> Problem | None:
    return next(limits.violations(workspace_spec, settings), None)


def test_values_that_a_workspace_leaves_out_are_the_platforms() -> None:
    larger = spec(resources={"ollama": {"memoryLimit": "6Gi"}})
    share = effective_spec.ollama_share(larger, platform(ollama={"cpuLimit": "3"}))
    assert (share.memory_limit, share.cpu_limit, share.storage) == ("6Gi", "3", "20Gi")


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"memoryLimit": "512Mi"}, ("512Mi", "512Mi")),
        ({"memoryRequest": "16Gi"}, ("16Gi", "16Gi")),
        ({"memoryRequest": "2Gi", "memoryLimit": "3Gi"}, ("2Gi", "3Gi")),
    ],
)
def test_a_bound_that_is_left_out_follows_the_one_that_is_set(
    bounds: dict[str, str], expected: tuple[str, str]
) -> None:
    share = effective_spec.ollama_share(spec(resources={"ollama": bounds}), platform())
    assert (share.memory_request, share.memory_limit) == expected


def test_the_default_quota_has_room_for_one_pod_of_each_workload() -> None:
    assert effective_spec.quota(spec(), platform())["cpu"] == Fraction(6)
    assert effective_spec.quota(spec(quota={"cpu": "5"}), platform())["cpu"] == Fraction(5)


@pytest.mark.parametrize(
    ("tls", "by_platform"),
    [({"issuer": {"name": "ours"}}, {}), (None, {"ingress": {"issuer": {"name": "theirs"}}})],
)
def test_where_an_issuer_proves_the_host_the_quota_has_room_for_its_pod(
    tls: dict[str, Any] | None, by_platform: dict[str, Any]
) -> None:
    secured = spec(ingress={"tls": tls} if tls else {})
    quota = effective_spec.quota(secured, platform(**by_platform))
    assert quota["cpu"] == Fraction("6.1")
    assert quota["memory"] == (10 * 1024 + 64) * 2**20
    assert quota["storage"] == 22 * 2**30


def test_a_certificate_of_a_secret_needs_no_pod() -> None:
    secured = spec(ingress={"tls": {"secretName": "certificate"}})
    issuing = platform(ingress={"issuer": {"name": "theirs"}})
    assert effective_spec.quota(secured, issuing)["cpu"] == Fraction(6)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"resources": {"ollama": {"cpuLimit": "63"}}}, "spec.quota.cpu"),
        ({"quota": {"memory": "1Ti"}}, "spec.quota.memory"),
        ({"storage": {"ollama": {"size": "2Ti"}}}, "spec.quota.storage"),
        ({"resources": {"ollama": {"gpu": {"count": 9}}}}, "spec.resources.ollama.gpu.count"),
    ],
)
def test_a_spec_above_the_ceiling_is_refused_with_its_field(
    fields: dict[str, Any], field: str
) -> None:
    violation = first_violation(spec(**fields), platform())
    assert violation is not None
    assert violation.reason == "CeilingExceeded"
    assert field in violation.message


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
    violation = first_violation(spec(ingress={"host": host}), settings)
    assert (violation is None) is allowed


@pytest.mark.parametrize(
    ("name", "host"),
    [("team-a", "api.example.org"), ("api", None), ("api", "api.example.org")],
)
def test_a_reserved_host_is_refused_by_choice_and_by_name(name: str, host: str | None) -> None:
    settings = platform(ingress={"domain": "example.org", "reservedHosts": ["api.example.org"]})
    reserved = spec(workspaceName=name, ingress={"host": host} if host else {})
    violation = first_violation(reserved, settings)
    assert violation is not None
    assert violation.reason == "HostNotAllowed"
    assert "spec.ingress.host" in violation.message


def test_a_workspace_whose_name_reserves_its_host_may_choose_another() -> None:
    settings = platform(ingress={"domain": "example.org", "reservedHosts": ["api.example.org"]})
    elsewhere = spec(workspaceName="api", ingress={"host": "our.chat.example.org"})
    assert first_violation(elsewhere, settings) is None


def test_a_model_of_a_registry_that_is_not_allowed_is_refused() -> None:
    settings = platform(
        models={"allowedRegistries": ["models.example.org:5000", "registry.ollama.ai"]}
    )
    assert first_violation(spec(models=["gemma2:2b"]), settings) is None
    assert first_violation(spec(models=["models.example.org:5000/a/b:1"]), settings) is None
    violation = first_violation(spec(models=["evil.test/a/b:1"]), settings)
    assert violation is not None
    assert violation.reason == "RegistryNotAllowed"
    assert "spec.models" in violation.message


def test_a_chosen_embedding_model_is_checked_and_the_platforms_is_not() -> None:
    private = platform(models={"allowedRegistries": ["models.example.org:5000"]})
    assert first_violation(spec(models=["models.example.org:5000/a/b:1"]), private) is None
    assert first_violation(spec(embeddingModel="none"), private) is None
    violation = first_violation(spec(embeddingModel="all-minilm"), private)
    assert violation is not None
    assert "spec.embeddingModel" in violation.message
    assert "spec.models" not in violation.message


def test_the_embedding_model_is_the_platforms_a_chosen_one_or_none() -> None:
    assert effective_spec.embedding_model(spec(), platform()) == "nomic-embed-text:latest"
    assert effective_spec.embedding_model(spec(embeddingModel="all-minilm"), platform()) == (
        "all-minilm:latest"
    )
    assert effective_spec.embedding_model(spec(embeddingModel="none"), platform()) is None
    off = platform(models={"embeddingModel": "none"})
    assert effective_spec.embedding_model(spec(), off) is None


@pytest.mark.parametrize(
    ("quota", "message"),
    [
        ({"cpu": "5"}, "spec.quota.cpu is 5, and the two workloads need 6"),
        ({"memory": "9Gi"}, "spec.quota.memory is 9Gi, and the two workloads need 10Gi"),
        ({"storage": "21Gi"}, "spec.quota.storage is 21Gi, and the two workloads need 22Gi"),
    ],
)
def test_a_quota_without_room_for_both_workloads_is_refused_with_its_field(
    quota: dict[str, str], message: str
) -> None:
    violation = first_violation(spec(quota=quota), platform())
    assert violation is not None
    assert violation.reason == "QuotaTooSmall"
    assert message in violation.message


def test_a_quota_with_just_room_for_both_workloads_is_enough() -> None:
    smallest = spec(quota={"cpu": "6", "memory": "10Gi", "storage": "22Gi"})
    assert first_violation(smallest, platform()) is None


def test_a_quota_without_room_for_the_certificates_solver_is_refused() -> None:
    """Else the certificate would never come, or end in some months."""
    issuing = platform(ingress={"issuer": {"name": "ours"}})
    violation = first_violation(spec(quota={"cpu": "6"}), issuing)
    assert violation is not None
    assert violation.reason == "QuotaTooSmall"
    assert "the two workloads and the certificate's solver need 6100m" in violation.message
    assert first_violation(spec(quota={"cpu": "6100m"}), issuing) is None


def test_a_ceiling_of_exactly_what_the_workloads_need_is_enough() -> None:
    ceiling = {"cpu": "6", "memory": "10Gi", "storage": "22Gi"}
    assert first_violation(spec(), platform(ceiling=ceiling)) is None


def test_the_permitted_spec_has_no_model_of_another_registry() -> None:
    settings = platform(models={"allowedRegistries": ["models.example.org"]})
    mixed = spec(models=["models.example.org/a/b:1", "evil.test/a/b:1"])
    permitted = effective_spec.permitted(mixed, settings)
    assert permitted.models == ("models.example.org/a/b:1",)
    assert effective_spec.embedding_model(permitted, settings) == (
        effective_spec.embedding_model(mixed, settings)
    )
    foreign = effective_spec.permitted(spec(embeddingModel="evil.test/a/b:1"), settings)
    assert effective_spec.embedding_model(foreign, settings) is None
    assert effective_spec.permitted(mixed, platform()) == mixed


GPU = {"resources": {"ollama": {"gpu": {"count": 8, "resourceName": "devices.kubevirt.io/kvm"}}}}
EVERYTHING = {"scheduling": {"tolerations": [{"operator": "Exists"}]}}
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@pytest.mark.parametrize(
    ("fields", "reason", "field", "value", "setting"),
    [
        (
            {"scheduling": {"nodeSelector": {CONTROL_PLANE: ""}}},
            "SchedulingNotAllowed",
            "spec.scheduling.nodeSelector",
            CONTROL_PLANE,
            "nodeSelectorKeys",
        ),
        (
            EVERYTHING,
            "SchedulingNotAllowed",
            "spec.scheduling.tolerations[0]",
            "every taint",
            "tolerationKeys",
        ),
        (
            {"scheduling": {"tolerations": [{"key": CONTROL_PLANE, "operator": "Exists"}]}},
            "SchedulingNotAllowed",
            "spec.scheduling.tolerations[0]",
            CONTROL_PLANE,
            "tolerationKeys",
        ),
        (
            GPU,
            "GpuNotAllowed",
            "spec.resources.ollama.gpu.resourceName",
            "devices.kubevirt.io/kvm",
            "gpuResources",
        ),
        (
            {"ingress": {"className": "public"}},
            "IngressClassNotAllowed",
            "spec.ingress.className",
            "public",
            "ingressClasses",
        ),
        (
            {"ingress": {"tls": {"issuer": {"name": "corp-root-ca"}}}},
            "IssuerNotAllowed",
            "spec.ingress.tls.issuer.name",
            "corp-root-ca",
            "issuers",
        ),
    ],
)
def test_a_choice_that_the_platform_does_not_allow_is_refused_by_name_until_it_is_listed(
    fields: dict[str, Any], reason: str, field: str, value: str, setting: str
) -> None:
    violation = first_violation(spec(**fields), platform())
    assert violation is not None
    assert (violation.reason, violation.field) == (reason, field)
    assert violation.message.startswith(field)
    assert value in violation.message
    assert f"spec.allowed.{setting} of the AIChatPlatform" in violation.message
    listed = "*" if value == "every taint" else value
    assert first_violation(spec(**fields), platform(allowed={setting: [listed]})) is None


def test_a_storage_class_may_be_chosen_until_the_platform_lists_those_that_may() -> None:
    fast = spec(storage={"ollama": {"storageClassName": "premium-io2"}})
    assert first_violation(fast, platform()) is None
    limited = platform(storageClassName="standard", allowed={"storageClasses": ["bulk"]})
    violation = first_violation(fast, limited)
    assert violation is not None
    assert violation.reason == "StorageClassNotAllowed"
    assert "the platform allows standard, bulk;" in violation.message


def test_what_the_platform_uses_by_itself_may_be_named() -> None:
    settings = platform(
        storageClassName="standard",
        ingress={"className": "internal", "issuer": {"name": "corp"}},
        allowed={"storageClasses": []},
    )
    same = spec(
        storage={"openWebUI": {"storageClassName": "standard"}},
        ingress={"className": "internal", "tls": {"issuer": {"name": "corp"}}},
    )
    assert first_violation(same, settings) is None


def test_an_issuer_in_the_workspaces_own_namespace_is_allowed() -> None:
    own = {"tls": {"issuer": {"name": "any", "kind": "Issuer"}}}
    assert first_violation(spec(ingress=own), platform()) is None


def test_a_prefix_allows_its_names_and_no_longer_ones() -> None:
    settings = platform(allowed={"nodeSelectorKeys": ["example.org/*"]})
    allowed = spec(scheduling={"nodeSelector": {"example.org/pool": "a"}})
    assert first_violation(allowed, settings) is None
    for key in ("a.example.org/pool", "example.org", "pool"):
        longer = spec(scheduling={"nodeSelector": {key: "a"}})
        assert first_violation(longer, settings) is not None


def test_a_port_of_a_registry_is_open_only_where_the_platform_names_the_registry() -> None:
    """The network policies would open it to every address outside."""
    model = "models.example.org:22/a/b:1"
    violation = first_violation(spec(models=["gemma2:2b", model]), platform())
    assert violation is not None
    assert (violation.reason, violation.field) == ("RegistryNotAllowed", "spec.models[1]")
    assert "only port 443" in violation.message
    assert "spec.models.allowedRegistries" in violation.message
    for named in ("allowedRegistries", "insecureRegistries"):
        settings = platform(models={named: ["models.example.org:22"]})
        assert first_violation(spec(models=[model]), settings) is None
    assert effective_spec.permitted(spec(models=[model]), platform()).models == ()
    https = spec(models=["models.example.org:443/a/b:1"])
    assert first_violation(https, platform()) is None
