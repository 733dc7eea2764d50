"""Any history of edits: one plan reaches each of them, and going back leaves no trace."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.planning.plan import plan
from aichat_workspace.domain.policy.secret_references import resolve
from aichat_workspace.domain.render import render, tenant_namespace
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from tests.specs import KEYS, SECRETS, Spec, histories
from tests.unit.domain.apiserver import ApiServer
from tests.unit.domain.samples import CREDENTIALS, namespace, workspace

HISTORIES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    phases=[Phase.generate],  # shrinking a history takes minutes
)


def workspace_of(spec: Spec) -> Workspace:
    return workspace(**{"models": [], "patterns": [], **spec})


def secret(name: str) -> dict[str, Any] | None:
    owner = f"{names.SYSTEM_NAMESPACE}/aichatworkspace-team-a"
    annotations = {names.SECRET_FOR_ANNOTATION: owner}
    data = {key: base64.b64encode(f"{key} of {name}".encode()).decode() for key in KEYS}
    return {"metadata": {"annotations": annotations}, "data": data} if name in SECRETS else None


def desired(spec: Spec) -> tuple[Manifest, ...]:
    referenced, problem = resolve(workspace_of(spec), secret)
    assert problem is None
    return render(workspace_of(spec), PlatformSpec(), CREDENTIALS, referenced)


def edit(server: ApiServer, spec: Spec) -> None:
    """Execute one plan for the spec; a second plan is empty."""
    manifests, tenant = desired(spec), tenant_namespace(workspace_of(spec))
    server.execute_all(plan(tenant, manifests, server.observed))
    assert plan(tenant, manifests, server.observed) == ()
    secrets = {ref(manifest) for manifest in manifests if manifest["kind"] == "Secret"}
    assert server.objects.keys() == {ref(manifest) for manifest in manifests} - secrets
    assert secrets <= server.secrets.keys()


def without_storage(server: ApiServer) -> dict[Ref, Manifest]:
    """Return the objects without what only grows: the claims, and the quota's storage for them."""
    return {
        reference: _without_storage(manifest) if reference.kind == "ResourceQuota" else manifest
        for reference, manifest in server.objects.items()
        if reference.kind != "PersistentVolumeClaim"
    }


def _without_storage(quota: Manifest) -> Manifest:
    metadata = {key: value for key, value in quota["metadata"].items() if key != "annotations"}
    hard = {key: value for key, value in quota["spec"]["hard"].items() if key != "requests.storage"}
    return {**quota, "metadata": metadata, "spec": {**quota["spec"], "hard": hard}}


@given(histories(2))
@HISTORIES
def test_manifests_are_plain_json(specs: Sequence[Spec]) -> None:
    """`covers` looks into dicts and lists only: a tuple would always be a difference."""
    for spec in specs:
        for manifest in desired(spec):
            assert json.loads(json.dumps(manifest)) == manifest


@given(histories(8))
@HISTORIES
def test_each_edit_is_reached_by_one_plan(specs: Sequence[Spec]) -> None:
    server = ApiServer(namespace())
    for spec in specs:
        edit(server, spec)


@given(histories(8), st.data())
@HISTORIES
def test_going_back_restores_the_objects_exactly(
    specs: Sequence[Spec], data: st.DataObject
) -> None:
    """Except volumes, which only grow."""
    first = data.draw(st.sampled_from(specs))
    server = ApiServer(namespace())
    edit(server, first)
    before = without_storage(server)
    for spec in specs:
        edit(server, spec)
    edit(server, first)
    assert without_storage(server) == before


@given(histories(8))
@HISTORIES
def test_after_any_history_the_objects_are_those_of_a_new_workspace(specs: Sequence[Spec]) -> None:
    old, new = ApiServer(namespace()), ApiServer(namespace())
    for spec in specs:
        edit(old, spec)
    edit(new, specs[-1])
    assert without_storage(old) == without_storage(new)
