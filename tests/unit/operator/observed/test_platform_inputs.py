from typing import Any, cast

from aichat_workspace.domain import names
from aichat_workspace.domain.policy.platform_secrets import PULL_SECRET_KEY, PULL_SECRET_TYPE
from aichat_workspace.kube.client import Client
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.observed.platform_inputs import platform_inputs
from tests.unit.domain.samples import CERTIFICATE
from tests.unit.operator.observed.samples import platform

SPEC = {"imagePullSecretNames": ["registry"], "trustedAuthorities": {"configMapName": "corp"}}


def system_object(kind: str, name: str, version: int, **fields: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": names.SYSTEM_NAMESPACE,
        "uid": name,
        "resourceVersion": str(version),
    }
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


def pull_secret(version: int, text: str, name: str = "registry") -> dict[str, Any]:
    data = {PULL_SECRET_KEY: text}
    return system_object("Secret", name, version, type=PULL_SECRET_TYPE, data=data)


def bundle(version: int, text: str, name: str = "corp") -> dict[str, Any]:
    return system_object("ConfigMap", name, version, data={"ca.crt": text})


def test_a_change_of_what_the_settings_name_for_all_brings_all_back_and_no_other_does() -> None:
    enqueued: list[str] = []
    caches = Caches(cast("Client", None), enqueued.append)
    metadata = {"name": "a", "namespace": "t", "uid": "a", "resourceVersion": "1"}
    caches.workspaces.observe({"metadata": metadata, "spec": {"workspaceName": "a"}})
    caches.platform.observe({**platform(1, pulls=1), "spec": SPEC})
    present = caches.settings.platform
    assert present is not None
    missing = [problem.reason for problem in platform_inputs(caches, present).missing]
    assert missing == ["PullSecretNotFound", "AuthoritiesNotFound"]
    enqueued.clear()
    caches.secrets.observe(pull_secret(2, "eA==", "another"))
    caches.bundles.observe(bundle(3, CERTIFICATE, "another"))
    assert enqueued == []
    caches.platform_moved.clear()
    caches.secrets.observe(pull_secret(4, "eA=="))
    assert enqueued == ["a"]
    caches.bundles.observe(bundle(5, CERTIFICATE))
    assert enqueued == ["a", "a"]
    assert caches.platform_moved.is_set()
    assert platform_inputs(caches, present).missing == ()


def test_the_platforms_client_secret_is_kept_with_its_data_and_brings_all_back() -> None:
    enqueued: list[str] = []
    caches = Caches(cast("Client", None), enqueued.append)
    metadata = {"name": "a", "namespace": "t", "uid": "a", "resourceVersion": "1"}
    caches.workspaces.observe({"metadata": metadata, "spec": {"workspaceName": "a"}})
    provider = {"providerURL": "https://a.test/b", "clientID": "c", "secretName": "login"}
    caches.platform.observe({**platform(1, pulls=1), "spec": {"signIn": {"oidc": provider}}})
    present = caches.settings.platform
    assert present is not None
    missing = [problem.reason for problem in platform_inputs(caches, present).missing]
    assert missing == ["ClientSecretNotFound"]
    enqueued.clear()
    secret = system_object("Secret", "login", 2, data={"clientSecret": "eA=="})
    caches.secrets.observe(secret)
    assert [problem.reason for problem in platform_inputs(caches, present).missing] == missing
    mark = {"annotations": {names.SECRET_FOR_ANNOTATION: "*"}}
    marked = {**secret, "metadata": {**secret["metadata"], "resourceVersion": "3", **mark}}
    caches.secrets.observe(marked)
    assert platform_inputs(caches, present).missing == ()
    assert enqueued == ["a", "a"]


def test_of_namespaces_the_platforms_status_follows_those_that_may_come_in() -> None:
    """What it costs does not grow with tenants."""
    caches = Caches(cast("Client", None), lambda _: None)
    caches.platform.observe(platform(1, pulls=1))
    present = caches.settings.platform
    assert present is not None
    caches.platform_moved.clear()
    caches.namespaces.observe({"kind": "Namespace", "metadata": {"name": "a", **_version(2)}})
    assert not caches.platform_moved.is_set()
    metadata = {"name": "kube-system", **_version(3)}
    caches.namespaces.observe({"kind": "Namespace", "metadata": metadata})
    assert caches.platform_moved.is_set()
    assert platform_inputs(caches, present).namespaces == {"kube-system"}


def _version(number: int) -> dict[str, str]:
    return {"uid": f"uid-{number}", "resourceVersion": str(number)}
