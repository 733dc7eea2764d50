import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.field_ownership import keep_foreign
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.kubernetes.rewrites import Rewrite, find_rewrite
from aichat_workspace.domain.planning.actions import Action, Apply, Delete, Prune, Scale
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.plan import Exceptions, plan, unchanged_rewrites
from aichat_workspace.domain.planning.secret_copies import recorded_copies, with_record
from aichat_workspace.domain.policy.blocking import blocked_kinds
from aichat_workspace.domain.policy.ownership import owns
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render import ReferencedSecret, render, tenant_namespace
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain import recorded
from tests.unit.domain.apiserver import ApiServer
from tests.unit.domain.samples import CREDENTIALS, as_cached, desired, namespace, workspace

NAMESPACE = tenant_namespace(workspace())
DESIRED = desired()


def observed(**changes: Any) -> Observed:
    return Observed(**{"namespace": namespace(), "objects": as_cached(DESIRED), **changes})


def find_manifest(kind: str, name_part: str = "") -> Manifest:
    return next(
        manifest
        for manifest in DESIRED
        if manifest["kind"] == kind and name_part in manifest["metadata"]["name"]
    )


def applied(actions: Iterable[Action]) -> list[Manifest]:
    return [action.manifest for action in actions if isinstance(action, Apply)]


def test_a_tenant_as_desired_has_an_empty_plan() -> None:
    assert plan(NAMESPACE, DESIRED, observed()) == ()


def test_a_tenant_that_a_real_api_server_completed_has_an_empty_plan() -> None:
    completed = recorded.recorded()
    actions = plan(recorded.NAMESPACE, recorded.DESIRED, completed)
    assert actions == (), f"when rendering has changed, {recorded.RENEW}"
    deployment = next(
        manifest for manifest in completed.objects.values() if manifest["kind"] == "Deployment"
    )
    assert deployment["spec"]["revisionHistoryLimit"] == 10, "the record has the server's defaults"


def test_a_cost_centre_is_written_to_the_namespace_alone_and_taken_off_again() -> None:
    paid = workspace(costCentre="CC-1")
    marked = with_record(tenant_namespace(paid), recorded_copies(namespace()))
    (write,) = plan(tenant_namespace(paid), render(paid, PlatformSpec(), CREDENTIALS), observed())
    assert isinstance(write, Apply)
    assert write.manifest["metadata"]["labels"][names.COST_CENTRE_LABEL] == "CC-1"
    stored = namespace(labels=marked["metadata"]["labels"])
    (removal,) = plan(NAMESPACE, DESIRED, observed(namespace=stored))
    assert isinstance(removal, Prune)
    path = "/metadata/labels/aichatworkspaces.io~1cost-centre"
    assert removal.operations[1:] == [{"op": "remove", "path": path}]


def test_a_cost_centre_that_others_may_add_is_left_alone() -> None:
    labels = {**namespace()["metadata"]["labels"], names.COST_CENTRE_LABEL: "theirs"}
    fields: Any = {"f:metadata": {"f:labels": {f"f:{names.COST_CENTRE_LABEL}": {}}}}
    theirs = {"manager": "kubectl", "operation": "Update", "fieldsV1": fields}
    stored = keep_foreign(namespace(labels=labels, managedFields=[theirs]), names.OPERATOR)
    allowed = Exceptions(allowed_metadata=(names.COST_CENTRE_LABEL,))
    assert plan(NAMESPACE, DESIRED, observed(namespace=stored), exceptions=allowed) == ()
    (removal,) = plan(NAMESPACE, DESIRED, observed(namespace=stored))
    assert isinstance(removal, Prune)
    assert len(removal.operations) == 2


def test_a_new_tenant_gets_everything_in_order() -> None:
    actions = plan(NAMESPACE, DESIRED, Observed(namespace=namespace()))
    assert applied(actions) == list(DESIRED)
    kinds = [manifest["kind"] for manifest in DESIRED]
    assert kinds.index("ResourceQuota") < kinds.index("StatefulSet")
    assert kinds.index("NetworkPolicy") < kinds.index("Deployment")
    assert kinds.index("Secret") < kinds.index("Deployment")


