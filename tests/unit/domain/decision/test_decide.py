"""Every case that one reconcile may meet, and what it decides."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.decide import decide
from aichat_workspace.domain.decision.decisions import (
    Decision,
    Expire,
    Finalize,
    Provision,
    Reject,
)
from aichat_workspace.domain.decision.snapshot import NewSecrets, Snapshot
from aichat_workspace.domain.decision.steps import (
    ApplySecret,
    ClaimNamespace,
    CreateNamespace,
    CreateSecret,
)
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.planning.actions import Apply, Delete, Prune, Scale
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.repairs import Repair
from aichat_workspace.domain.planning.rollout import Refusal, RolloutSlot
from aichat_workspace.domain.planning.secret_copies import (
    desired_copies,
    recorded_copies,
    with_record,
)
from aichat_workspace.domain.policy.blocking import blocks_models
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render import credentials, render, retained_namespace
from aichat_workspace.domain.render.context import Credentials
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from tests.unit.domain.samples import (
    NOW,
    SYSTEM_CONFIG_MAPS,
    SYSTEM_SECRETS,
    as_cached,
    namespace,
    workspace,
)

NAME = "team-a-aichat"
NEW_SECRETS = NewSecrets("new-key", "new-password", "new-token")
PLATFORM = PlatformSpec()
FINALIZERS = {"finalizers": [names.FINALIZER]}
DELETED = {**FINALIZERS, "deletionTimestamp": "2026-11-23T11:30:00Z"}
YOUNGER = {"uid": "uid-b", "name": "other", "creationTimestamp": "2026-11-23T11:59:00Z"}
RECORDED = {"namespace": {"name": NAME, "uid": "ns-1"}}
OWN = Credentials("key", f"admin@{NAME}.localtest.me", "password")
TOO_MUCH: Any = {"resources": {"ollama": {"memoryLimit": "900Gi"}}}
CEILING = PlatformSpec.model_validate({"ceiling": {"memory": "64Gi"}})


def secret_of(owner: Workspace) -> Manifest:
    return {**credentials.manifest(owner, OWN), "metadata": _metadata_of(owner)}


def _metadata_of(owner: Workspace) -> Mapping[str, Any]:
    stored = {"uid": "secret-1", "resourceVersion": "7"}
    return {**credentials.manifest(owner, OWN)["metadata"], **stored}


def snapshot(
    *claimants: Workspace,
    tenant: Manifest | None = None,
    secrets: Mapping[str, Manifest] | None = None,
    **changes: Any,
) -> Snapshot:
    """A snapshot of these resources, whose tenant's namespace is `tenant`."""
    observed = Observed(namespace=tenant)
    own = {names.credentials(NAME): secret_of(claimants[0])} if claimants else {}
    facts = Snapshot(
        claimants, PLATFORM, NEW_SECRETS, observed, own if secrets is None else secrets
    )
    return replace(facts, **changes)


def steps_of(decision: Decision) -> list[str]:
    assert isinstance(decision, Provision | Finalize)
    return [type(step).__name__ for step in decision.steps]


FRESH = workspace()
KEPT = workspace(metadata=FINALIZERS)
GONE = workspace(metadata=DELETED)
RETAINED = {
    **namespace(),
    "metadata": {
        **retained_namespace(workspace(metadata={"uid": "uid-0"}))["metadata"],
        "uid": "ns-1",
    },
}
FOREIGN = {**namespace(), "metadata": {"name": NAME, "uid": "ns-9"}}
HEIR = workspace(namespaceUID="ns-1")
TERMINATING = namespace(deletionTimestamp="2026-11-23T11:58:00Z")
NO_SECRET: dict[str, Manifest] = {}


