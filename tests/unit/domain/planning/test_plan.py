from dataclasses import replace
from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.planning.actions import Apply, Delete, Prune, Stop
from aichat_workspace.domain.planning.plan import Observed, plan
from aichat_workspace.domain.policy.blocking import blocked_kinds
from aichat_workspace.domain.policy.ownership import owns
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.render import ReferencedSecret, render, tenant_namespace
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain import recorded
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


def test_a_tenant_that_a_real_api_server_completed_needs_nothing() -> None:
    held = recorded.recorded()
    planned = plan(recorded.NAMESPACE, recorded.DESIRED, held)
    assert planned == (), f"when rendering has changed, {recorded.RENEW}"
    deployment = next(each for each in held.objects.values() if each["kind"] == "Deployment")
    assert deployment["spec"]["revisionHistoryLimit"] == 10, "the record has the server's defaults"


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
    assert actions == (Delete(stray, "uid-x", waits=True),)


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
    objects[at] = {**objects[at], "spec": spec, "status": {"phase": "Bound"}}
    found = observed(objects=objects, expandable_classes=frozenset({"fast"}))
    written = plan(NAMESPACE, DESIRED, found)
    assert "PersistentVolumeClaim" not in [
        each.manifest["kind"] for each in written if isinstance(each, Apply)
    ]


@pytest.mark.parametrize(
    ("phase", "classes", "grows"),
    [("Bound", ["fast"], True), ("Bound", ["slow"], False), ("Pending", ["fast"], False)],
)
def test_a_claim_grows_only_where_the_api_server_takes_it(
    phase: str, classes: list[str], *, grows: bool
) -> None:
    objects = held(DESIRED)
    at = ref(one("PersistentVolumeClaim", "ollama"))
    small = {"resources": {"requests": {"storage": "5Gi"}}, "storageClassName": "fast"}
    spec = {**objects[at]["spec"], **small}
    objects[at] = {**objects[at], "spec": spec, "status": {"phase": phase}}
    found = observed(objects=objects, expandable_classes=frozenset(classes))
    written = [each.manifest for each in plan(NAMESPACE, DESIRED, found) if isinstance(each, Apply)]
    assert ([each["kind"] for each in written] == ["PersistentVolumeClaim"]) is grows
    assert all(each["spec"]["storageClassName"] == "fast" for each in written)


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
    metadata = {**objects[at]["metadata"], "uid": "set-1", "generation": 2}
    told = {"observedGeneration": 2, "updateRevision": "o-new", **status}
    objects[at] = {**objects[at], "metadata": metadata, "status": told}
    return objects


OWNER = {"kind": "StatefulSet", "name": "team-a-aichat-ollama", "uid": "set-1", "controller": True}


def server_pod(revision: str, *, ready: bool = False, **metadata: Any) -> Manifest:
    name = "team-a-aichat-ollama"
    labels = {"app.kubernetes.io/name": name, "controller-revision-hash": revision}
    conditions = [{"type": "Ready", "status": str(ready)}]
    own = {"name": f"{name}-0", "uid": "pod-1", "labels": labels, "ownerReferences": [OWNER]}
    return {
        "metadata": {**own, **metadata},
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
        ({}, server_pod("o-old", ownerReferences=[])),
        ({}, server_pod("o-old", ownerReferences=[{**OWNER, "uid": "another"}])),
        ({}, server_pod("o-old", ownerReferences=[{**OWNER, "controller": False}])),
        ({"observedGeneration": 1}, server_pod("o-old")),
        ({"updateRevision": None}, server_pod("o-old")),
    ],
)
def test_a_pod_that_its_controller_will_replace_itself_is_left_to_it(
    status: dict[str, Any], pod: Manifest
) -> None:
    assert plan(NAMESPACE, DESIRED, observed(objects=stateful_set(**status), pods=(pod,))) == ()


ALL_BUT_WALLS = frozenset({"ResourceQuota", "Deployment", "StatefulSet", "Ingress"})


def test_what_is_held_back_is_neither_written_nor_removed_and_the_rest_is_kept() -> None:
    gone = ("NetworkPolicy", "Deployment")
    objects = {at: obj for at, obj in held(DESIRED).items() if at.kind not in gone}
    stray = Ref("Service", "team-a-aichat", "left-over")
    objects[stray] = {"metadata": {"uid": "uid-x"}}
    actions = plan(NAMESPACE, DESIRED, observed(objects=objects), ALL_BUT_WALLS)
    written = [each.manifest["kind"] for each in actions if isinstance(each, Apply)]
    assert set(written) == {"NetworkPolicy", "Secret"}
    assert len(written) == len(actions)


