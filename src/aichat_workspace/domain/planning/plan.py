"""Plan the writes that make a tenant as desired.

A plan compares the desired with the observed objects and never asks what has changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import pods
from aichat_workspace.domain.kubernetes.field_ownership import (
    Pointer,
    json_patch,
    removals,
    withdrawn_metadata,
)
from aichat_workspace.domain.kubernetes.job_ends import is_controlled
from aichat_workspace.domain.kubernetes.kinds import (
    JOB,
    JOB_KINDS,
    ROUTE_KINDS,
    VOLUME_SNAPSHOT,
    WORKLOAD_KINDS,
)
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, covers, is_deleting, ref
from aichat_workspace.domain.kubernetes.rewrites import Rewrite, find_rewrite
from aichat_workspace.domain.planning import volume_claims
from aichat_workspace.domain.planning.actions import Action, Apply, Delete, Prune, Scale
from aichat_workspace.domain.planning.blocked_pods import delete_blocked_pods
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.secret_copies import (
    copies_of_runs,
    desired_copies,
    has_pull_secrets,
    recorded_copies,
    used_copies,
    used_secrets,
    with_record,
)
from aichat_workspace.domain.planning.storage import as_volumes_allow, claimed_bytes
from aichat_workspace.domain.render.namespace_metadata import recorded_metadata
from aichat_workspace.foundation.metadata import annotations


@dataclass(frozen=True, slots=True)
class Exceptions:
    """What is left as it is although it differs."""

    frozen: frozenset[Ref] = frozenset()
    """Workloads that keep the pod template that they have, and get only their number of pods."""
    keeps_runs: bool = False
    """Whether Jobs that were asked for go on, and then stay for as long as they say themselves."""
    rewritten: frozenset[Ref] = frozenset()
    """Objects that are as they came back when they were last written."""
    allowed_metadata: tuple[str, ...] = ()
    """Annotations and labels that others may add, by name or prefix."""


NO_EXCEPTIONS: Final = Exceptions()
_PULL_FAILURES: Final = frozenset({"ErrImagePull", "ImagePullBackOff"})
# All other kinds may be named by a pod template that still is an older one.
_USED_BY_NO_POD: Final = ROUTE_KINDS | JOB_KINDS | {"NetworkPolicy", "ResourceQuota", "LimitRange"}


def plan(
    namespace: Manifest,
    desired: Sequence[Manifest],
    observed: Observed,
    blocked: frozenset[str] = frozenset(),
    refused_host: str = "",
    exceptions: Exceptions = NO_EXCEPTIONS,
) -> tuple[Action, ...]:
    """Return every write that makes the tenant as desired, in order; none when it is so already.

    `observed.namespace` exists and is the workspace's. Objects of `blocked` kinds stay as they are,
    and while there are such kinds, nothing counts as obsolete. The Ingress or HTTPRoute of
    `refused_host` is deleted even then. Annotations and labels that others added, and that
    `exceptions` do not allow, are removed.
    """
    if observed.namespace is None:
        raise ValueError("plan is for a tenant whose namespace exists")
    writes = [
        action
        for manifest in _writable(desired, observed, blocked)
        for action in _object(manifest, observed, exceptions)
    ]
    recorded = recorded_copies(observed.namespace)
    used = used_copies(observed.objects.items())
    needed = (
        desired_copies(desired)
        | _copies_of_older_pods(observed, exceptions.frozen)
        | (copies_of_runs(observed.objects.items()) if exceptions.keeps_runs else frozenset())
    )
    new = desired_copies(action.manifest for action in writes if isinstance(action, Apply))
    # A namespace without a UID is written in this very reconcile; its record is complete.
    stays = blocked or "uid" not in observed.namespace["metadata"]
    outdated = frozenset() if stays else (recorded | used) - needed
    named = recorded | (new - used) | outdated
    before, after = with_record(namespace, named), with_record(namespace, needed)
    is_rewritten = named == recorded and ref(namespace) in exceptions.rewritten
    return (
        *_prune(
            before,
            observed.namespace,
            exceptions.allowed_metadata,
            withdrawn_metadata(
                observed.namespace,
                before,
                [("labels", names.COST_CENTRE_LABEL), *recorded_metadata(observed.namespace)],
            ),
        ),
        *(() if is_rewritten else _namespace(before, observed.namespace)),
        *(_routes_for_host(refused_host, observed) if refused_host else ()),
        *writes,
        *delete_blocked_pods(observed),
        *(
            _stops(desired, observed, blocked)
            if blocked
            else _obsolete(desired, observed, exceptions)
        ),
        *(_outdated_secrets(outdated, after, observed) if outdated else ()),
    )


def unchanged_rewrites(
    namespace: Manifest,
    desired: Sequence[Manifest],
    observed: Observed,
    recorded: Mapping[Ref, Rewrite],
) -> frozenset[Ref]:
    """Return which of the objects that came back different, as `recorded`, are as they came
    back."""
    if not recorded:
        return frozenset()
    objects = dict(observed.objects)
    applied = list(_writable(desired, observed, frozenset()))
    if observed.namespace is not None and "uid" in observed.namespace["metadata"]:
        objects[ref(namespace)] = observed.namespace
        last = with_record(namespace, recorded_copies(observed.namespace))
        applied.append(_with_uid(last, observed.namespace))
    return frozenset(
        reference
        for manifest in applied
        if (reference := ref(manifest)) in recorded
        and reference in objects
        and (rewrite := find_rewrite(objects[reference], manifest)) is not None
        and rewrite.revision == recorded[reference].revision
    )


def _writable(
    desired: Sequence[Manifest], observed: Observed, blocked: frozenset[str]
) -> Iterator[Manifest]:
    """Yield the objects as they may be written."""
    sizes = claimed_bytes(desired, observed)
    for manifest in desired:
        if manifest["kind"] not in blocked:
            yield as_volumes_allow(manifest, observed, sizes)


def _obsolete(
    desired: Sequence[Manifest], observed: Observed, exceptions: Exceptions
) -> Iterator[Delete]:
    """Delete the objects that are no longer desired. What pods may still use is kept until no pod
    template is an older one."""
    desired_refs = {ref(manifest) for manifest in desired}
    for reference, manifest in sorted(observed.objects.items()):
        is_kept = bool(exceptions.frozen) and reference.kind not in _USED_BY_NO_POD
        if (
            reference not in desired_refs
            and not is_deleting(manifest)
            and not is_kept
            and not _stays(reference, manifest, exceptions)
        ):
            yield Delete(reference, manifest["metadata"]["uid"], waits=True)


def _stays(reference: Ref, manifest: Manifest, exceptions: Exceptions) -> bool:
    """Whether an object that is no longer desired is not the operator's to delete.

    A CronJob's Jobs end with it, and what has backups outlives spec.backup.
    """
    if reference.kind == VOLUME_SNAPSHOT.kind:
        return True
    if reference.kind == JOB.kind:
        return exceptions.keeps_runs or is_controlled(manifest)
    is_claim = reference.kind == volume_claims.CLAIM
    return is_claim and reference.name == names.backups(reference.namespace)


def _routes_for_host(host: str, observed: Observed) -> Iterator[Delete]:
    """Delete what sends the host's requests, with the secrets in them, to the tenant."""
    for reference, manifest in sorted(observed.objects.items()):
        if host in _hosts_of(manifest, reference.kind) and not is_deleting(manifest):
            yield Delete(reference, manifest["metadata"]["uid"])