@pytest.mark.parametrize(
    ("facts", "outcome", "steps"),
    [
        # a resource, its namespace, its credentials
        (
            snapshot(FRESH, secrets=NO_SECRET),
            Provision,
            ["AddFinalizer", "CreateSecret", "CreateNamespace"],
        ),
        (snapshot(KEPT, secrets=NO_SECRET), Provision, ["CreateSecret", "CreateNamespace"]),
        (snapshot(KEPT), Provision, ["CreateNamespace"]),
        (snapshot(KEPT, tenant=namespace()), Provision, []),
        (snapshot(KEPT, tenant=TERMINATING), Provision, []),
        (
            snapshot(HEIR, tenant=RETAINED),
            Provision,
            ["AddFinalizer", "ClaimNamespace"],
        ),
        (
            snapshot(
                HEIR,
                tenant=RETAINED,
                secrets={names.credentials(NAME): secret_of(workspace(metadata={"uid": "uid-0"}))},
            ),
            Provision,
            ["AddFinalizer", "ApplySecret", "ClaimNamespace"],
        ),
        (
            snapshot(
                KEPT,
                secrets={names.credentials(NAME): secret_of(workspace(metadata={"uid": "uid-0"}))},
            ),
            Provision,
            ["DeleteSecret", "CreateSecret", "CreateNamespace"],
        ),
        (snapshot(FRESH, platform=CEILING), Provision, ["AddFinalizer", "CreateNamespace"]),
        # its end
        (snapshot(workspace(metadata={**DELETED, "finalizers": []})), Finalize, []),
        (
            snapshot(GONE, secrets=NO_SECRET),
            Finalize,
            ["ConfirmNamespaceGone", "RemoveFinalizer"],
        ),
        (snapshot(GONE), Finalize, ["ConfirmNamespaceGone", "DeleteSecret", "RemoveFinalizer"]),
        (snapshot(GONE, tenant=FOREIGN), Finalize, ["DeleteSecret", "RemoveFinalizer"]),
        (snapshot(GONE, tenant=namespace()), Finalize, ["DeleteNamespace"]),
        (
            snapshot(workspace(metadata=DELETED, deletionPolicy="Retain"), tenant=namespace()),
            Finalize,
            ["ClaimNamespace", "AnnounceRetained", "RemoveFinalizer"],
        ),
        (
            snapshot(workspace(metadata=DELETED, deletionPolicy="Retain"), tenant=TERMINATING),
            Finalize,
            ["RemoveFinalizer"],
        ),
    ],
)
def test_steps_bring_each_case_forward(
    facts: Snapshot, outcome: type[Decision], steps: list[str]
) -> None:
    (decision,) = decide(facts, NOW)
    assert isinstance(decision, outcome)
    assert steps_of(decision) == steps


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (snapshot(FRESH, tenant=FOREIGN), "NamespaceTaken"),
        (snapshot(FRESH, tenant=RETAINED), "NamespaceRetained"),
        (snapshot(workspace("kube-system"), tenant=None), "NamespaceReserved"),
    ],
)
def test_a_namespace_that_is_not_its_own_rejects_a_workspace(facts: Snapshot, reason: str) -> None:
    (decision,) = decide(facts, NOW)
    assert isinstance(decision, Reject)
    assert decision.rejection.reason == reason


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (snapshot(workspace(**TOO_MUCH), platform=CEILING), "CeilingExceeded"),
        (snapshot(workspace(access={"adminSecretName": "boss"})), "SecretNotFound"),
        (
            snapshot(
                workspace(ingress={"host": "chat.shared.localtest.me"}),
                platform=PlatformSpec.model_validate(
                    {"ingress": {"allowedDomains": ["localtest.me"]}}
                ),
                rivals=(
                    workspace(
                        "team-b-aichat",
                        ingress={"host": "chat.shared.localtest.me"},
                        metadata={"uid": "uid-0", "creationTimestamp": "2026-11-23T10:00:00Z"},
                    ),
                ),
            ),
            "HostTaken",
        ),
        (
            snapshot(FRESH, secrets={names.credentials(NAME): {"metadata": {"name": "x"}}}),
            "SecretTaken",
        ),
    ],
)
def test_nothing_is_created_for_a_problem_and_no_namespace(facts: Snapshot, reason: str) -> None:
    (decision,) = decide(facts, NOW)
    assert isinstance(decision, Provision)
    assert [problem.reason for problem in decision.problems] == [reason]
    assert not decision.steps
    assert not decision.actions
    assert not decision.desired


def test_a_problem_blocks_only_the_kinds_that_depend_on_it() -> None:
    broken = workspace(metadata=FINALIZERS, **TOO_MUCH)
    (decision,) = decide(snapshot(broken, tenant=namespace(), platform=CEILING), NOW)
    assert isinstance(decision, Provision)
    kinds = {action.manifest["kind"] for action in decision.actions if isinstance(action, Apply)}
    assert "NetworkPolicy" in kinds
    assert not kinds & {"StatefulSet", "Deployment", "PersistentVolumeClaim", "ResourceQuota"}


def test_settings_that_are_not_understood_leave_what_depends_on_them_as_it_is() -> None:
    """No default stands in for them, and a limit that is not known breaks nothing."""
    own = workspace(metadata=FINALIZERS, ingress={"host": "our.corp.example"})
    unknown = {"ingress": "ingress.profile: not one of them"}
    objects = as_cached(render(own, PLATFORM, OWN))
    edited = {
        ref: {**manifest, "spec": {}} if ref.kind in ("Ingress", "ResourceQuota") else manifest
        for ref, manifest in objects.items()
    }
    observed = Observed(namespace=namespace(), objects=edited)
    (decision,) = decide(snapshot(own, observed=observed, unknown_settings=unknown), NOW)
    assert isinstance(decision, Provision)
    assert [problem.reason for problem in decision.problems] == ["SettingsNotUnderstood"]
    assert "spec.ingress.profile" in decision.problems[0].message
    assert decision.actions == ()
    (decision,) = decide(
        snapshot(own, observed=observed, unknown_settings={"network": "network: no"}), NOW
    )
    assert isinstance(decision, Provision)
    reasons = [problem.reason for problem in decision.problems]
    assert reasons == ["SettingsNotUnderstood", "HostNotAllowed"]
    written = {action.manifest["kind"] for action in decision.actions if isinstance(action, Apply)}
    assert written == {"ResourceQuota"}, "which depends on neither"


def test_settings_that_are_not_understood_keep_no_workspace_from_ending() -> None:
    unknown = {"models": "models: no"}
    (decision,) = decide(snapshot(GONE, tenant=namespace(), unknown_settings=unknown), NOW)
    assert steps_of(decision) == ["DeleteNamespace"]


def test_a_namespace_that_is_being_deleted_gets_nothing() -> None:
    (decision,) = decide(snapshot(KEPT, tenant=TERMINATING), NOW)
    assert isinstance(decision, Provision)
    assert decision.actions == ()
    assert decision.obstacle is not None
    assert decision.obstacle.reason == "NamespaceTerminating"


