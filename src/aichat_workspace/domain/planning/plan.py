"""What to write, given what should be and what is. Never what changed: only what differs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import pods, quantity
from aichat_workspace.domain.kubernetes.field_ownership import json_patch, removals
from aichat_workspace.domain.kubernetes.kinds import WORKLOADS
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, covers, ref
from aichat_workspace.domain.planning import volume_claims
from aichat_workspace.domain.planning.actions import Action, Apply, Delete, Prune, Stop
from aichat_workspace.domain.render.context import is_copy


@dataclass(frozen=True, slots=True)
class Observed:
    """What the caches hold of one tenant, and the StorageClasses whose volumes can grow."""

    namespace: Manifest | None = None
    objects: Mapping[Ref, Manifest] = field(default_factory=dict)
    pods: tuple[Manifest, ...] = ()
    expandable_classes: frozenset[str] = frozenset()


NOTHING: Final = Observed()


def plan(
    namespace: Manifest,
    desired: Sequence[Manifest],
    observed: Observed,
    held_back: frozenset[str] = frozenset(),
    refused_host: str = "",
) -> tuple[Action, ...]:
    """Everything to write so that the tenant is as desired. `observed.namespace` exists and is
    ours. Nothing to write gives nothing. Kinds that are held back stay as they are, and while
    there are such, nothing is taken for superfluous. A way in at `refused_host` goes all the same.
    """
    if observed.namespace is None:
        raise ValueError("plan is for a tenant whose namespace exists")
    room = _room(desired, observed)
    writable = [_fitting(each, observed, room) for each in desired if each["kind"] not in held_back]
    return (
        *_namespace(namespace, observed.namespace),
        *(_ways_in(refused_host, observed) if refused_host else ()),
        *(() if held_back else _outdated_secrets(desired, observed)),
        *(action for manifest in writable for action in _object(manifest, observed)),
        *_stuck(observed),
        *(_stops(desired, observed, held_back) if held_back else _superfluous(desired, observed)),
    )


def _superfluous(desired: Sequence[Manifest], observed: Observed) -> Iterator[Delete]:
    wanted = {ref(manifest) for manifest in desired}
    for found, manifest in sorted(observed.objects.items()):
        if found not in wanted and "deletionTimestamp" not in manifest["metadata"]:
            yield Delete(found, manifest["metadata"]["uid"], waits=True)


def _ways_in(host: str, observed: Observed) -> Iterator[Delete]:
    """What sends the host's requests to the tenant, with whatever secrets are in them."""
    for found, manifest in sorted(observed.objects.items()):
        if host in _hosts_of(found, manifest) and "deletionTimestamp" not in manifest["metadata"]:
            yield Delete(found, manifest["metadata"]["uid"])


def _hosts_of(found: Ref, manifest: Manifest) -> Iterator[str]:
    if found.kind == "Ingress":
        yield from (rule.get("host", "") for rule in manifest["spec"].get("rules", ()))
    if found.kind == "HTTPRoute":
        yield from manifest["spec"].get("hostnames", ())


def _stops(
    desired: Sequence[Manifest], observed: Observed, held_back: frozenset[str]
) -> Iterator[Stop]:
    """Workloads that are to stop, which needs nothing else to be right."""
    for manifest in desired:
        found = observed.objects.get(ref(manifest))
        if found is None or manifest["kind"] not in held_back & WORKLOADS:
            continue
        if manifest["spec"]["replicas"] == 0 and found["spec"].get("replicas") != 0:
            yield Stop(ref(manifest))


def _namespace(desired: Manifest, observed: Manifest) -> tuple[Action, ...]:
    if covers(observed, desired):
        return ()
    # With the UID the write fails on any other namespace of this name.
    metadata = {**desired["metadata"], "uid": observed["metadata"]["uid"]}
    return (Apply({**desired, "metadata": metadata}),)


def _object(desired: Manifest, observed: Observed) -> tuple[Action, ...]:
    if desired["kind"] == "Secret":
        return _secret(desired, observed)
    found = observed.objects.get(ref(desired))
    if found is None:
        return (Apply(desired),)
    if "deletionTimestamp" in found["metadata"]:
        return ()  # its end is an event, and the event brings the next reconcile
    extras = removals(found, desired)
    return (
        *((Prune(ref(desired), json_patch(extras, found)),) if extras else ()),
        *(() if covers(found, desired) else (Apply(desired),)),
    )


def _fitting(desired: Manifest, observed: Observed, room: Fraction) -> Manifest:
    """The object as it can be beside the volumes that there are."""
    if desired["kind"] == "ResourceQuota":
        return _quota(desired, room)
    found = observed.objects.get(ref(desired))
    if desired["kind"] == "PersistentVolumeClaim" and found is not None:
        return _claim(desired, found, observed.expandable_classes)
    return desired