def _hosts_of(manifest: Manifest, kind: str) -> Iterator[str]:
    if kind == "Ingress":
        yield from (rule.get("host", "") for rule in manifest["spec"].get("rules", ()))
    if kind == "HTTPRoute":
        yield from manifest["spec"].get("hostnames", ())


def _stops(
    desired: Sequence[Manifest], observed: Observed, blocked: frozenset[str]
) -> Iterator[Scale]:
    """Stop blocked workloads that should have no pods: stopping is right whatever the problem."""
    for manifest in desired:
        current = observed.objects.get(ref(manifest))
        if current is None or manifest["kind"] not in blocked & WORKLOAD_KINDS:
            continue
        if manifest["spec"]["replicas"] == 0 and current["spec"].get("replicas") != 0:
            yield Scale(ref(manifest))


def _namespace(desired: Manifest, observed: Manifest) -> tuple[Action, ...]:
    if covers(observed, desired):
        return ()
    return (Apply(_with_uid(desired, observed)),)


def _with_uid(desired: Manifest, observed: Manifest) -> Manifest:
    """With the UID the write fails on any other namespace of this name."""
    metadata = {**desired["metadata"], "uid": observed["metadata"]["uid"]}
    return {**desired, "metadata": metadata}


def _object(desired: Manifest, observed: Observed, exceptions: Exceptions) -> tuple[Action, ...]:
    if desired["kind"] == "Secret":
        return _secret(desired, observed)
    current = observed.objects.get(ref(desired))
    if current is None:
        return (_apply(desired),)
    if desired["kind"] in (JOB.kind, VOLUME_SNAPSHOT.kind):
        return ()  # it is made once, and can't be changed
    if is_deleting(current):
        return ()  # its end is an event, and the event brings the next reconcile
    return (
        *_prune(desired, current, exceptions.allowed_metadata),
        *_write(desired, current, exceptions),
    )


