"""What a workspace gets that is to exist: its objects, and the writes that make them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.backups import (
    BackupDecision,
    decide_backups,
    ended_runs,
    image_problem,
    missing_backup,
    resource_text,
)
from aichat_workspace.domain.decision.credentials import credentials_problem, decide_credentials
from aichat_workspace.domain.decision.decisions import (
    Provision,
)
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.decision.steps import (
    AddFinalizer,
    ClaimNamespace,
    ConfirmDataUnused,
    CreateNamespace,
    Step,
)
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.kubernetes.quota import with_room_of
from aichat_workspace.domain.models.status import DesiredModels, desired_models
from aichat_workspace.domain.planning import volume_snapshots
from aichat_workspace.domain.planning.actions import Action, Delete
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.plan import Exceptions, plan, unchanged_rewrites
from aichat_workspace.domain.planning.pod_change import (
    PodChange,
    kept_images,
    plan_pods,
    with_kept_restarts,
)
from aichat_workspace.domain.planning.recorded_rewrites import recorded_rewrites
from aichat_workspace.domain.planning.repairs import repairs
from aichat_workspace.domain.planning.restore import (
    RestorePlan,
    is_cancelled,
    is_due,
    outdated_runs,
    plan_restore,
    with_running_restore,
)
from aichat_workspace.domain.planning.secret_copies import (
    desired_copies,
    recorded_copies,
    with_record,
)
from aichat_workspace.domain.planning.volume_snapshots import restored_volume
from aichat_workspace.domain.policy import backups, effective_spec, limits, sign_in, size_classes
from aichat_workspace.domain.policy.backups import with_destination
from aichat_workspace.domain.policy.blocking import (
    blocked_kinds,
    blocks_host,
    is_certain,
    kinds_of_settings,
    settings_problem,
    spec_problem,
)
from aichat_workspace.domain.policy.ownership import (
    host_taken,
    owns,
)
from aichat_workspace.domain.policy.platform_secrets import (
    has_client_secret,
    resolve_client_secret,
    resolve_platform_secrets,
)
from aichat_workspace.domain.policy.secret_references import (
    ADMIN,
    PLATFORM_OIDC,
    SCIM,
    ReferencedSecret,
    resolve,
)
from aichat_workspace.domain.policy.size_classes import with_size_class
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render import credentials as generated
from aichat_workspace.domain.render import render, tenant_namespace
from aichat_workspace.domain.render.context import NO_CREDENTIALS, Backups
from aichat_workspace.domain.render.namespace_metadata import NO_METADATA, present_metadata
from aichat_workspace.domain.v1alpha1.metadata_settings import Metadata
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace

_USED_BY_RUNS: Final = frozenset(
    {"Job", "Deployment", "PersistentVolumeClaim", "Secret", "ResourceQuota"}
)


def provision(workspace: Workspace, snapshot: Snapshot) -> Provision:
    namespace = snapshot.observed.namespace
    referenced, missing = resolve(workspace, snapshot.secrets.get)
    platform_secrets, platform_problems = resolve_platform_secrets(
        snapshot.platform, snapshot.secrets.get, snapshot.config_maps.get
    )
    uses_platforms = sign_in.uses_platforms(workspace.spec, snapshot.platform)
    if uses_platforms and has_client_secret(snapshot.platform):
        secret, problem = resolve_client_secret(snapshot.platform, snapshot.secrets.get)
        referenced = {**referenced, PLATFORM_OIDC: secret}
        platform_problems = (*platform_problems, *filter(None, [problem]))
    problems = (*_problems(workspace, snapshot), *filter(None, [missing]), *platform_problems)
    as_begun = with_running_restore(workspace)
    of_backups = decide_backups(as_begun, snapshot)
    workspace = with_destination(with_size_class(workspace, snapshot.platform), snapshot.platform)
    models = _models(workspace, snapshot)
    if problems and not (namespace and owns(workspace, namespace)):
        return Provision(workspace, problems, models, backup_problem=of_backups.problem)
    blocked = blocked_kinds(problems) | kinds_of_settings(snapshot.unknown_settings)
    credentials = NO_CREDENTIALS
    secret_steps: tuple[Step, ...] = ()
    if "Secret" not in blocked:
        own, secret_steps = decide_credentials(workspace, snapshot)
        credentials = generated.with_admin(own, referenced.get(ADMIN))
    if sign_in.has_scim(workspace.spec, snapshot.platform):
        token = ReferencedSecret("Opaque", generated.scim_data(credentials))
        referenced = {**referenced, SCIM: token}
    restore = plan_restore(
        workspace,
        snapshot.observed,
        _obstacle_to_runs(of_backups, problems, blocked)
        or _obstacle_to_restore(of_backups, workspace, snapshot),
        next(iter(problems), None) if blocked & _USED_BY_RUNS else image_problem(snapshot),
    )
    objects = partial(
        render,
        credentials=credentials,
        referenced={**referenced, **of_backups.referenced},
        platform_secrets=platform_secrets,
        backups=_with_restore(of_backups.backups, restore, workspace, snapshot),
        stops_chat=restore.stops_chat,
    )
    pods, desired = _desired(with_running_restore(workspace), snapshot, problems, objects, restore)
    body = tenant_namespace(workspace, _platform_metadata(snapshot))
    recorded = recorded_copies(namespace) if namespace else frozenset()
    new_body = with_record(body, recorded | desired_copies(desired))
    namespace_steps = _namespace(workspace, namespace, new_body)
    allowed = _allowed_metadata(snapshot)
    actions: tuple[Action, ...] = ()
    rewritten: frozenset[Ref] = frozenset()
    obstacle = None
    if namespace and "deletionTimestamp" in namespace["metadata"]:
        obstacle = _namespace_terminating(workspace)
    else:
        host = effective_spec.host(workspace.spec, snapshot.platform)
        refused_host = host if blocks_host(problems) else ""
        observed = snapshot.observed
        if namespace_steps:  # as it is once they are taken
            observed = replace(observed, namespace=new_body)
        rewritten = unchanged_rewrites(body, desired, observed, recorded_rewrites(workspace))
        keeps_runs = of_backups.backups is not None or is_cancelled(workspace)
        exceptions = Exceptions(pods.frozen, keeps_runs, rewritten, allowed)
        actions = (
            *(
                Delete(ref(job), job["metadata"]["uid"])
                for job in (
                    *restore.obsolete,
                    *ended_runs(of_backups, workspace, observed.jobs),
                    *outdated_runs(workspace, observed, stops_chat=restore.stops_chat),
                )
            ),
            *(volume_snapshots.pruned(observed) if _prunes(workspace, of_backups) else ()),
            *plan(body, desired, observed, blocked, refused_host, exceptions),
        )
    return Provision(
        workspace,
        problems,
        models,
        strikes_namespace=namespace is None and workspace.status.namespace is not None,
        steps=(
            *_finalizer(workspace),
            *secret_steps,
            *namespace_steps,
            *(
                (ConfirmDataUnused(workspace.spec.workspace_name),)
                if restore.run or restore.is_given_up
                else ()
            ),
        ),
        actions=actions,
        repairs=repairs(actions, desired, snapshot.observed, _known(workspace), allowed),
        desired=desired,
        pods=pods,
        rewritten=rewritten,
        credentials=credentials,
        obstacle=obstacle,
        backup_destination=of_backups.destination,
        has_snapshots=of_backups.backups is not None and of_backups.backups.snapshot is not None,
        backup_problem=of_backups.problem,
        restore=restore,
    )


def _with_restore(
    backups: Backups | None, restore: RestorePlan, workspace: Workspace, snapshot: Snapshot
) -> Backups | None:
    """A backup that is asked for meanwhile is made when the chat runs again. A recovery is made
    where no backup can be, too."""
    if backups is None and restore.run and restore.run.source is None:
        image, team = snapshot.backup_image, workspace.namespace
        return Backups(None, image, team, resource_text(workspace), restore=restore.run)
    if backups is None:
        return None
    name, target = workspace.spec.workspace_name, workspace.spec.restore
    restored = None
    if backups.reading_origin().snapshot and restore.copies_from and target:
        size = effective_spec.openwebui_share(workspace.spec, snapshot.platform).storage
        volume = restored_volume(name, target.backup, snapshot.observed, size)
        restored = (restore.copies_from, volume)
    return replace(
        backups,
        restore=restore.run,
        is_requested=backups.is_requested and not restore.stops_chat,
        # What is written meanwhile is of no one time.
        new_snapshot=None if restore.stops_chat else backups.new_snapshot,
        restored=restored,
    )


def _prunes(workspace: Workspace, of_backups: BackupDecision) -> bool:
    """Whether old snapshots go: not without spec.backup, and not while one may be restored."""
    has_snapshots = of_backups.backups is not None and of_backups.backups.snapshot is not None
    return has_snapshots and workspace.spec.backup is not None and not is_due(workspace)


def _obstacle_to_runs(
    of_backups: BackupDecision, problems: tuple[Problem, ...], blocked: frozenset[str]
) -> Problem | None:
    """Return why no Job may write the chat's data now."""
    if of_backups.restore_problem is not None:
        return of_backups.restore_problem
    if blocked & _USED_BY_RUNS or of_backups.backups is None or of_backups.backups.origin is None:
        return next(iter(problems), None)
    return None