def test_a_tenant_that_is_as_desired_gets_nothing() -> None:
    objects = as_cached(render(KEPT, PLATFORM, OWN))
    observed = Observed(namespace=namespace(), objects=objects)
    (decision,) = decide(snapshot(KEPT, observed=observed), NOW)
    assert isinstance(decision, Provision)
    assert (decision.steps, decision.actions, decision.problems) == ((), (), ())


def test_a_drifted_namespace_is_repaired() -> None:
    stripped = namespace(labels={})
    (decision,) = decide(snapshot(KEPT, tenant=stripped), NOW)
    assert isinstance(decision, Provision)
    first = decision.actions[0]
    assert isinstance(first, Apply)
    assert (first.manifest["kind"], first.manifest["metadata"]["uid"]) == ("Namespace", "ns-1")


def test_a_route_at_a_host_that_is_denied_goes_at_once() -> None:
    rival = workspace(
        "team-b-aichat",
        ingress={"host": f"{NAME}.localtest.me"},
        metadata={"uid": "uid-0", "creationTimestamp": "2026-11-23T10:00:00Z"},
    )
    own = workspace(metadata=FINALIZERS, ingress={"host": "chat.shared.localtest.me"})
    objects = as_cached(render(own, PLATFORM, OWN))
    taken = replace(
        snapshot(own, observed=Observed(namespace=namespace(), objects=objects)),
        platform=PlatformSpec.model_validate({"ingress": {"allowedDomains": ["localtest.me"]}}),
        rivals=(
            rival.model_copy(
                update={"spec": rival.spec.model_copy(update={"ingress": own.spec.ingress})}
            ),
        ),
    )
    (decision,) = decide(taken, NOW)
    assert isinstance(decision, Provision)
    assert [problem.reason for problem in decision.problems] == ["HostTaken"]
    removed = [action.ref.kind for action in decision.actions if isinstance(action, Delete)]
    assert removed == ["Ingress"]


def test_a_problem_keeps_the_images_that_last_worked() -> None:
    working = {"images": {"ollama": "old/ollama:1", "openWebUI": "old/webui:1"}}
    broken = workspace(metadata=FINALIZERS, status=working, **TOO_MUCH)
    decisions = decide(snapshot(broken, tenant=namespace(), platform=CEILING), NOW)
    assert _images(decisions) == {"old/ollama:1", "old/webui:1"}


def test_a_claimant_that_lost_expires_as_any_other() -> None:
    mortal: Any = {"expiresAfter": "2h", "metadata": YOUNGER}
    _, rejected = decide(snapshot(KEPT, workspace(**mortal)), NOW)
    assert isinstance(rejected, Reject)
    assert rejected.expires_in_seconds == 7140
    _, expired = decide(snapshot(KEPT, workspace(**mortal)), NOW + timedelta(hours=2))
    assert isinstance(expired, Expire)


def test_a_rejected_workspace_expires_as_any_other() -> None:
    mortal = workspace(expiresAfter="2h")
    (decision,) = decide(snapshot(mortal, tenant=FOREIGN), NOW)
    assert isinstance(decision, Reject)
    assert decision.expires_in_seconds == 3600


def test_another_workload_with_such_a_container_is_not_the_workspaces_own() -> None:
    objects = as_cached(render(KEPT, PLATFORM, OWN))
    ref, stateful_set = next(item for item in objects.items() if item[0].kind == "StatefulSet")
    template = {"spec": {"containers": [{"name": "ollama", "image": "evil/ollama:1"}]}}
    stranger = {**stateful_set, "spec": {**stateful_set["spec"], "template": template}}
    observed = Observed(
        namespace=namespace(), objects={**objects, replace(ref, name="zzz"): stranger}
    )
    slot = RolloutSlot(Refusal.WAITING)
    images = _images(decide(snapshot(KEPT, observed=observed, rollout_slot=slot), NOW))
    assert images == set(PLATFORM.images.resolved)


def test_no_resource_needs_no_decision() -> None:
    assert decide(snapshot(), NOW) == ()


def test_the_first_claimant_counts_and_is_served_before_the_others() -> None:
    second = workspace(metadata=YOUNGER)
    provisioned, rejected = decide(snapshot(second, KEPT), NOW)
    assert isinstance(rejected, Reject)
    assert rejected.workspace is second
    assert rejected.rejection.reason == "WorkspaceNameTaken"
    assert isinstance(provisioned, Provision)
    assert provisioned.workspace is KEPT


def test_a_deleted_claimant_that_lost_ends_without_the_tenant() -> None:
    lost = workspace(metadata={**YOUNGER, **DELETED})
    _, ended = decide(snapshot(KEPT, lost, tenant=namespace()), NOW)
    assert isinstance(ended, Finalize)
    assert steps_of(ended) == ["RemoveFinalizer"], "the credentials are another's"
    assert not ended.ends_tenant


def test_a_workspace_whose_time_is_over_expires() -> None:
    mortal = workspace(expiresAfter="1h")
    (decision,) = decide(snapshot(mortal), NOW)
    assert decision == Expire(mortal)
    (decision,) = decide(snapshot(mortal), NOW - timedelta(seconds=90))
    assert isinstance(decision, Provision)
    assert decision.expires_in_seconds == 90