@pytest.mark.parametrize("kind", ["StatefulSet", "Service", "NetworkPolicy", "Ingress"])
def test_one_missing_object_is_one_write(kind: str) -> None:
    missing = find_manifest(kind)
    objects = {
        reference: obj for reference, obj in as_cached(DESIRED).items() if reference != ref(missing)
    }
    assert plan(NAMESPACE, DESIRED, observed(objects=objects)) == (Apply(missing),)


def _secret_of(manifests: Iterable[Manifest]) -> Manifest:
    return next(manifest for manifest in manifests if manifest["kind"] == "Secret")


def _recorded(action: Action) -> frozenset[str]:
    assert isinstance(action, Apply)
    assert action.manifest["kind"] == "Namespace"
    return recorded_copies(action.manifest)


def test_an_object_that_is_being_deleted_is_not_written() -> None:
    objects = as_cached(DESIRED)
    target = ref(find_manifest("StatefulSet"))
    going = {**objects[target]["metadata"], "deletionTimestamp": "2026-11-23T12:00:00Z"}
    objects[target] = {**objects[target], "metadata": going}
    assert plan(NAMESPACE, DESIRED, observed(objects=objects)) == ()


def test_an_obsolete_object_is_deleted_by_its_uid() -> None:
    stray = Ref("Service", "team-a-aichat", "left-over")
    manifest = {
        "kind": "Service",
        "metadata": {"name": "left-over", "namespace": "team-a-aichat", "uid": "uid-x"},
    }
    actions = plan(NAMESPACE, DESIRED, observed(objects={**as_cached(DESIRED), stray: manifest}))
    assert actions == (Delete(stray, "uid-x", waits=True),)


@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_foreign_field_is_pruned_of_a_frozen_workload_too(*, is_frozen: bool) -> None:
    objects = as_cached(DESIRED)
    target = ref(find_manifest("Deployment"))
    fields: list[dict[str, Any]] = [{"index": 0, "f:spec": {"f:paused": {}}}]
    metadata = {**objects[target]["metadata"], "foreignFields": fields}
    spec = {**find_manifest("Deployment")["spec"], "paused": True}
    objects[target] = {**find_manifest("Deployment"), "metadata": metadata, "spec": spec}
    exceptions = Exceptions(frozen=frozenset({target} if is_frozen else ()))
    (action,) = plan(NAMESPACE, DESIRED, observed(objects=objects), exceptions=exceptions)
    assert isinstance(action, Prune)
    assert action.operations[1] == {"op": "remove", "path": "/spec/paused"}


def test_a_removed_namespace_label_is_restored_by_the_uid() -> None:
    stripped = namespace(labels={})
    (action,) = plan(NAMESPACE, DESIRED, observed(namespace=stripped))
    assert isinstance(action, Apply)
    assert action.manifest["metadata"]["uid"] == "ns-1"


def test_a_claim_never_shrinks_and_keeps_its_class() -> None:
    objects = as_cached(DESIRED)
    target = ref(find_manifest("PersistentVolumeClaim", "ollama"))
    spec = {
        **objects[target]["spec"],
        "resources": {"requests": {"storage": "50Gi"}},
        "storageClassName": "fast",
    }
    objects[target] = {**objects[target], "spec": spec, "status": {"phase": "Bound"}}
    expandable = observed(objects=objects, expandable_classes=frozenset({"fast"}))
    written = applied(plan(NAMESPACE, DESIRED, expandable))
    assert "PersistentVolumeClaim" not in [manifest["kind"] for manifest in written]


@pytest.mark.parametrize(
    ("phase", "classes", "grows"),
    [("Bound", ["fast"], True), ("Bound", ["slow"], False), ("Pending", ["fast"], False)],
)
def test_only_a_bound_claim_of_an_expandable_class_grows(
    phase: str, classes: list[str], *, grows: bool
) -> None:
    objects = as_cached(DESIRED)
    target = ref(find_manifest("PersistentVolumeClaim", "ollama"))
    small = {"resources": {"requests": {"storage": "5Gi"}}, "storageClassName": "fast"}
    spec = {**objects[target]["spec"], **small}
    objects[target] = {**objects[target], "spec": spec, "status": {"phase": phase}}
    expandable = observed(objects=objects, expandable_classes=frozenset(classes))
    written = applied(plan(NAMESPACE, DESIRED, expandable))
    assert ([manifest["kind"] for manifest in written] == ["PersistentVolumeClaim"]) is grows
    assert all(manifest["spec"]["storageClassName"] == "fast" for manifest in written)


