"""Which of several resources may have a workspace name, and which namespace it may have."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, is_deleting
from aichat_workspace.domain.policy import effective_spec
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.foundation.metadata import annotations

_DEFAULT_CONTROLLERS: Final = PlatformSpec().ingress.controller_namespaces


def owns(workspace: Workspace, namespace: Manifest) -> bool:
    """Whether the namespace is this workspace's: it carries the workspace's UID and, once
    recorded, is the very namespace that was recorded."""
    recorded = workspace.status.namespace
    return annotations(namespace).get(names.OWNER_UID_ANNOTATION) == workspace.uid and (
        recorded is None or recorded.uid == namespace["metadata"]["uid"]
    )


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a workspace can't be made at all. Retrying does not help: an edit does."""

    reason: Reason
    message: str


def choose_claimant(claimants: Iterable[Workspace], namespace: Manifest | None) -> Workspace:
    """The one resource of a workspace name that counts: the one whose namespace it is, else the
    oldest, then the one with the smallest UID."""
    return min(
        claimants,
        key=lambda claimant: (
            namespace is None or not owns(claimant, namespace),
            claimant.created,
            claimant.uid,
        ),
    )


def name_taken(workspace: Workspace, holder: Workspace) -> Rejection:
    return Rejection(
        Reason.WORKSPACE_NAME_TAKEN,
        f"workspaceName {workspace.spec.workspace_name!r} already belongs to "
        f"AIChatWorkspace {holder.namespace}/{holder.name}; delete this resource and create one "
        "with another workspaceName",
    )


def host_taken(
    workspace: Workspace, others: Iterable[Workspace], platform: PlatformSpec
) -> Problem | None:
    """A host belongs to the workspace that is named for it, else to the one that is served there,
    else to the oldest that asks for it."""
    host = effective_spec.host(workspace.spec, platform)
    rivals = [rival for rival in others if effective_spec.host(rival.spec, platform) == host]
    first = min(
        (workspace, *rivals),
        key=lambda rival: (
            rival.spec.ingress.host is not None,
            urlsplit(rival.status.url or "").hostname != host,
            rival.created,
            rival.uid,
        ),
    )
    if first is workspace:
        return None
    return Problem(
        Reason.HOST_TAKEN,
        f"host {host!r} belongs to workspace {first.spec.workspace_name!r}; change "
        "spec.ingress.host",
    )


def is_orphaned(namespace: Manifest, uids: Collection[str]) -> bool:
    """Whether the namespace was made for a resource that is gone and has not left it behind.

    `uids` are those of all resources that name it.
    """
    marks = annotations(namespace)
    owner_uid = marks.get(names.OWNER_UID_ANNOTATION, "")
    return bool(
        owner_uid
        and owner_uid not in uids
        and names.RETAINED_ANNOTATION not in marks
        and not is_deleting(namespace)
    )


def may_take_over(workspace: Workspace, namespace: Manifest) -> bool:
    """Whether a deleted workspace of the same team left this namespace behind and this one names
    it, or the platform team gives it to this one."""
    uid = namespace["metadata"]["uid"]
    if _is_heir(workspace, namespace) and workspace.spec.namespace_uid == uid:
        return True
    marks = annotations(namespace)
    return bool(
        marks.get(names.OWNER_UID_ANNOTATION) and marks.get(names.ADOPT_ANNOTATION) == workspace.uid
    )


def _is_heir(workspace: Workspace, namespace: Manifest) -> bool:
    """A retained namespace goes to the team that left it, or to the platform team."""
    marks = annotations(namespace)
    team = marks.get(names.OWNER_ANNOTATION, "").partition("/")[0]
    return names.RETAINED_ANNOTATION in marks and workspace.namespace in (
        team,
        names.SYSTEM_NAMESPACE,
    )


def namespace_refusal(
    workspace: Workspace, namespace: Manifest | None, platform: PlatformSpec
) -> Rejection | None:
    """Why the workspace may not have the namespace of its name, or None if it may."""
    name = workspace.spec.workspace_name
    has_it = namespace is not None and owns(workspace, namespace)
    if reservation := _reservation(name, frozenset() if has_it else _peer_namespaces(platform)):
        return reservation
    if namespace is None or has_it or may_take_over(workspace, namespace):
        return None
    if _is_heir(workspace, namespace):
        return Rejection(
            Reason.NAMESPACE_RETAINED,
            f"namespace {name!r} was retained from a deleted workspace; to take it over with its "
            f"data set spec.namespaceUID to {namespace['metadata']['uid']!r}, or delete it",
        )
    taken = f"namespace {name!r} exists and was not made for this workspace, so it is left alone; "
    fix = "delete this resource and create one with another workspaceName, or remove the namespace"
    if not annotations(namespace).get(names.OWNER_UID_ANNOTATION):
        return Rejection(Reason.NAMESPACE_TAKEN, taken + fix)
    owner = annotations(namespace).get(names.OWNER_ANNOTATION, "")
    return Rejection(
        Reason.NAMESPACE_TAKEN,
        f"{taken}it was made for an earlier AIChatWorkspace {owner}, which is gone. After a "
        "restore from a backup, a platform administrator gives it to this one, with all its data: "
        f"kubectl annotate namespace {name} {names.ADOPT_ANNOTATION}={workspace.uid} --overwrite. "
        f"Otherwise {fix}",
    )


def _reservation(name: str, peers: Collection[str]) -> Rejection | None:
    """Why no workspace may have the name; `peers` are those that one may only keep."""
    if name == names.API_SUBDOMAIN:
        return _reserved(f"workspaceName {name!r} is kept for the API's host")
    if name in names.RESERVED_NAMES or name.startswith(names.RESERVED_PREFIXES):
        return _reserved(f"namespace {name!r} belongs to the cluster")
    if name in peers:
        return _reserved(
            f"namespace {name!r} is one of those that network policies let in to chats or out of "
            "them, as that of an ingress controller, a proxy or DNS"
        )
    return None


def _peer_namespaces(platform: PlatformSpec) -> frozenset[str]:
    """Return the namespaces whose pods the network policies of all workspaces name: a tenant of
    such a name would be let in to every chat.

    The default ones are among them: the API's own network policy names them.
    """
    gateway, proxy = platform.ingress.gateway, platform.proxy
    return frozenset(
        (
            *_DEFAULT_CONTROLLERS,
            *platform.ingress.controller_namespaces,
            *platform.network.dns.namespaces,
            *((gateway.namespace,) if gateway else ()),
            *(proxy.namespaces if proxy else ()),
        )
    )


def _reserved(why: str) -> Rejection:
    fix = "delete this resource and create one with another workspaceName"
    return Rejection(Reason.NAMESPACE_RESERVED, f"{why}; {fix}")