@pytest.mark.parametrize(
    ("ahead", "is_believed"),
    [
        (timedelta(minutes=4), True),
        (timedelta(minutes=-4), True),
        (timedelta(minutes=6), False),
        (timedelta(minutes=-6), False),
        (timedelta(days=30), False),
        (None, False),
    ],
)
def test_nothing_expires_by_a_clock_that_disagrees_with_the_api_servers(
    ahead: timedelta | None, *, is_believed: bool
) -> None:
    mortal = workspace(metadata=FINALIZERS, expiresAfter="1h")
    (decision,) = decide(snapshot(mortal, tenant=namespace(), clock_ahead=ahead), NOW)
    assert isinstance(decision, Expire) is is_believed
    if isinstance(decision, Provision):
        assert decision.delay is not None
        assert decision.delay.reason == "ClockDisagrees"
        assert decision.expires_in_seconds == 60, "then it is looked at again"
    (decision,) = decide(
        snapshot(mortal, tenant=namespace(), clock_ahead=ahead), NOW - timedelta(seconds=9)
    )
    assert isinstance(decision, Provision)
    assert decision.delay is None, "before the time is over no clock is asked"


def test_a_workspace_whose_time_is_over_can_be_stopped() -> None:
    mortal = workspace(metadata=FINALIZERS, expiresAfter="1h", expiry="Suspend")
    (decision,) = decide(snapshot(mortal, tenant=namespace()), NOW)
    assert isinstance(decision, Provision)
    assert decision.is_expired
    assert decision.expires_in_seconds is None
    replicas = [
        manifest["spec"]["replicas"]
        for manifest in decision.desired
        if manifest["kind"] in ("StatefulSet", "Deployment")
    ]
    assert replicas == [0, 0]
    longer = workspace(metadata=FINALIZERS, expiresAfter="2h", expiry="Suspend")
    (decision,) = decide(snapshot(longer, tenant=namespace()), NOW)
    assert isinstance(decision, Provision)
    assert not decision.is_expired


def test_what_was_stopped_at_its_end_stays_so_while_clocks_disagree() -> None:
    stopped = workspace(
        metadata=FINALIZERS,
        status={"phase": "Suspended"},
        expiresAfter="1h",
        expiry="Suspend",
    )
    (decision,) = decide(
        snapshot(stopped, tenant=namespace(), clock_ahead=timedelta(minutes=6)), NOW
    )
    assert isinstance(decision, Provision)
    assert decision.is_expired
    assert decision.delay is not None
    replicas = {
        manifest["spec"]["replicas"]
        for manifest in decision.desired
        if manifest["kind"] in ("StatefulSet", "Deployment")
    }
    assert replicas == {0}


def test_a_new_namespace_has_the_names_of_its_secrets_from_the_start() -> None:
    (decision,) = decide(snapshot(KEPT), NOW)
    assert isinstance(decision, Provision)
    (create,) = (step for step in decision.steps if isinstance(step, CreateNamespace))
    assert recorded_copies(create.manifest) == desired_copies(decision.desired)
    assert not [
        action
        for action in decision.actions
        if isinstance(action, Apply) and action.manifest["kind"] == "Namespace"
    ]


@pytest.mark.parametrize("takes_over", [True, False], ids=["taken over", "retained"])
def test_names_of_secrets_outlive_another_owner_of_the_namespace(*, takes_over: bool) -> None:
    leftover = f"{NAME}-openwebui-0123456789"
    if takes_over:
        facts = snapshot(HEIR, tenant=with_record(RETAINED, [leftover]))
    else:
        retained = workspace(metadata=DELETED, deletionPolicy="Retain")
        facts = snapshot(retained, tenant=with_record(namespace(), [leftover]))
    (decision,) = decide(facts, NOW)
    assert isinstance(decision, Provision | Finalize)
    (claim,) = (step for step in decision.steps if isinstance(step, ClaimNamespace))
    assert leftover in recorded_copies(claim.manifest)


def test_a_repair_names_who_changed_what_and_what_is_wanted() -> None:
    objects = as_cached(render(KEPT, PLATFORM, OWN))
    ref = next(ref for ref in objects if ref.kind == "Deployment")
    spec = {**objects[ref]["spec"], "replicas": 7}
    foreign = [{"manager": "hpa", "f:spec": {"f:replicas": {}}}]
    metadata = {**objects[ref]["metadata"], "foreignFields": foreign}
    drifted = {**objects, ref: {**objects[ref], "spec": spec, "metadata": metadata}}

    def decided(objects: Mapping[Any, Any], **spec: Any) -> tuple[Repair, ...]:
        known = {"resources": [{"kind": ref.kind, "name": ref.name, "state": "Present"}]}
        owner = workspace(metadata=FINALIZERS, status=known, **spec)
        observed = Observed(namespace=namespace(), objects=objects)
        (decision,) = decide(snapshot(owner, observed=observed), NOW)
        assert isinstance(decision, Provision)
        return decision.repairs

    digest = objects[ref]["metadata"]["annotations"][names.APPLIED_ANNOTATION]
    assert decided(drifted) == (Repair(ref, digest, ("hpa",), ("spec.replicas",)),)
    assert decided({key: value for key, value in objects.items() if key != ref}) == (
        Repair(ref, digest, is_gone=True),
    )
    assert decided(objects) == ()
    assert digest not in {repair.digest for repair in decided(objects, suspended=True)}
    stray = replace(ref, kind="Service", name="left-over")
    assert decided({**objects, stray: {"metadata": {"uid": "u"}}}) == (
        Repair(stray, "", is_extra=True),
    )
    (drifted_namespace,) = (
        repair
        for repair in _repairs_of(snapshot(KEPT, tenant=namespace(labels={})))
        if repair.ref.kind == "Namespace"
    )
    assert drifted_namespace.ref.name == NAME
    assert decided({}) == (Repair(ref, digest, is_gone=True),), "the others were never there"