ROUTED = PlatformSpec.model_validate({"ingress": {"gateway": {"name": "g", "namespace": "edge"}}})
HELD = blocked_kinds([Problem("HostNotAllowed", "")])


@pytest.mark.parametrize(("kind", "platform"), [("Ingress", PlatformSpec()), ("HTTPRoute", ROUTED)])
def test_the_way_in_at_a_refused_host_goes_whatever_is_held_back(
    kind: str, platform: PlatformSpec
) -> None:
    wanted = desired(platform)
    objects = held(wanted)
    (at,) = (each for each in objects if each.kind == kind)
    found = observed(objects=objects)
    gone = Delete(at, objects[at]["metadata"]["uid"])
    assert plan(NAMESPACE, wanted, found, HELD, "team-a-aichat.localtest.me") == (gone,)
    assert plan(NAMESPACE, wanted, found, HELD, "another.localtest.me") == ()
    objects[at] = {**objects[at], "metadata": {**objects[at]["metadata"], "deletionTimestamp": "x"}}
    assert plan(NAMESPACE, wanted, found, HELD, "team-a-aichat.localtest.me") == ()


def test_a_workload_that_is_held_back_can_still_be_stopped() -> None:
    suspended = render(workspace(suspended=True), PlatformSpec(), CREDENTIALS)
    actions = plan(NAMESPACE, suspended, observed(), ALL_BUT_WALLS)
    assert actions == (Stop(ref(one("StatefulSet"))), Stop(ref(one("Deployment"))))
    stopped = {
        at: {**obj, "spec": {**obj["spec"], "replicas": 0}}
        if "replicas" in obj.get("spec", {})
        else obj
        for at, obj in held(DESIRED).items()
    }
    assert plan(NAMESPACE, suspended, observed(objects=stopped), ALL_BUT_WALLS) == ()


OIDC = {
    "providerURL": "https://id.example.org/.well-known/openid-configuration",
    "clientID": "chat",
    "secretName": "login",
}
LOGIN = {"oidc": ReferencedSecret("Opaque", {"clientSecret": "aHVzaA=="})}


def test_a_copy_that_nothing_names_any_more_is_deleted_before_its_name_is_forgotten() -> None:
    before = render(workspace(access={"oidc": OIDC}), PlatformSpec(), CREDENTIALS, LOGIN)
    actions = plan(NAMESPACE, DESIRED, observed(objects=held(before)))
    copy = next(
        each["metadata"]["name"]
        for each in before
        if each["kind"] == "Secret" and "oidc" in each["metadata"]["name"]
    )
    gone = Delete(Ref("Secret", "team-a-aichat", copy), None)
    assert actions[0] == gone
    assert plan(NAMESPACE, DESIRED, observed(objects=held(before)), ALL_BUT_WALLS) == ()


def test_an_old_password_goes_with_its_copy() -> None:
    renewed = replace(CREDENTIALS, admin_password="another")
    after = render(workspace(), PlatformSpec(), renewed)
    actions = plan(NAMESPACE, after, observed())
    old, new = (
        next(each for each in found if each["kind"] == "Secret") for found in (DESIRED, after)
    )
    assert actions[0] == Delete(ref(old), None)
    assert Apply(new) in actions


def test_a_secret_that_is_no_copy_of_ours_is_left_alone() -> None:
    objects = held(DESIRED)
    at = ref(one("Ingress"))
    tls = [{"secretName": name} for name in ("team-a-aichat-openwebui-tls", "their-own")]
    objects[at] = {**objects[at], "spec": {**objects[at]["spec"], "tls": tls}}
    assert not [
        each
        for each in plan(NAMESPACE, DESIRED, observed(objects=objects))
        if isinstance(each, Delete)
    ]


def test_the_quota_is_never_below_what_the_claims_hold() -> None:
    objects = held(DESIRED)
    at = ref(one("PersistentVolumeClaim", "ollama"))
    larger = {**objects[at]["spec"], "resources": {"requests": {"storage": "50Gi"}}}
    objects[at] = {**objects[at], "spec": larger}
    (action,) = plan(NAMESPACE, DESIRED, observed(objects=objects))
    assert isinstance(action, Apply)
    assert action.manifest["kind"] == "ResourceQuota"
    assert action.manifest["spec"]["hard"]["requests.storage"] == "52Gi"
    assert action.manifest["spec"]["hard"]["pods"] == "4"