def _write(desired: Manifest, current: Manifest, exceptions: Exceptions) -> tuple[Action, ...]:
    if ref(desired) in exceptions.frozen:
        replicas = desired["spec"]["replicas"]
        is_scaled = current["spec"].get("replicas") == replicas
        return () if is_scaled else (Scale(ref(desired), replicas),)
    if covers(current, desired) or ref(desired) in exceptions.rewritten:
        return ()
    return (_apply(desired),)


def _apply(desired: Manifest) -> Apply:
    """A ServiceAccount that says which registries' passwords its tenant has waits for them, and a
    Job for the copies of Secrets that its pod uses."""
    is_run = desired["kind"] == JOB.kind and bool(used_copies([(ref(desired), desired)]))
    return Apply(desired, waits=is_run or names.PULL_SECRETS_ANNOTATION in annotations(desired))


def _prune(
    desired: Manifest,
    observed: Manifest,
    allowed_metadata: tuple[str, ...],
    withdrawn: tuple[Pointer, ...] = (),
) -> tuple[Prune, ...]:
    """Remove what others added, and what of ours is `withdrawn`."""
    extras = (*removals(observed, desired, allowed_metadata), *withdrawn)
    return (Prune(ref(desired), json_patch(extras, observed)),) if extras else ()


def _secret(desired: Manifest, observed: Observed) -> tuple[Action, ...]:
    """Write a tenant's Secret, which is never read back, before the first pod template that names
    it, and again when a pod misses it."""
    name = desired["metadata"]["name"]
    if names.PULL_SECRETS_ANNOTATION in annotations(desired):
        is_current = has_pull_secrets(desired, observed.objects)
        return (
            () if is_current and not any(map(_misses_image, observed.pods)) else (Apply(desired),)
        )
    is_named = any(
        name in used_secrets(manifest, reference.kind)
        for reference, manifest in observed.objects.items()
    )
    if is_named and not any(_misses_secret(pod, name) for pod in observed.pods):
        return ()
    return (Apply(desired),)


def _outdated_secrets(
    outdated: frozenset[str], namespace: Manifest, observed: Observed
) -> Iterator[Action]:
    """Delete copies that nothing should use any more, and then strike them from the record.

    They go last: while one of the other writes is missing, pods may still need them to restart.
    """
    for name in sorted(outdated):
        yield Delete(Ref("Secret", namespace["metadata"]["name"], name), None, waits=True)
    if observed.namespace is not None:
        yield Apply(_with_uid(namespace, observed.namespace), waits=True)


def _copies_of_older_pods(observed: Observed, frozen: frozenset[Ref]) -> frozenset[str]:
    """Return the copies that pods need which keep their template."""
    return used_copies(
        (reference, manifest)
        for reference, manifest in observed.objects.items()
        if reference in frozen
    )


def _misses_image(pod: Manifest) -> bool:
    """Whether an image can't be pulled, for which the passwords may be gone."""
    return any(
        container.get("state", {}).get("waiting", {}).get("reason") in _PULL_FAILURES
        for container in pods.containers(pod)
    )


def _misses_secret(pod: Manifest, name: str) -> bool:
    return any(
        waiting.get("reason") == "CreateContainerConfigError" and name in waiting.get("message", "")
        for container in pods.containers(pod)
        if (waiting := container.get("state", {}).get("waiting"))
    )