def test_a_lost_namespace_is_struck_from_the_record_before_the_next_one() -> None:
    (decision,) = decide(snapshot(workspace(metadata=FINALIZERS, status=RECORDED)), NOW)
    assert isinstance(decision, Provision)
    assert decision.strikes_namespace
    (decision,) = decide(snapshot(KEPT), NOW)
    assert isinstance(decision, Provision)
    assert not decision.strikes_namespace


def test_new_credentials_come_from_the_snapshots_randomness() -> None:
    (decision,) = decide(snapshot(KEPT, secrets=NO_SECRET), NOW)
    assert isinstance(decision, Provision)
    assert decision.credentials.secret_key == "new-key"
    assert decision.credentials.admin_password == "new-password"
    (create,) = (step for step in decision.steps if isinstance(step, CreateSecret))
    assert credentials.read(create.manifest) == decision.credentials


def test_a_password_reset_renews_the_password_alone() -> None:
    reset = workspace(metadata=FINALIZERS, access={"passwordReset": "monday"})
    secrets = {names.credentials(NAME): secret_of(KEPT)}
    (decision,) = decide(snapshot(reset, tenant=namespace(), secrets=secrets), NOW)
    assert isinstance(decision, Provision)
    (renewal,) = (step for step in decision.steps if isinstance(step, ApplySecret))
    assert renewal.reason == "password renewed"
    assert credentials.read(renewal.manifest) == replace(OWN, admin_password="new-password")


def test_a_restart_writes_one_workload_and_nothing_when_it_is_done_or_taken_out() -> None:
    restarted = workspace(metadata=FINALIZERS, restart={"openWebUI": "monday"})
    before = render(workspace(), PLATFORM, OWN)
    stored = Observed(namespace=namespace(), objects=as_cached(before))
    (decision,) = decide(snapshot(restarted, observed=stored), NOW)
    assert isinstance(decision, Provision)
    (write,) = decision.actions
    assert isinstance(write, Apply)
    template = write.manifest["spec"]["template"]
    assert write.manifest["kind"] == "Deployment"
    assert template["metadata"]["annotations"] == {names.RESTART_ANNOTATION: "monday"}
    after = Observed(namespace=namespace(), objects=as_cached(render(restarted, PLATFORM, OWN)))
    for resource in (restarted, workspace(metadata=FINALIZERS)):
        (decision,) = decide(snapshot(resource, observed=after), NOW)
        assert isinstance(decision, Provision)
        assert decision.actions == ()


@pytest.mark.parametrize("made_for", ["uid-0", "uid-1"])
def test_credentials_are_replaced_only_where_they_are_as_they_were_seen(made_for: str) -> None:
    """F3: an older Secret of a namesake, seen beside the newer namespace, would bring its data into
    the newer Secret."""
    resource = workspace(metadata=FINALIZERS, access={"passwordReset": "monday"})
    seen = secret_of(workspace(metadata={"uid": made_for}))
    secrets = {names.credentials(NAME): seen}
    (decision,) = decide(snapshot(resource, tenant=namespace(), secrets=secrets), NOW)
    assert isinstance(decision, Provision)
    (applied,) = (step for step in decision.steps if isinstance(step, ApplySecret))
    metadata = applied.manifest["metadata"]
    assert metadata["uid"] == seen["metadata"]["uid"]
    assert metadata["resourceVersion"] == seen["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("made_for", "reset", "is_renewed"),
    [("", "monday", True), ("sunday", "monday", True), ("monday", "monday", False)],
)
def test_a_password_reset_at_a_take_over_is_made(
    made_for: str, reset: str, *, is_renewed: bool
) -> None:
    left_behind = workspace(metadata={"uid": "uid-0"}, access={"passwordReset": made_for})
    heir = workspace(metadata=FINALIZERS, namespaceUID="ns-1", access={"passwordReset": reset})
    secrets = {names.credentials(NAME): secret_of(left_behind)}
    (decision,) = decide(snapshot(heir, tenant=RETAINED, secrets=secrets), NOW)
    assert isinstance(decision, Provision)
    (applied,) = (step for step in decision.steps if isinstance(step, ApplySecret))
    renewed = replace(OWN, admin_password="new-password")
    assert credentials.read(applied.manifest) == (renewed if is_renewed else OWN)
    assert credentials.belongs_to(applied.manifest, heir)
    assert not credentials.wants_new_password(heir, applied.manifest)


