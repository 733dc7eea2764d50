from typing import Any

import pytest

from aichat_workspace.domain.manifest import Manifest, Ref, ref
from aichat_workspace.domain.plan import Apply, Delete, Observed, Prune, owns, plan
from aichat_workspace.domain.platform import PlatformSpec
from aichat_workspace.domain.render import render, tenant_namespace
from tests.unit.domain.samples import CREDENTIALS, desired, held, namespace, workspace

NAMESPACE = tenant_namespace(workspace())
DESIRED = desired()


def observed(**changes: Any) -> Observed:
    return Observed(**{"namespace": namespace(), "objects": held(DESIRED), **changes})


def one(kind: str, name_part: str = "") -> Manifest:
    return next(
        each for each in DESIRED if each["kind"] == kind and name_part in each["metadata"]["name"]
    )


def test_a_tenant_that_is_as_desired_needs_nothing() -> None:
    assert plan(NAMESPACE, DESIRED, observed()) == ()


def test_a_new_tenant_gets_everything_in_order() -> None:
    actions = plan(NAMESPACE, DESIRED, Observed(namespace=namespace()))
    assert [each.manifest for each in actions if isinstance(each, Apply)] == list(DESIRED)
    kinds = [each["kind"] for each in DESIRED]
    assert kinds.index("ResourceQuota") < kinds.index("StatefulSet")
    assert kinds.index("NetworkPolicy") < kinds.index("Deployment")
    assert kinds.index("Secret") < kinds.index("Deployment")


@pytest.mark.parametrize("kind", ["StatefulSet", "Service", "NetworkPolicy", "Ingress"])
def test_one_missing_object_is_one_write(kind: str) -> None:
    missing = one(kind)
    objects = {at: obj for at, obj in held(DESIRED).items() if at != ref(missing)}
    assert plan(NAMESPACE, DESIRED, observed(objects=objects)) == (Apply(missing),)


def test_an_object_that_is_going_is_waited_for() -> None:
    objects = held(DESIRED)
    at = ref(one("StatefulSet"))
    going = {**objects[at]["metadata"], "deletionTimestamp": "2026-11-23T12:00:00Z"}
    objects[at] = {**objects[at], "metadata": going}
    assert plan(NAMESPACE, DESIRED, observed(objects=objects)) == ()


def test_an_object_of_ours_that_is_no_longer_wanted_is_deleted_by_its_uid() -> None:
    stray = Ref("Service", "team-a-aichat", "left-over")
    manifest = {
        "kind": "Service",
        "metadata": {"name": "left-over", "namespace": "team-a-aichat", "uid": "uid-x"},
    }
    actions = plan(NAMESPACE, DESIRED, observed(objects={**held(DESIRED), stray: manifest}))
    assert actions == (Delete(stray, "uid-x"),)


def test_what_someone_added_is_pruned() -> None:
    objects = held(DESIRED)
    at = ref(one("Deployment"))
    fields: list[dict[str, Any]] = [{"f:spec": {"f:paused": {}}}]
    metadata = {**objects[at]["metadata"], "foreignFields": fields}
    spec = {**one("Deployment")["spec"], "paused": True}
    objects[at] = {**one("Deployment"), "metadata": metadata, "spec": spec}
    (action,) = plan(NAMESPACE, DESIRED, observed(objects=objects))
    assert isinstance(action, Prune)
    assert action.operations[1] == {"op": "remove", "path": "/spec/paused"}


def test_a_stripped_namespace_label_is_restored_on_that_namespace_only() -> None:
    stripped = namespace(labels={})
    (action,) = plan(NAMESPACE, DESIRED, observed(namespace=stripped))
    assert isinstance(action, Apply)
    assert action.manifest["metadata"]["uid"] == "ns-1"


def test_a_claim_never_shrinks_and_keeps_its_class() -> None:
    objects = held(DESIRED)
    at = ref(one("PersistentVolumeClaim", "ollama"))
    spec = {
        **objects[at]["spec"],
        "resources": {"requests": {"storage": "50Gi"}},
        "storageClassName": "fast",
    }
    objects[at] = {**objects[at], "spec": spec}
    assert plan(NAMESPACE, DESIRED, observed(objects=objects)) == ()


@pytest.mark.parametrize("of", ["initContainerStatuses", "containerStatuses"])
def test_a_secret_is_written_again_when_a_pod_misses_it(of: str) -> None:
    secret = one("Secret")
    message = f'secret "{secret["metadata"]["name"]}" not found'
    waiting = {"reason": "CreateContainerConfigError", "message": message}
    pod = {"status": {of: [{"state": {"waiting": waiting}}]}}
    assert plan(NAMESPACE, DESIRED, observed(pods=(pod,))) == (Apply(secret),)


def test_a_namespace_is_ours_by_its_mark_and_by_its_recorded_uid() -> None:
    recorded = workspace(status={"namespace": {"name": "team-a-aichat", "uid": "ns-1"}})
    assert owns(workspace(), namespace())
    assert owns(recorded, namespace())
    assert not owns(recorded, namespace(uid="ns-2"))
    assert not owns(workspace(), namespace(annotations={}))
    assert not owns(workspace(metadata={"uid": "uid-b"}), namespace())


def test_what_was_applied_before_and_is_not_wanted_any_more_is_applied_again() -> None:
    """The digest tells: nothing that is wanted is missing."""
    more = render(workspace(ollama={"contextLength": 4096}), PlatformSpec(), CREDENTIALS)
    written = plan(NAMESPACE, DESIRED, observed(objects=held(more)))
    kinds = [each.manifest["kind"] for each in written if isinstance(each, Apply)]
    assert kinds == ["StatefulSet"]


def stateful_set(**status: Any) -> dict[Ref, Manifest]:
    objects = held(DESIRED)
    at = ref(one("StatefulSet"))
    metadata = {**objects[at]["metadata"], "generation": 2}
    told = {"observedGeneration": 2, "updateRevision": "o-new", **status}
    objects[at] = {**objects[at], "metadata": metadata, "status": told}
    return objects


def server_pod(revision: str, *, ready: bool = False, **metadata: Any) -> Manifest:
    name = "team-a-aichat-ollama"
    labels = {"app.kubernetes.io/name": name, "controller-revision-hash": revision}
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"name": f"{name}-0", "uid": "pod-1", "labels": labels, **metadata},
        "status": {"conditions": conditions},
    }


def test_a_pod_that_keeps_its_stateful_set_from_replacing_it_is_deleted() -> None:
    found = observed(objects=stateful_set(), pods=(server_pod("o-old"),))
    assert plan(NAMESPACE, DESIRED, found) == (
        Delete(Ref("Pod", "team-a-aichat", "team-a-aichat-ollama-0"), "pod-1"),
    )


@pytest.mark.parametrize(
    ("status", "pod"),
    [
        ({}, server_pod("o-new")),
        ({}, server_pod("o-old", ready=True)),
        ({}, server_pod("o-old", deletionTimestamp="2026-11-23T12:00:00Z")),
        ({}, server_pod("o-old", labels={"app.kubernetes.io/name": "another"})),
        ({"observedGeneration": 1}, server_pod("o-old")),
        ({"updateRevision": None}, server_pod("o-old")),
    ],
)
def test_a_pod_that_its_controller_will_replace_itself_is_left_to_it(
    status: dict[str, Any], pod: Manifest
) -> None:
    assert plan(NAMESPACE, DESIRED, observed(objects=stateful_set(**status), pods=(pod,))) == ()