@pytest.mark.parametrize("field", ["initContainerStatuses", "containerStatuses"])
def test_a_secret_is_written_again_when_a_pod_misses_it(field: str) -> None:
    secret = find_manifest("Secret")
    message = f'secret "{secret["metadata"]["name"]}" not found'
    waiting = {"reason": "CreateContainerConfigError", "message": message}
    pod = {"status": {field: [{"state": {"waiting": waiting}}]}}
    assert plan(NAMESPACE, DESIRED, observed(pods=(pod,))) == (Apply(secret),)


def test_a_namespace_is_owned_by_its_annotation_and_its_recorded_uid() -> None:
    created = workspace(status={"namespace": {"name": "team-a-aichat", "uid": "ns-1"}})
    assert owns(workspace(), namespace())
    assert owns(created, namespace())
    assert not owns(created, namespace(uid="ns-2"))
    assert not owns(workspace(), namespace(annotations={}))
    assert not owns(workspace(metadata={"uid": "uid-b"}), namespace())


def test_a_field_that_is_no_longer_desired_is_removed_by_applying_again() -> None:
    """Only the digest differs: no desired value is missing."""
    more = render(workspace(ollama={"contextLength": 4096}), PlatformSpec(), CREDENTIALS)
    actions = plan(NAMESPACE, DESIRED, observed(objects=as_cached(more)))
    assert [manifest["kind"] for manifest in applied(actions)] == ["StatefulSet"]


def stateful_set(**status: Any) -> dict[Ref, Manifest]:
    objects = as_cached(DESIRED)
    target = ref(find_manifest("StatefulSet"))
    metadata = {**objects[target]["metadata"], "uid": "set-1", "generation": 2}
    current = {"observedGeneration": 2, "updateRevision": "o-new", **status}
    objects[target] = {**objects[target], "metadata": metadata, "status": current}
    return objects


OWNER = {"kind": "StatefulSet", "name": "team-a-aichat-ollama", "uid": "set-1", "controller": True}


def server_pod(revision: str, *, ready: bool = False, **metadata: Any) -> Manifest:
    name = "team-a-aichat-ollama"
    labels = {"app.kubernetes.io/name": name, "controller-revision-hash": revision}
    conditions = [{"type": "Ready", "status": str(ready)}]
    default = {"name": f"{name}-0", "uid": "pod-1", "labels": labels, "ownerReferences": [OWNER]}
    return {"metadata": {**default, **metadata}, "status": {"conditions": conditions}}