def test_a_reset_that_does_not_apply_at_a_take_over_is_made_when_it_does() -> None:
    given: Any = {"passwordReset": "monday", "adminSecretName": "boss"}
    heir = workspace(metadata=FINALIZERS, namespaceUID="ns-1", access=given)
    annotations = {names.SECRET_FOR_ANNOTATION: f"{heir.namespace}/{heir.name}"}
    data = {"email": "Ym9zcw==", "password": "Ym9zcw=="}
    secrets = {
        names.credentials(NAME): secret_of(workspace(metadata={"uid": "uid-0"})),
        "boss": {"metadata": {"annotations": annotations}, "data": data},
    }
    (decision,) = decide(snapshot(heir, tenant=namespace(), secrets=secrets), NOW)
    assert isinstance(decision, Provision)
    (applied,) = (step for step in decision.steps if isinstance(step, ApplySecret))
    assert credentials.read(applied.manifest) == OWN
    without = workspace(metadata=FINALIZERS, access={"passwordReset": "monday"})
    assert credentials.wants_new_password(without, applied.manifest)


def test_images_are_kept_until_a_slot_is_granted() -> None:
    working = {"images": {"ollama": "old/ollama:1", "openWebUI": "old/webui:1"}}
    waiting = workspace(metadata=FINALIZERS, status={**working, "observedGeneration": 1})
    no_slot = RolloutSlot(Refusal.WAITING)
    images = {
        granted: _images(decide(snapshot(waiting, tenant=namespace(), rollout_slot=slot), NOW))
        for granted, slot in ((False, no_slot), (True, RolloutSlot()))
    }
    assert images[False] == {"old/ollama:1", "old/webui:1"}
    assert images[True] == set(PLATFORM.images.resolved)


def test_the_platforms_metadata_of_a_namespace_is_kept_while_it_is_unknown() -> None:
    spec = {"namespaceMetadata": {"labels": {"example.org/tier": "b"}}}
    platform = PlatformSpec.model_validate(spec)
    created = provision(snapshot(KEPT, platform=platform)).steps[-1]
    assert isinstance(created, CreateNamespace)
    body = created.manifest
    assert body["metadata"]["labels"]["example.org/tier"] == "b"
    marked = {**body, "metadata": {**namespace()["metadata"], **body["metadata"], "uid": "ns-1"}}
    facts = snapshot(KEPT, tenant=marked)
    assert any(isinstance(action, Prune) for action in provision(facts).actions)
    unknown = replace(facts, unknown_settings={"namespaceMetadata": "namespaceMetadata: no"})
    assert not any(isinstance(action, Prune) for action in provision(unknown).actions)


def of_classes(**limits: str) -> PlatformSpec:
    """Settings with a size class of each name, and its limit of memory."""
    classes = [
        {"name": name, "resources": {"ollama": {"memoryLimit": limit}}}
        for name, limit in limits.items()
    ]
    return PlatformSpec.model_validate({"sizeClasses": classes})


def sized(class_name: str, generation: int = 1) -> Workspace:
    """A workspace of a class, whose pods run."""
    status = {
        "images": dict(zip(("ollama", "openWebUI"), PLATFORM.images.resolved, strict=True)),
        "observedGeneration": 1,
        "rollout": {"generation": 1, "spec": workspace(className="small").spec_digest},
    }
    metadata = {**FINALIZERS, "generation": generation}
    return workspace(metadata=metadata, status=status, className=class_name)


def provision(facts: Snapshot) -> Provision:
    (decision,) = decide(facts, NOW)
    assert isinstance(decision, Provision)
    return decision