def _obstacle_to_restore(
    of_backups: BackupDecision, workspace: Workspace, snapshot: Snapshot
) -> Problem | None:
    origin = of_backups.backups.origin if of_backups.backups else None
    return missing_backup(workspace, origin, snapshot.observed) if origin else None


def _platform_metadata(snapshot: Snapshot) -> Metadata:
    """Return what the platform puts on the namespace: what is there while that is unknown."""
    namespace = snapshot.observed.namespace
    if "namespaceMetadata" not in snapshot.unknown_settings:
        return snapshot.platform.namespace_metadata
    return NO_METADATA if namespace is None else present_metadata(namespace)


def _allowed_metadata(snapshot: Snapshot) -> tuple[str, ...]:
    """Return what others may add to objects: anything while the platform's list is unknown."""
    if "allowed" in snapshot.unknown_settings:
        return ("*",)
    return snapshot.platform.allowed.foreign_metadata


def _known(workspace: Workspace) -> frozenset[tuple[str, str]]:
    """The kinds and names of the objects that the workspace had when its status was written."""
    return frozenset(
        (entry.kind, entry.name) for entry in workspace.status.resources if entry.state == "Present"
    )


def _problems(workspace: Workspace, snapshot: Snapshot) -> Iterator[Problem]:
    """What a person has to mend before all objects can be as desired."""
    if snapshot.unknown_settings:
        yield settings_problem(snapshot.unknown_settings)
    if workspace.not_understood:
        yield spec_problem(workspace)
    taken = host_taken(workspace, snapshot.rivals, snapshot.platform)
    is_new = snapshot.observed.namespace is None and workspace.status.namespace is None
    of_workspace = (workspace.spec, workspace.namespace, snapshot.platform)
    problems = (
        *size_classes.violations(*of_workspace),
        *(size_classes.retirement_problems(*of_workspace) if is_new else ()),
        *limits.violations(backups.fill_spec(*of_workspace), snapshot.platform),
        *filter(None, (taken, credentials_problem(workspace, snapshot))),
    )
    yield from (problem for problem in problems if is_certain(problem, snapshot.unknown_settings))


