import copy
from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.manifest import Manifest, ref
from aichat_workspace.domain.kubernetes.rewrites import find_rewrite
from tests.unit.domain import recorded

APPLIED = next(manifest for manifest in recorded.DESIRED if manifest["kind"] == "Deployment")


def stored() -> Any:
    """As the API server completed it."""
    return copy.deepcopy(recorded.recorded().objects[ref(APPLIED)])


def test_what_the_api_server_fills_in_is_no_rewrite() -> None:
    assert find_rewrite(stored(), APPLIED) is None


def rewritten(image: str) -> Manifest:
    manifest: Manifest = stored()
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return manifest


def test_the_fields_that_came_back_different_are_named() -> None:
    manifest: Any = rewritten("mirror.example.org/webui:1")
    template = manifest["spec"]["template"]["spec"]
    del template["containers"][0]["env"][0]
    template["securityContext"]["runAsUser"] = 7
    del manifest["metadata"]["labels"]["aichatworkspace"]
    rewrite = find_rewrite(manifest, APPLIED)
    assert rewrite is not None
    variable = APPLIED["spec"]["template"]["spec"]["containers"][0]["env"][0]["name"]
    assert rewrite.fields == (
        "metadata.labels.aichatworkspace",
        f"spec.template.spec.containers[openwebui].env[{variable}]",
        "spec.template.spec.containers[openwebui].image",
        "spec.template.spec.securityContext.runAsUser",
    )


@pytest.mark.parametrize("image", ["mirror.example.org/webui:1", "evil/webui:1"])
def test_another_value_is_another_revision(image: str) -> None:
    first = find_rewrite(rewritten("mirror.example.org/webui:1"), APPLIED)
    second = find_rewrite(rewritten(image), APPLIED)
    assert first is not None
    assert second is not None
    assert (first.revision == second.revision) == ("evil" not in image)


def test_what_was_applied_is_part_of_the_revision() -> None:
    applied = {**APPLIED, "spec": {**APPLIED["spec"], "replicas": 5}}
    manifest: Any = rewritten("mirror.example.org/webui:1")
    first = find_rewrite(manifest, APPLIED)
    manifest["spec"]["replicas"] = 5
    second = find_rewrite(manifest, applied)
    assert first is not None
    assert second is not None
    assert first.fields == second.fields
    assert first.revision != second.revision
