"""The copies of Secrets in a tenant's namespace, which the operator writes and may not list.

The objects that use a copy name it. A copy that none uses yet, or any more, is named by an
annotation of the namespace, from before it is written until after it is deleted. So an interruption
leaves no copy behind that nothing names.
"""

from collections.abc import Iterable, Iterator, Mapping

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.job_ends import has_ended
from aichat_workspace.domain.kubernetes.kinds import JOB, JOB_KINDS, WORKLOAD_KINDS
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.kubernetes.pods import pod_template
from aichat_workspace.domain.render.copy_names import is_backup_copy, is_copy, is_platform_copy
from aichat_workspace.foundation.metadata import annotations

_WITH_PODS = WORKLOAD_KINDS | JOB_KINDS
_ACCOUNT = "ServiceAccount"
_SECRET = "Secret"  # noqa: S105  (a kind)


def recorded_copies(namespace: Manifest) -> frozenset[str]:
    """Return the copies that the namespace's annotation names."""
    recorded = annotations(namespace).get(names.SECRETS_ANNOTATION, "").split(",")
    return frozenset(name for name in recorded if is_copy(name, namespace["metadata"]["name"]))


def with_record(namespace: Manifest, copies: Iterable[str]) -> Manifest:
    """Return the namespace with an annotation that names these copies."""
    text = ",".join(sorted(copies))
    if not text:
        return namespace
    marks = {**annotations(namespace), names.SECRETS_ANNOTATION: text}
    return {**namespace, "metadata": {**namespace["metadata"], "annotations": marks}}


def desired_copies(desired: Iterable[Manifest]) -> frozenset[str]:
    """Return the Secrets among the desired objects, by name."""
    return frozenset(
        manifest["metadata"]["name"] for manifest in desired if manifest["kind"] == _SECRET
    )


def used_copies(objects: Iterable[tuple[Ref, Manifest]]) -> frozenset[str]:
    """Return the copies that observed objects use."""
    return frozenset(
        name
        for reference, manifest in objects
        for name in used_secrets(manifest, reference.kind)
        if is_copy(name, reference.namespace)
    )


def copies_of_runs(objects: Iterable[tuple[Ref, Manifest]]) -> frozenset[str]:
    """Return the copies that Jobs use which have not ended: nothing writes them again."""
    return used_copies(
        (reference, manifest) for reference, manifest in objects if reference.kind == JOB.kind
    )


def backup_copies(
    namespace: Manifest | None, objects: Iterable[tuple[Ref, Manifest]] = ()
) -> frozenset[str]:
    """Return the copies of backups' keys that the namespace or its objects name."""
    if namespace is None:
        return frozenset()
    name = namespace["metadata"]["name"]
    named = recorded_copies(namespace) | used_copies(objects)
    return frozenset(secret for secret in named if is_backup_copy(secret, name))


def own_copies(manifest: Manifest) -> frozenset[str]:
    """Return the copies that an object uses of the Secrets that its workspace refers to."""
    name, namespace = manifest["kind"], manifest["metadata"]["namespace"]
    return frozenset(
        secret
        for secret in used_secrets(manifest, name)
        if is_copy(secret, namespace) and not is_platform_copy(secret, namespace)
    )


def has_pull_secrets(secret: Manifest, objects: Mapping[Ref, Manifest]) -> bool:
    """Whether the tenant's ServiceAccounts say that it has these passwords of registries.

    They are written after the copies, and say so only when these were written.
    """
    digest = annotations(secret)[names.PULL_SECRETS_ANNOTATION]
    accounts = [manifest for reference, manifest in objects.items() if reference.kind == _ACCOUNT]
    return bool(accounts) and all(
        annotations(account).get(names.PULL_SECRETS_ANNOTATION) == digest for account in accounts
    )


def used_secrets(manifest: Manifest, kind: str) -> Iterator[str]:
    """Yield the names of Secrets that pods of a workload or of a run, or an Ingress' certificate
    use. A Job that has ended has no pods to come."""
    if kind == "Ingress":
        yield from (tls.get("secretName", "") for tls in manifest["spec"].get("tls", ()))
    if kind in _WITH_PODS and not (kind == JOB.kind and has_ended(manifest)):
        template = pod_template(manifest)["spec"]
        yield from (reference.get("name", "") for reference in template.get("imagePullSecrets", ()))
        for volume in template.get("volumes", ()):
            yield volume.get("secret", {}).get("secretName", "")
        for container in (*template.get("initContainers", ()), *template["containers"]):
            for variable in container.get("env", ()):
                yield variable.get("valueFrom", {}).get("secretKeyRef", {}).get("name", "")
