"""What there is to choose for a new workspace, and how many more a team may have."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from aichat_workspace.api.auth.authorization import Scope
from aichat_workspace.api.capacity import size_class_options
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds, quantity
from aichat_workspace.domain.policy import backups, choices, effective_spec
from aichat_workspace.domain.v1alpha1.backup import BackupDestination
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from aichat_workspace.foundation.metadata import annotations
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.objects import Json

_CLASSES_TTL_SECONDS: Final = 10.0
_QUOTAS_TTL_SECONDS: Final = 2.0
_MAX_TEAMS: Final = 50
_MAX_OBJECTS: Final = 500
"""Of one kind; a cluster has a handful."""
_COUNT: Final = f"count/{kinds.WORKSPACE.plural}.{names.GROUP}"
"""https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-on-object-count"""

Documents = list[dict[str, Any]]


def _new_cache(seconds: float) -> TtlCache[Any, Any]:
    return TtlCache(seconds, _MAX_TEAMS)


@dataclass(frozen=True, slots=True)
class Options:
    """Reads the platform's settings from the cluster view, and what no watch provides at most once
    in some seconds for all who ask."""

    client: Client
    cluster: ClusterView
    _classes: TtlCache[Resource, Documents] = field(
        default_factory=lambda: _new_cache(_CLASSES_TTL_SECONDS)
    )
    _quotas: TtlCache[str, dict[str, int] | None] = field(
        default_factory=lambda: _new_cache(_QUOTAS_TTL_SECONDS)
    )

    async def read(self, scope: Scope, team: str | None) -> dict[str, Any]:
        """Return a schemas.options.OptionsDocument, with what the teams in the scope may choose, or
        only that team.

        Raises ProblemError (503) while the platform's settings are not understood.
        """
        platform = self.cluster.platform()
        storage = await self._named(kinds.STORAGE_CLASS, choices.storage_classes(platform))
        ingress = await self._named(kinds.INGRESS_CLASS, choices.ingress_classes(platform))
        room = None
        if team is not None:
            room = await self._quotas.get(team, lambda: self._quota(team))
        return {
            "storageClasses": storage,
            "ingressClasses": [
                {"name": entry["name"], "isDefault": entry["isDefault"]} for entry in ingress
            ],
            "issuers": list(choices.issuers(platform)),
            "gpuResources": list(platform.allowed.gpu_resources),
            "nodeSelectorKeys": list(platform.allowed.node_selector_keys),
            "tolerationKeys": list(platform.allowed.toleration_keys),
            "signIn": list(platform.allowed.sign_in),
            "sizeClasses": size_class_options.documents(platform, scope, team, room),
            "backupDestinations": _destinations(platform, scope, team),
            "newWorkspace": _new_workspace(platform),
            "workspaces": room,
        }

    async def _named(self, kind: Resource, patterns: Iterable[str]) -> Documents:
        """Return the classes of a kind that a workspace may name, by name."""
        patterns = tuple(patterns)
        classes = await self._classes.get(kind, lambda: self._read_classes(kind))
        return [entry for entry in classes if names.is_listed(entry["name"], patterns)]

    async def _read_classes(self, kind: Resource) -> Documents:
        """Return a schemas.options.StorageClassChoice for each class of a kind."""
        mark = kinds.DEFAULT_CLASS_ANNOTATIONS[kind]
        documents = [
            {
                "name": str(obj["metadata"]["name"]),
                "isDefault": annotations(obj).get(mark) == "true",
                "canGrow": bool(obj.get("allowVolumeExpansion")),
            }
            for obj in await self._first_page(kind)
        ]
        return sorted(documents, key=lambda document: document["name"])

    async def _quota(self, team: str) -> dict[str, int] | None:
        """Return a schemas.options.WorkspaceQuota of the narrowest quota; None without one."""
        quotas = await self._first_page(kinds.RESOURCE_QUOTA, team)
        counts = [
            (_count(status, "used"), _count(status, "hard"))
            for status in (quota.get("status") or {} for quota in quotas)
            if _COUNT in (status.get("hard") or {})
        ]
        if not counts:
            return None
        used, hard = min(counts, key=lambda count: count[1] - count[0])
        return {"used": used, "hard": hard, "remaining": max(hard - used, 0)}

    async def _first_page(self, kind: Resource, namespace: str | None = None) -> list[Json]:
        page = await anext(self.client.list_pages(kind, namespace, page_size=_MAX_OBJECTS))
        items: list[Json] = page["items"]
        return items


def _count(status: Json, part: str) -> int:
    return int(quantity.parse((status.get(part) or {}).get(_COUNT, "0")))


def _destinations(platform: PlatformSpec, scope: Scope, team: str | None) -> Documents:
    """Return a schemas.options.BackupDestinationChoice for each that the team, or any of the teams
    in the scope, may choose."""
    if team is not None:
        choices_of_team = backups.destinations_of_team(team, platform)
        default = choices_of_team[0] if choices_of_team else None
    else:
        choices_of_team, default = _open_to_any(platform, scope), None
    return [
        {
            "name": destination.name,
            "description": destination.description,
            "kind": destination.kind,
            "isDefault": destination is default,
        }
        for destination in choices_of_team
    ]


def _open_to_any(platform: PlatformSpec, scope: Scope) -> tuple[BackupDestination, ...]:
    return tuple(
        destination
        for destination in platform.backup.destinations
        if not destination.allowed_teams or any(team in scope for team in destination.allowed_teams)
    )


def _new_workspace(platform: PlatformSpec) -> dict[str, Any]:
    """Return a schemas.options.NewWorkspace: what one gets that sets nothing."""
    quota = effective_spec.minimum(WorkspaceSpec(workspace_name="new"), platform)
    issuer = platform.ingress.issuer
    return {
        "cpu": quantity.cores(quota["cpu"]),
        "memory": quantity.size(quota["memory"]),
        "storage": quantity.size(quota["storage"]),
        "storageClass": platform.storage_class_name,
        "ingressClass": platform.ingress.class_name,
        "issuer": issuer.name if issuer else None,
    }
