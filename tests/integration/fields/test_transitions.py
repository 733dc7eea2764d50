"""Generated histories of edits, against a real API server and the operator: each edit reaches the
objects exactly, and taking all of them back restores them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.field_ownership import keep_foreign
from aichat_workspace.domain.kubernetes.manifest import Manifest, ref
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.plan import plan
from aichat_workspace.domain.policy.secret_references import ADMIN, resolve
from aichat_workspace.domain.policy.size_classes import with_size_class
from aichat_workspace.domain.render import credentials, render, tenant_namespace
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from tests.integration.conftest import (
    OPERATOR,
    SYSTEM,
    Cluster,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.owned import owned, same
from tests.integration.tenants import (
    bound_volume,
    edit,
    growing_class,
    listed,
    secret,
    seen,
)
from tests.schemas import without
from tests.specs import ALLOWED, KEYS, SECRETS, SIZE_CLASSES, Spec, growing, histories
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")
NAME: Final = "generated"
CLASS: Final = "generated"
SETTINGS: Final = {"allowed": ALLOWED, "sizeClasses": SIZE_CLASSES}
SIZES: Final = {"ollama": "20Gi", "openWebUI": "2Gi"}


@pytest.fixture(scope="module")
def tenant(cluster: Cluster) -> Iterator[str]:
    """With volumes that are bound, so that they can grow, and their class from the platform."""
    cluster.apply(growing_class(CLASS))
    for workload in ("ollama", "openwebui"):
        claim = f"{NAME}-{workload}"
        cluster.apply(bound_volume(claim, CLASS, claim, NAME))
    for name in SECRETS:
        keys = {key: f"{key} of {name}" for key in KEYS}
        cluster.apply(secret(name, f"{SYSTEM}/{NAME}", keys))
    cluster.apply(platform({**SETTINGS, "storageClassName": CLASS}))
    cluster.apply(workspace(NAME, storage={key: {"size": size} for key, size in SIZES.items()}))
    try:
        eventually(lambda: bound(cluster), f"{NAME} has its volumes")
        yield NAME
    finally:
        cluster.kube.delete("aiws", NAME, SYSTEM)
        restore_default_settings(cluster)


def bound(cluster: Cluster) -> bool:
    claims = cluster.get("pvc", "-n", NAME)["items"]
    return len(claims) == 2 and all(claim["status"]["phase"] == "Bound" for claim in claims)


HISTORIES: Final = settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # making a history shorter would take minutes
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
def test_each_generated_edit_reaches_the_objects_and_none_leaves_a_trace(
    cluster: Cluster, tenant: str
) -> None:
    """F13: generated histories of specs, each reverted in the end."""

    @given(histories(8))
    @HISTORIES
    def follow(specs: Sequence[Spec]) -> None:
        before = but_storage(cluster)
        for spec in growing([*map(without_reset, specs), {}], sizes(cluster)):
            edit(cluster, tenant, {"workspaceName": tenant, **spec})
            reached(cluster, str(spec))
        assert but_storage(cluster) == before

    reached(cluster, "the first spec")
    follow()


def without_reset(spec: Spec) -> Spec:
    """A new password and a restart are never taken back."""
    for path in ("access.passwordReset", "restart.ollama", "restart.openWebUI"):
        spec = without(spec, path)
    return spec


def reached(cluster: Cluster, what: str) -> None:
    try:
        eventually(lambda: not unlike(cluster), what)
    except AssertionError as error:
        error.add_note(f"unlike: {unlike(cluster)}")
        raise


def but_storage(cluster: Cluster) -> Mapping[str, Any]:
    """Volumes only grow, and the quota with them."""
    return {
        key: manifest
        for key, manifest in seen(cluster, NAME).objects.items()
        if not key.startswith(("PersistentVolumeClaim/", "ResourceQuota/"))
    }


def sizes(cluster: Cluster) -> dict[str, str]:
    return {
        key: cluster.get("pvc", f"{NAME}-{key.lower()}", "-n", NAME)["spec"]["resources"][
            "requests"
        ]["storage"]
        for key in SIZES
    }


def unlike(cluster: Cluster) -> list[str]:
    """What is not as the resource says: objects whose fields of ours differ from what is rendered,
    and what would be written now."""
    current = Workspace.parse(cluster.get("aiws", NAME, "-n", SYSTEM))
    manifests = desired(cluster, current)
    live = {ref(manifest): manifest for manifest in listed(cluster, NAME)}
    watched = {
        reference: keep_foreign(live[reference], OPERATOR)
        for reference in live
        if reference.kind != "Secret"
    }
    namespace = cluster.get("namespace", NAME)
    observed = Observed(namespace, watched, expandable_classes=frozenset({CLASS}))
    actions = plan(tenant_namespace(current), manifests, observed)
    return [
        *(
            str(ref(manifest))
            for manifest in manifests
            if not is_there(manifest, live.get(ref(manifest)))
        ),
        *(str(action) for action in actions),
        *(["status"] if current.status.observed_generation != current.generation else []),
    ]


def desired(cluster: Cluster, resource: Workspace) -> tuple[Manifest, ...]:
    listed = cluster.get("secrets", "-n", SYSTEM)["items"]
    by_name = {manifest["metadata"]["name"]: manifest for manifest in listed}
    referenced, problem = resolve(resource, by_name.get)
    assert problem is None, problem
    own = credentials.read(by_name[names.credentials(NAME)])
    administrator = credentials.with_admin(own, referenced.get(ADMIN))
    in_force = PlatformSpec.model_validate({**SETTINGS, "storageClassName": CLASS})
    return render(with_size_class(resource, in_force), in_force, administrator, referenced)


def is_there(manifest: Manifest, live: Manifest | None) -> bool:
    """Whether we own exactly what was rendered. A claim's class is the one it was made with."""
    if live is None:
        return False
    identity = ("apiVersion", "kind", "metadata")
    metadata = {key: manifest["metadata"][key] for key in manifest["metadata"].keys() - _NAMED}
    body = {key: value for key, value in manifest.items() if key not in identity}
    if manifest["kind"] == "PersistentVolumeClaim":
        body["spec"] = {**body["spec"], "storageClassName": live["spec"]["storageClassName"]}
    part = owned(live, OPERATOR)
    if manifest["kind"] == "PersistentVolumeClaim":  # its digest is of the class that was asked for
        return same(part["spec"], body["spec"])
    return same(part, {"metadata": metadata, **body})


_NAMED: Final = frozenset({"name", "namespace"})