def test_an_outdated_pod_that_is_not_ready_is_deleted() -> None:
    blocking = observed(objects=stateful_set(), pods=(server_pod("o-old"),))
    assert plan(NAMESPACE, DESIRED, blocking) == (
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
def test_a_pod_that_its_controller_replaces_is_not_deleted(
    status: dict[str, Any], pod: Manifest
) -> None:
    assert plan(NAMESPACE, DESIRED, observed(objects=stateful_set(**status), pods=(pod,))) == ()


BLOCKED = frozenset({"ResourceQuota", "Deployment", "StatefulSet", "Ingress"})


def test_blocked_kinds_are_neither_written_nor_deleted_and_others_are_restored() -> None:
    missing = ("NetworkPolicy", "Deployment")
    objects = {
        reference: obj
        for reference, obj in as_cached(DESIRED).items()
        if reference.kind not in missing
    }
    stray = Ref("Service", "team-a-aichat", "left-over")
    objects[stray] = {"metadata": {"uid": "uid-x"}}
    actions = plan(NAMESPACE, DESIRED, observed(objects=objects), BLOCKED)
    written = [manifest["kind"] for manifest in applied(actions)]
    assert set(written) == {"NetworkPolicy", "Secret"}
    assert len(written) == len(actions)


ROUTED = PlatformSpec.model_validate({"ingress": {"gateway": {"name": "g", "namespace": "edge"}}})
HOST_BLOCKED = blocked_kinds([Problem(Reason.HOST_NOT_ALLOWED, "")])


@pytest.mark.parametrize(("kind", "platform"), [("Ingress", PlatformSpec()), ("HTTPRoute", ROUTED)])
def test_the_route_of_a_refused_host_is_deleted_although_its_kind_is_blocked(
    kind: str, platform: PlatformSpec
) -> None:
    manifests = desired(platform)
    objects = as_cached(manifests)
    (route,) = (reference for reference in objects if reference.kind == kind)

    def planned(host: str) -> tuple[Action, ...]:
        return plan(NAMESPACE, manifests, observed(objects=objects), HOST_BLOCKED, host)

    deletion = Delete(route, objects[route]["metadata"]["uid"])
    assert planned("team-a-aichat.localtest.me") == (deletion,)
    assert planned("another.localtest.me") == ()
    metadata = {**objects[route]["metadata"], "deletionTimestamp": "x"}
    objects[route] = {**objects[route], "metadata": metadata}
    assert planned("team-a-aichat.localtest.me") == ()


def test_a_blocked_workload_can_be_stopped() -> None:
    suspended = render(workspace(suspended=True), PlatformSpec(), CREDENTIALS)
    actions = plan(NAMESPACE, suspended, observed(), BLOCKED)
    assert actions == (
        Scale(ref(find_manifest("StatefulSet"))),
        Scale(ref(find_manifest("Deployment"))),
    )
    stopped = {
        reference: {**obj, "spec": {**obj["spec"], "replicas": 0}}
        if "replicas" in obj.get("spec", {})
        else obj
        for reference, obj in as_cached(DESIRED).items()
    }
    assert plan(NAMESPACE, suspended, observed(objects=stopped), BLOCKED) == ()


OIDC = {
    "providerURL": "https://id.example.org/.well-known/openid-configuration",
    "clientID": "chat",
    "secretName": "login",
}
RENEWED = render(workspace(), PlatformSpec(), replace(CREDENTIALS, admin_password="another"))
LOGIN = {"oidc": ReferencedSecret("Opaque", {"clientSecret": "aHVzaA=="})}


def test_an_obsolete_copy_of_a_secret_is_deleted_after_what_used_it_is_written() -> None:
    before = render(workspace(access={"oidc": OIDC}), PlatformSpec(), CREDENTIALS, LOGIN)
    actions = plan(NAMESPACE, DESIRED, observed(objects=as_cached(before)))
    copy = next(
        manifest["metadata"]["name"]
        for manifest in before
        if manifest["kind"] == "Secret" and "oidc" in manifest["metadata"]["name"]
    )
    deletion = Delete(Ref("Secret", "team-a-aichat", copy), None, waits=True)
    assert actions[-2] == deletion
    assert "Deployment" in [manifest["kind"] for manifest in applied(actions[:-2])]
    assert plan(NAMESPACE, DESIRED, observed(objects=as_cached(before)), BLOCKED) == ()


def test_the_copy_of_old_credentials_is_deleted_last() -> None:
    old, new = _secret_of(DESIRED), _secret_of(RENEWED)
    actions = plan(NAMESPACE, RENEWED, observed())
    record, *_, deletion, correction = actions
    assert _recorded(record) == {old["metadata"]["name"], new["metadata"]["name"]}
    assert deletion == Delete(ref(old), None, waits=True)
    assert isinstance(correction, Apply)
    assert correction.waits
    assert _recorded(correction) == {new["metadata"]["name"]}
    assert Apply(new) in actions


@pytest.mark.parametrize("writes", range(6))
def test_no_copy_of_a_secret_is_forgotten_wherever_a_plan_is_interrupted(writes: int) -> None:
    server = ApiServer(namespace())
    server.execute_all(plan(NAMESPACE, DESIRED, server.observed))
    server.execute_all(plan(NAMESPACE, RENEWED, server.observed)[:writes])
    again = render(workspace(), PlatformSpec(), replace(CREDENTIALS, admin_password="a third"))
    server.execute_all(plan(NAMESPACE, again, server.observed))
    assert server.secrets.keys() == {ref(_secret_of(again))}
    assert plan(NAMESPACE, again, server.observed) == ()


def test_the_record_of_copies_names_only_copies() -> None:
    tenant = with_record(NAMESPACE, ["their-own", _secret_of(RENEWED)["metadata"]["name"]])
    tenant = {**tenant, "metadata": {**tenant["metadata"], "uid": "ns-1"}}
    actions = plan(NAMESPACE, DESIRED, observed(namespace=tenant))
    deleted = [action.ref for action in actions if isinstance(action, Delete)]
    assert deleted == [ref(_secret_of(RENEWED))]


def test_a_secret_that_is_no_copy_of_the_operator_is_not_deleted() -> None:
    objects = as_cached(DESIRED)
    target = ref(find_manifest("Ingress"))
    tls = [{"secretName": name} for name in ("team-a-aichat-openwebui-tls", "their-own")]
    objects[target] = {**objects[target], "spec": {**objects[target]["spec"], "tls": tls}}
    actions = plan(NAMESPACE, DESIRED, observed(objects=objects))
    assert not [action for action in actions if isinstance(action, Delete)]


def test_the_quota_is_never_below_the_sizes_of_the_claims() -> None:
    objects = as_cached(DESIRED)
    target = ref(find_manifest("PersistentVolumeClaim", "ollama"))
    larger = {**objects[target]["spec"], "resources": {"requests": {"storage": "50Gi"}}}
    objects[target] = {**objects[target], "spec": larger}
    (action,) = plan(NAMESPACE, DESIRED, observed(objects=objects))
    assert isinstance(action, Apply)
    assert action.manifest["kind"] == "ResourceQuota"
    assert action.manifest["spec"]["hard"]["requests.storage"] == "52Gi"
    assert action.manifest["spec"]["hard"]["pods"] == "2"


def test_a_frozen_workload_keeps_its_pod_template_and_gets_its_number_of_pods() -> None:
    objects = as_cached(DESIRED)
    target = ref(find_manifest("Deployment"))
    older: Any = copy.deepcopy(objects[target])
    older["spec"]["replicas"] = 0
    older["spec"]["template"]["spec"]["containers"][0]["image"] = "old:1"
    stray = Ref("ServiceAccount", "team-a-aichat", "older")
    wall = Ref("NetworkPolicy", "team-a-aichat", "older")
    obsolete = {
        reference: {
            "kind": reference.kind,
            "metadata": {"name": "older", "namespace": "team-a-aichat", "uid": "u"},
        }
        for reference in (stray, wall)
    }
    waiting = observed(objects={**objects, target: older, **obsolete})
    exceptions = Exceptions(frozen=frozenset({target}))
    actions = plan(NAMESPACE, DESIRED, waiting, exceptions=exceptions)
    assert actions == (Scale(target, 1), Delete(wall, "u", waits=True)), "a pod may use the other"


def test_an_object_that_is_as_it_came_back_is_not_written_again() -> None:
    stripped = namespace(labels={})
    tenant = observed(namespace=stripped)
    rewrites = _rewrites(stripped, plan(NAMESPACE, DESIRED, tenant))
    unchanged = unchanged_rewrites(NAMESPACE, DESIRED, tenant, rewrites)
    assert unchanged == {ref(NAMESPACE)}
    exceptions = Exceptions(rewritten=unchanged)
    assert plan(NAMESPACE, DESIRED, tenant, exceptions=exceptions) == ()
    other = observed(namespace=namespace(labels={"a": "b"}))
    again = _rewrites(
        namespace(labels={"aichatworkspace": "other"}), plan(NAMESPACE, DESIRED, other)
    )
    assert unchanged_rewrites(NAMESPACE, DESIRED, other, again) == frozenset()


def _rewrites(stored: Manifest, actions: Iterable[Action]) -> dict[Ref, Rewrite]:
    """What came back of the only write, an apply."""
    (applied_manifest,) = applied(actions)
    rewrite = find_rewrite(stored, applied_manifest)
    assert rewrite is not None
    return {rewrite.ref: rewrite}


def test_a_copy_is_recorded_in_a_namespace_that_is_as_it_came_back() -> None:
    exceptions = Exceptions(rewritten=frozenset({ref(NAMESPACE)}))
    first, *_ = plan(NAMESPACE, RENEWED, observed(), exceptions=exceptions)
    assert _recorded(first) == {_secret_of(m)["metadata"]["name"] for m in (DESIRED, RENEWED)}


def test_a_copy_that_a_frozen_workload_uses_stays_and_stays_recorded() -> None:
    again = render(workspace(), PlatformSpec(), replace(CREDENTIALS, admin_password="a third"))
    used, new, unused = (
        _secret_of(manifests)["metadata"]["name"] for manifests in (DESIRED, RENEWED, again)
    )
    exceptions = Exceptions(frozen=frozenset({ref(find_manifest("Deployment"))}))
    record, secret = plan(NAMESPACE, RENEWED, observed(), exceptions=exceptions)
    assert _recorded(record) == {used, new}
    assert secret == Apply(_secret_of(RENEWED))
    tenant = with_record(namespace(), [used, new, unused])
    actions = plan(NAMESPACE, RENEWED, observed(namespace=tenant), exceptions=exceptions)
    *_, deletion, correction = actions
    assert deletion == Delete(Ref("Secret", "team-a-aichat", unused), None, waits=True)
    assert _recorded(correction) == {used, new}
    assert [action for action in actions if isinstance(action, Delete)] == [deletion]


def with_foreign(obj: Manifest, part: str, name: str, value: str) -> Manifest:
    """As in a cache, after another one has added an annotation or a label."""
    entry = {"manager": "kubectl", "fieldsV1": {"f:metadata": {f"f:{part}": {f"f:{name}": {}}}}}
    metadata = obj["metadata"]
    added = {**metadata, part: {**metadata.get(part, {}), name: value}, "managedFields": [entry]}
    return keep_foreign({**obj, "metadata": {**added, "resourceVersion": "7"}}, names.OPERATOR)


@pytest.mark.parametrize("kind", ["Ingress", "Service"])
def test_a_foreign_annotation_of_a_way_in_is_taken_off(kind: str) -> None:
    name = "nginx.ingress.kubernetes.io/server-alias"
    target = ref(find_manifest(kind))
    objects = as_cached(DESIRED)
    objects[target] = with_foreign(objects[target], "annotations", name, "*.example.org")
    removal = {
        "op": "remove",
        "path": "/metadata/annotations/nginx.ingress.kubernetes.io~1server-alias",
    }
    (action,) = plan(NAMESPACE, DESIRED, observed(objects=objects))
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert action == Prune(target, [test, removal])
    allowed = ("nginx.ingress.kubernetes.io/*",)
    unchanged = plan(
        NAMESPACE,
        DESIRED,
        observed(objects=objects),
        exceptions=Exceptions(allowed_metadata=allowed),
    )
    assert unchanged == ()


def test_a_tenant_namespace_that_is_labelled_as_a_teams_loses_the_label() -> None:
    marked = with_foreign(namespace(), "labels", names.TEAM_LABEL, "true")
    (action,) = plan(NAMESPACE, DESIRED, observed(namespace=marked))
    assert isinstance(action, Prune)
    assert action.ref == Ref("Namespace", "", NAMESPACE["metadata"]["name"])
    assert action.operations[-1]["path"] == "/metadata/labels/aichatworkspaces.io~1team"


def test_what_platform_tools_write_may_stay_on_a_namespace() -> None:
    allowed = PlatformSpec().allowed.foreign_metadata
    for name in (
        "field.cattle.io/projectId",
        "kubectl.kubernetes.io/last-applied-configuration",
        "pod-security.kubernetes.io/warn",
        "velero.io/restore-name",
    ):
        marked = with_foreign(namespace(), "annotations", name, "x")
        assert (
            plan(
                NAMESPACE,
                DESIRED,
                observed(namespace=marked),
                exceptions=Exceptions(allowed_metadata=allowed),
            )
            == ()
        )


@pytest.mark.parametrize(
    "name",
    [
        "nginx.ingress.kubernetes.io/server-alias",
        "traefik.ingress.kubernetes.io/router.middlewares",
        "haproxy.org/backend-config-snippet",
        "ingress.kubernetes.io/rewrite-target",
        "kubernetes.io/ingress.class",
        "cert-manager.io/cluster-issuer",
        "external-dns.alpha.kubernetes.io/hostname",
        "pod-security.kubernetes.io/enforce",
        "aichatworkspaces.io/team",
        "apps.aichatworkspaces.io/retained",
        "istio-injection",
        "name",
    ],
)
def test_what_changes_routes_or_walls_is_not_allowed_by_default(name: str) -> None:
    assert not names.is_listed(name, PlatformSpec().allowed.foreign_metadata)