def _room(desired: Sequence[Manifest], observed: Observed) -> Fraction:
    """What the claims hold or will hold, in bytes: they only grow, and one that is lost has to be
    made again."""
    sizes: dict[Ref, Fraction] = {}
    for at, each in (*((ref(each), each) for each in desired), *observed.objects.items()):
        if at.kind == "PersistentVolumeClaim":
            size = quantity.parse(volume_claims.size(each))
            sizes[at] = max(size, sizes.get(at, Fraction()))
    return sum(sizes.values(), Fraction())


def _quota(desired: Manifest, room: Fraction) -> Manifest:
    """A quota is never below what the claims need: it would refuse them for ever."""
    hard = desired["spec"]["hard"]
    if room <= quantity.parse(hard["requests.storage"]):
        return desired
    return {**desired, "spec": {"hard": {**hard, "requests.storage": quantity.size(room)}}}


def _claim(desired: Manifest, found: Manifest, growing: frozenset[str]) -> Manifest:
    """A claim as it may still be changed: its class is fixed and it only grows, where it can."""
    spec = dict(desired["spec"])
    if not (volume_claims.is_larger(desired, found) and volume_claims.can_grow(found, growing)):
        spec["resources"] = {"requests": {"storage": volume_claims.size(found)}}
    if "storageClassName" in found["spec"]:
        spec["storageClassName"] = found["spec"]["storageClassName"]
    return {**desired, "spec": spec}


def _secret(desired: Manifest, observed: Observed) -> tuple[Action, ...]:
    """A tenant's Secret is never read back. It is written before the first pod template that
    names it, and again when a pod says that it is missing."""
    name = desired["metadata"]["name"]
    named = any(name in _secrets_of(*each) for each in observed.objects.items())
    if named and not any(_misses_secret(pod, name) for pod in observed.pods):
        return ()
    return (Apply(desired),)


def _outdated_secrets(desired: Sequence[Manifest], observed: Observed) -> Iterator[Delete]:
    """Copies of Secrets that something still names, and nothing should. They go before what names
    them is written, for afterwards nobody would know of them."""
    wanted = {ref(each) for each in desired if each["kind"] == "Secret"}
    named = {
        Ref("Secret", found.namespace, name)
        for found, manifest in observed.objects.items()
        for name in _secrets_of(found, manifest)
        if is_copy(name, found.namespace)
    }
    return (Delete(each, None) for each in sorted(named - wanted))


def _secrets_of(found: Ref, manifest: Manifest) -> Iterator[str]:
    """The names of Secrets that a Deployment's variables or an Ingress' certificate come from."""
    if found.kind == "Ingress":
        yield from (each.get("secretName", "") for each in manifest["spec"].get("tls", ()))
    if found.kind == "Deployment":
        template = manifest["spec"]["template"]["spec"]
        for container in (*template.get("initContainers", ()), *template["containers"]):
            for variable in container.get("env", ()):
                yield variable.get("valueFrom", {}).get("secretKeyRef", {}).get("name", "")


def _stuck(observed: Observed) -> Iterator[Delete]:
    """Pods that hold up what corrects them: a StatefulSet waits until a pod is ready before it
    replaces it, even one whose image or node will never be there.

    https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    """
    for found, manifest in sorted(observed.objects.items()):
        if found.kind != "StatefulSet" or (newest := _newest_revision(manifest)) is None:
            continue
        for pod in observed.pods:
            metadata = pod["metadata"]
            if (
                pods.is_controlled_by(pod, manifest["metadata"]["uid"])
                and metadata.get("labels", {}).get(names.REVISION_LABEL) != newest
                and not (pods.is_ready(pod) or pods.is_going(pod))
            ):
                yield Delete(Ref("Pod", found.namespace, metadata["name"]), metadata["uid"])


def _newest_revision(stateful_set: Manifest) -> str | None:
    """What its pods are to be made from; None until its controller has seen the spec as it is."""
    told = stateful_set.get("status", {})
    if told.get("observedGeneration", 0) < stateful_set["metadata"].get("generation", 0):
        return None
    newest: str | None = told.get("updateRevision")
    return newest


def _misses_secret(pod: Manifest, name: str) -> bool:
    return any(
        waiting.get("reason") == "CreateContainerConfigError" and name in waiting.get("message", "")
        for of in ("initContainerStatuses", "containerStatuses")
        for status in pod.get("status", {}).get(of, ())
        if (waiting := status.get("state", {}).get("waiting"))
    )
