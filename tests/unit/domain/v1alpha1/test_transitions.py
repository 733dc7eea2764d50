"""Any history of edits: each one is reached by one plan, and taking them back leaves no trace."""

import base64
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
    phases=[Phase.generate],  # making a history shorter takes minutes
)


def asked(spec: Spec) -> Workspace:
    return workspace(**{"models": [], "patterns": [], **spec})


def secret(name: str) -> dict[str, Any] | None:
    marks = {names.SECRET_FOR_ANNOTATION: f"{names.SYSTEM_NAMESPACE}/aichatworkspace-team-a"}
    data = {key: base64.b64encode(f"{key} of {name}".encode()).decode() for key in KEYS}
    return {"metadata": {"annotations": marks}, "data": data} if name in SECRETS else None


def desired(spec: Spec) -> tuple[Manifest, ...]:
    referenced, problem = resolve(asked(spec), secret)
    assert problem is None
    return render(asked(spec), PlatformSpec(), CREDENTIALS, referenced)


def edited(server: ApiServer, spec: Spec) -> None:
    """One plan, and nothing left to do after it."""
    wanted, mine = desired(spec), tenant_namespace(asked(spec))
    server.execute_all(plan(mine, wanted, server.observed))
    assert plan(mine, wanted, server.observed) == ()
    assert server.objects.keys() == {ref(each) for each in wanted if each["kind"] != "Secret"}
    assert {ref(each) for each in wanted if each["kind"] == "Secret"} <= server.secrets.keys()


def but_storage(server: ApiServer) -> dict[Ref, Manifest]:
    """The objects without what only grows: claims, and the quota's room for them."""
    kept = {at: each for at, each in server.objects.items() if at.kind != "PersistentVolumeClaim"}
    return {
        at: _but_room(each) if at.kind == "ResourceQuota" else each for at, each in kept.items()
    }


def _but_room(quota: Manifest) -> Manifest:
    metadata = {key: each for key, each in quota["metadata"].items() if key != "annotations"}
    hard = {key: each for key, each in quota["spec"]["hard"].items() if key != "requests.storage"}
    return {**quota, "metadata": metadata, "spec": {**quota["spec"], "hard": hard}}


@given(histories(8))
@HISTORIES
def test_each_edit_is_reached_by_one_plan(specs: Sequence[Spec]) -> None:
    server = ApiServer(namespace())
    for spec in specs:
        edited(server, spec)


@given(histories(8), st.data())
@HISTORIES
def test_going_back_restores_the_objects_exactly(
    specs: Sequence[Spec], data: st.DataObject
) -> None:
    """Volumes excepted, which only grow."""
    once = data.draw(st.sampled_from(specs))
    server = ApiServer(namespace())
    edited(server, once)
    before = but_storage(server)
    for spec in specs:
        edited(server, spec)
    edited(server, once)
    assert but_storage(server) == before


@given(histories(8))
@HISTORIES
def test_a_history_ends_as_a_new_workspace_of_its_last_spec_begins(specs: Sequence[Spec]) -> None:
    old, new = ApiServer(namespace()), ApiServer(namespace())
    for spec in specs:
        edited(old, spec)
    edited(new, specs[-1])
    assert but_storage(old) == but_storage(new)