def _models(workspace: Workspace, snapshot: Snapshot) -> DesiredModels:
    spec = workspace.spec
    embedding = effective_spec.embedding_model(spec, snapshot.platform)
    return desired_models(spec.models, spec.patterns, snapshot.prompts, embedding)


def _finalizer(workspace: Workspace) -> tuple[Step, ...]:
    return () if names.FINALIZER in workspace.finalizers else (AddFinalizer(),)


def _namespace(
    workspace: Workspace, namespace: Manifest | None, body: Manifest
) -> tuple[Step, ...]:
    """Create the tenant's namespace, take it over, or keep it."""
    if namespace is None:
        return (CreateNamespace(body),)
    if owns(workspace, namespace):
        return ()
    return (ClaimNamespace(body, namespace["metadata"]["uid"], "taken over"),)


def _desired(
    workspace: Workspace,
    snapshot: Snapshot,
    problems: tuple[Problem, ...],
    objects: Callable[[Workspace, PlatformSpec], tuple[Manifest, ...]],
    restore: RestorePlan,
) -> tuple[PodChange, tuple[Manifest, ...]]:
    """What becomes of the pods, and all objects as they are to be meanwhile.

    `objects` renders a workspace by the platform's settings.
    """
    platform, observed = snapshot.platform, snapshot.observed
    size_class = size_classes.class_of(workspace, platform)
    spec = effective_spec.permitted(workspace.spec, platform, size_class)
    permitted = with_kept_restarts(workspace.model_copy(update={"spec": spec}), observed)
    desired = objects(permitted, platform)
    pods = plan_pods(
        workspace,
        observed,
        desired,
        snapshot.rollout_slot,
        has_problems=bool(problems),
        is_stopped=restore.stops_chat,
    )
    images = kept_images(workspace, observed, platform)
    if pods.keeps_images and images.resolved != platform.images.resolved:
        platform = platform.model_copy(update={"images": images})
        desired = objects(permitted, platform)
    if pods.frozen:  # their pods count with the limits that they have
        desired = tuple(_with_present_room(manifest, observed) for manifest in desired)
    return pods, desired


def _with_present_room(manifest: Manifest, observed: Observed) -> Manifest:
    if manifest["kind"] != "ResourceQuota":
        return manifest
    present = observed.objects.get(ref(manifest))
    return manifest if present is None else with_room_of(manifest, present)


def _namespace_terminating(workspace: Workspace) -> Problem:
    name = workspace.spec.workspace_name
    return Problem(
        Reason.NAMESPACE_TERMINATING,
        f"namespace {name!r} is being deleted; it is made anew once it is gone",
    )
