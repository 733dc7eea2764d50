"""Teams may choose what the platform uses by itself, and what it lists."""

from aichat_workspace.domain.policy import choices
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec


def _platform(**spec: object) -> PlatformSpec:
    return PlatformSpec.model_validate(spec)


def test_without_settings_any_storage_class_may_be_named_and_nothing_else() -> None:
    assert choices.storage_classes(PlatformSpec()) == ("*",)
    assert choices.ingress_classes(PlatformSpec()) == choices.issuers(PlatformSpec()) == ()


def test_what_the_platform_uses_comes_first_and_once() -> None:
    platform = _platform(
        storageClassName="fast",
        ingress={"className": "nginx", "issuer": {"name": "ca"}},
        allowed={
            "storageClasses": ["slow", "fast"],
            "ingressClasses": ["traefik"],
            "issuers": ["ca"],
        },
    )
    assert choices.storage_classes(platform) == ("fast", "slow")
    assert choices.ingress_classes(platform) == ("nginx", "traefik")
    assert choices.issuers(platform) == ("ca",)


def test_an_issuer_of_a_workspaces_own_namespace_is_no_cluster_issuer() -> None:
    platform = _platform(ingress={"issuer": {"name": "ca", "kind": "Issuer"}})
    assert choices.issuers(platform) == ()