def test_a_class_that_changes_or_is_replaced_takes_turns_and_another_class_goes_at_once() -> None:
    before = of_classes(small="4Gi", large="8Gi")
    running = provision(snapshot(sized("small"), tenant=namespace(), platform=before)).desired
    no_slot = RolloutSlot(Refusal.WAITING)
    facts = snapshot(sized("small"), tenant=namespace(), rollout_slot=no_slot, platform=before)
    facts = replace(facts, observed=replace(facts.observed, objects=as_cached((*running,))))
    assert provision(facts).pods.refusal is None
    small, large = before.size_classes
    retired = small.model_copy(update={"successor": "large"})
    replaced = before.model_copy(update={"size_classes": (retired, large)})
    for platform in (of_classes(small="6Gi", large="8Gi"), replaced):
        waiting = provision(replace(facts, platform=platform))
        assert waiting.pods.refusal is Refusal.WAITING
        assert {workload.kind for workload in waiting.pods.frozen} == {"StatefulSet"}
        granted = replace(facts, platform=platform, rollout_slot=RolloutSlot())
        assert provision(granted).pods.begins_turn
    edited = provision(replace(facts, claimants=(sized("large", generation=2),)))
    assert not edited.pods.frozen
    (memory,) = (
        manifest["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        for manifest in edited.desired
        if manifest["kind"] == "StatefulSet"
    )
    assert memory == "8Gi"


def _quota_memory(decision: Provision) -> str:
    (quota,) = (item for item in decision.desired if item["kind"] == "ResourceQuota")
    return str(quota["spec"]["hard"]["limits.memory"])


def test_pods_that_wait_for_a_smaller_size_have_room_until_their_turn() -> None:
    before, after = of_classes(small="8Gi"), of_classes(small="4Gi")
    running = provision(snapshot(sized("small"), tenant=namespace(), platform=before))
    no_slot = RolloutSlot(Refusal.WAITING)
    facts = snapshot(sized("small"), tenant=namespace(), rollout_slot=no_slot, platform=after)
    facts = replace(facts, observed=replace(facts.observed, objects=as_cached((*running.desired,))))
    granted = provision(replace(facts, rollout_slot=RolloutSlot()))
    assert _quota_memory(provision(facts)) == _quota_memory(running) != _quota_memory(granted)
    grown = replace(facts, platform=of_classes(small="12Gi"))
    in_turn = replace(grown, rollout_slot=RolloutSlot())
    assert _quota_memory(provision(grown)) == _quota_memory(provision(in_turn))


def test_only_a_new_workspace_is_refused_a_retired_class() -> None:
    classes = [{"name": "tiny", "successor": "small"}, {"name": "small"}]
    platform = PlatformSpec.model_validate({"sizeClasses": classes})
    new = provision(snapshot(workspace(className="tiny"), platform=platform))
    (problem,) = new.problems
    assert (problem.reason, new.steps) == (Reason.SIZE_CLASS_NOT_ALLOWED, ())
    assert "'tiny' is retired" in problem.message
    # One whose namespace somebody deleted is not new, nor one that takes a namespace over.
    lost = workspace(metadata=FINALIZERS, className="tiny", status=RECORDED)
    heir = workspace(className="tiny", namespaceUID="ns-1")
    for facts in (
        snapshot(lost, platform=platform),
        snapshot(sized("tiny"), tenant=namespace(), platform=platform),
        snapshot(heir, tenant=RETAINED, platform=platform),
    ):
        assert provision(facts).problems == ()


def test_a_class_that_is_gone_keeps_pods_and_models_as_they_are() -> None:
    before = of_classes(small="4Gi")
    running = provision(snapshot(sized("small"), tenant=namespace(), platform=before)).desired
    facts = snapshot(sized("small"), tenant=namespace(), platform=of_classes(large="8Gi"))
    facts = replace(facts, observed=replace(facts.observed, objects=as_cached((*running,))))
    decision = provision(facts)
    assert [problem.reason for problem in decision.problems] == [Reason.SIZE_CLASS_NOT_FOUND]
    assert decision.actions == ()
    assert blocks_models(decision.problems)


def _repairs_of(facts: Snapshot) -> tuple[Repair, ...]:
    (decision,) = decide(facts, NOW)
    assert isinstance(decision, Provision)
    return decision.repairs


def _images(decisions: tuple[Decision, ...]) -> set[str]:
    (decision,) = decisions
    assert isinstance(decision, Provision)
    return {
        container["image"]
        for manifest in decision.desired
        if manifest["kind"] in ("StatefulSet", "Deployment")
        for container in manifest["spec"]["template"]["spec"]["containers"]
    }


@pytest.mark.parametrize("spec", [{}, {"expiresAfter": "2h"}])
def test_the_platforms_switch_retains_every_namespace(spec: dict[str, Any]) -> None:
    switched = PlatformSpec.model_validate({"deletion": {"retainAll": True}})
    ended = workspace(metadata=DELETED, **spec)
    for facts in (
        snapshot(ended, tenant=namespace(), platform=switched),
        snapshot(ended, tenant=namespace(), unknown_settings={"deletion": "deletion: no"}),
    ):
        (decision,) = decide(facts, NOW)
        assert steps_of(decision) == ["ClaimNamespace", "AnnounceRetained", "RemoveFinalizer"]


def test_a_retained_workspace_stops_and_frees_its_host() -> None:
    retained = workspace(metadata=DELETED, deletionPolicy="Retain")
    observed = Observed(namespace=namespace(), objects=as_cached(render(KEPT, PLATFORM, OWN)))
    (decision,) = decide(snapshot(retained, observed=observed), NOW)
    assert isinstance(decision, Finalize)
    stopped = {step.ref.kind for step in decision.steps if isinstance(step, Scale)}
    removed = {step.ref.kind for step in decision.steps if isinstance(step, Delete)}
    assert (stopped, removed) == ({"StatefulSet", "Deployment"}, {"Ingress"})


def test_what_is_stopped_or_on_its_way_out_is_not_ended_again() -> None:
    retained = workspace(metadata=DELETED, deletionPolicy="Retain")
    objects = as_cached(render(workspace(suspended=True), PLATFORM, OWN))
    going = {"deletionTimestamp": "2026-11-23T11:59:00Z"}
    ending = {
        ref: {**manifest, "metadata": {**manifest["metadata"], **going}}
        for ref, manifest in objects.items()
    }
    observed = Observed(namespace=TERMINATING, objects=ending)
    (decision,) = decide(snapshot(retained, observed=observed), NOW)
    assert steps_of(decision) == ["RemoveFinalizer"]


class TestWhatTheSettingsNameForAll:
    PLATFORM = PlatformSpec.model_validate(
        {"imagePullSecretNames": ["registry"], "trustedAuthorities": {"configMapName": "corp"}}
    )

    def decided(self, **changes: Any) -> Provision:
        secrets = {names.credentials(NAME): secret_of(KEPT), **changes.pop("secrets", {})}
        facts = snapshot(KEPT, secrets=secrets, platform=self.PLATFORM, **changes)
        (decision,) = decide(facts, NOW)
        assert isinstance(decision, Provision)
        return decision

    def test_a_new_workspace_waits_for_it_and_says_for_what(self) -> None:
        decision = self.decided()
        assert decision.steps == ()
        reasons = [problem.reason for problem in decision.problems]
        assert reasons == ["PullSecretNotFound", "AuthoritiesNotFound"]

    def test_an_existing_one_keeps_its_pods_and_copies_while_it_is_missing(self) -> None:
        actions = self.decided(tenant=namespace()).actions
        kinds = {action.manifest["kind"] for action in actions if isinstance(action, Apply)}
        assert kinds.isdisjoint({"Secret", "ServiceAccount", "StatefulSet", "Deployment"})
        assert "NetworkPolicy" in kinds
        assert not [action for action in actions if isinstance(action, Delete)]

    @pytest.mark.parametrize(
        ("present", "reason"),
        [
            ({"config_maps": SYSTEM_CONFIG_MAPS}, "PullSecretNotFound"),
            ({"secrets": SYSTEM_SECRETS}, "AuthoritiesNotFound"),
        ],
    )
    def test_either_that_is_missing_alone_takes_no_chat_down(
        self, present: dict[str, Any], reason: str
    ) -> None:
        decision = self.decided(tenant=namespace(), **present)
        assert [problem.reason for problem in decision.problems] == [reason]
        applied = [action for action in decision.actions if isinstance(action, Apply)]
        assert len(applied) == len(decision.actions)
        written = {action.manifest["kind"] for action in applied}
        assert written.isdisjoint({"Secret", "StatefulSet", "Deployment"})

    def test_with_it_the_tenant_gets_its_copies(self) -> None:
        decision = self.decided(
            tenant=namespace(), secrets=SYSTEM_SECRETS, config_maps=SYSTEM_CONFIG_MAPS
        )
        assert decision.problems == ()
        copies = {
            action.manifest["metadata"]["name"]
            for action in decision.actions
            if isinstance(action, Apply) and action.manifest["kind"] == "Secret"
        }
        assert names.pull_secret(NAME, 1) in copies
        assert any(name.startswith(f"{NAME}-openwebui-authorities-") for name in copies)


PROVIDER = {
    "providerURL": "https://id.example.org/a",
    "clientID": "chats",
    "secretName": "login",
    "verifiedEmailClaim": "email",
}
LOGIN: Manifest = {
    "metadata": {"annotations": {names.SECRET_FOR_ANNOTATION: "*"}},
    "type": "Opaque",
    "data": {"clientSecret": "aHVzaA=="},
}


class TestSigningIn:
    PLATFORM = PlatformSpec.model_validate({"signIn": {"oidc": PROVIDER, "scim": True}})

    def decided(
        self,
        resource: Workspace = KEPT,
        secrets: Mapping[str, Manifest] | None = None,
        platform: PlatformSpec = PLATFORM,
    ) -> Provision:
        own = {names.credentials(NAME): secret_of(resource), "login": LOGIN}
        facts = snapshot(
            resource,
            secrets=own if secrets is None else secrets,
            platform=platform,
            tenant=namespace(),
        )
        (decision,) = decide(facts, NOW)
        assert isinstance(decision, Provision)
        return decision

    def copies(self, decision: Provision) -> set[str]:
        return {
            action.manifest["metadata"]["name"]
            .removeprefix(f"{NAME}-openwebui-")
            .rpartition("-")[0]
            for action in decision.actions
            if isinstance(action, Apply) and action.manifest["kind"] == "Secret"
        }

    def test_a_token_for_scim_is_added_to_credentials_that_have_none(self) -> None:
        decision = self.decided()
        (step,) = (step for step in decision.steps if isinstance(step, ApplySecret))
        assert step.reason == "token for SCIM added"
        written = credentials.read(step.manifest)
        assert written == replace(OWN, scim_token="new-token")
        assert self.copies(decision) >= {"platform-oidc", "scim"}

    def test_one_that_is_there_stays(self) -> None:
        data = credentials.manifest(KEPT, replace(OWN, scim_token="token"))["data"]
        stored = {**secret_of(KEPT), "data": data}
        decision = self.decided(secrets={names.credentials(NAME): stored, "login": LOGIN})
        assert not [step for step in decision.steps if isinstance(step, ApplySecret)]
        assert decision.credentials.scim_token == "token"

    def test_a_new_workspace_has_one_at_once(self) -> None:
        facts = snapshot(FRESH, secrets={"login": LOGIN}, platform=self.PLATFORM)
        (decision,) = decide(facts, NOW)
        assert isinstance(decision, Provision)
        (step,) = (step for step in decision.steps if isinstance(step, CreateSecret))
        assert credentials.read(step.manifest).scim_token == "new-token"

    def test_a_public_client_of_the_platform_needs_no_secret_and_copies_none(self) -> None:
        public = {key: value for key, value in PROVIDER.items() if key != "secretName"}
        platform = PlatformSpec.model_validate({"signIn": {"oidc": public}})
        own = {names.credentials(NAME): secret_of(KEPT)}
        decision = self.decided(secrets=own, platform=platform)
        assert decision.problems == ()
        assert "platform-oidc" not in self.copies(decision)

    def test_a_missing_client_secret_concerns_only_those_who_use_the_platforms_provider(
        self,
    ) -> None:
        own = {names.credentials(NAME): secret_of(KEPT)}
        assert [problem.reason for problem in self.decided(secrets=own).problems] == [
            "ClientSecretNotFound"
        ]
        without = workspace(metadata=FINALIZERS, access={"oidc": {"enabled": False}})
        decision = self.decided(without, own)
        assert decision.problems == ()
        assert self.copies(decision).isdisjoint({"platform-oidc", "scim"})
