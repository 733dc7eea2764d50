from typing import Any

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.planning.actions import Apply, Prune
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.plan import plan
from aichat_workspace.domain.render import (
    retained_namespace,
    retained_orphan,
    tenant_namespace,
)
from aichat_workspace.domain.render.namespace_metadata import present_metadata, recorded_metadata
from aichat_workspace.domain.v1alpha1.metadata_settings import Metadata
from tests.unit.domain.samples import workspace

RECORD = "apps.aichatworkspaces.io/platform-metadata"
PLATFORM_METADATA = Metadata(
    labels={"istio-injection": "on"}, annotations={"example.org/owner": "it"}
)


def stored(platform_metadata: Metadata, **annotations: str) -> Manifest:
    """The namespace as the API server has it."""
    namespace = tenant_namespace(workspace(), platform_metadata)
    metadata: dict[str, Any] = {**namespace["metadata"], "uid": "ns-1", "resourceVersion": "1"}
    metadata["annotations"] = {**metadata["annotations"], **annotations}
    return {**namespace, "metadata": metadata}


def test_a_namespace_carries_what_the_platform_says_and_a_record_of_its_names() -> None:
    metadata = tenant_namespace(workspace(), PLATFORM_METADATA)["metadata"]
    assert metadata["labels"]["istio-injection"] == "on"
    assert metadata["annotations"]["example.org/owner"] == "it"
    assert metadata["annotations"][RECORD] == "labels:istio-injection,annotations:example.org/owner"
    assert RECORD not in tenant_namespace(workspace())["metadata"]["annotations"]


def test_the_operators_own_names_are_never_the_platforms() -> None:
    platform_metadata = Metadata(labels={"pod-security.kubernetes.io/enforce": "privileged"})
    labels = tenant_namespace(workspace(), platform_metadata)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    forged = stored(Metadata(), **{RECORD: "annotations:apps.aichatworkspaces.io/retained"})
    assert recorded_metadata(forged) == (("annotations", RECORD),)


def test_what_the_platform_names_no_more_is_taken_off_by_name() -> None:
    observed = Observed(stored(PLATFORM_METADATA))
    for platform_metadata, withdrawn in (
        (Metadata(labels=PLATFORM_METADATA.labels), ["annotations/example.org~1owner"]),
        (
            Metadata(),
            [
                f"annotations/{RECORD.replace('/', '~1')}",
                "annotations/example.org~1owner",
                "labels/istio-injection",
            ],
        ),
    ):
        first, *rest = plan(tenant_namespace(workspace(), platform_metadata), (), observed)
        assert isinstance(first, Prune)
        paths = sorted(step["path"] for step in first.operations if step["op"] == "remove")
        assert paths == [f"/metadata/{path}" for path in sorted(withdrawn)]
        assert all(isinstance(action, Apply) for action in rest)


def test_what_the_platform_says_and_is_there_needs_no_write() -> None:
    assert (
        plan(
            tenant_namespace(workspace(), PLATFORM_METADATA),
            (),
            Observed(stored(PLATFORM_METADATA)),
        )
        == ()
    )


def test_a_namespace_that_stays_keeps_what_the_platform_has_put_there() -> None:
    namespace = stored(PLATFORM_METADATA)
    assert present_metadata(namespace) == PLATFORM_METADATA
    for body in (retained_orphan(namespace), retained_namespace(workspace(), PLATFORM_METADATA)):
        assert body["metadata"]["labels"]["istio-injection"] == "on"
        assert (
            body["metadata"]["annotations"][RECORD] == namespace["metadata"]["annotations"][RECORD]
        )
