"""What workspaces use of what they have: quotas, volumes, objects and models.

All of it comes from the watch caches. How full a volume is, no watch and no request of the API's
account tells: only a node knows it (docs/decisions/0029-usage-from-watches.md). So of the models'
volume the models are counted, and of the chat's nothing.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.tenant_namespace import has_namespace
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.kubernetes.quota import amounts, write_amount
from aichat_workspace.domain.models.capacity import PresentModel, occupied_bytes
from aichat_workspace.kube.objects import Json

_SUMS_TTL_SECONDS: Final = 2.0
_MAX_SUMS: Final = 1_000
_WORKSPACES_AT_ONCE: Final = 100
"""After so many, other requests have a turn."""
_PLATFORM: Final = ""
Amounts = dict[str, Fraction]


@dataclass(slots=True)
class Sums:
    """What workspaces use together."""

    workspaces: int = 0
    hard: Amounts = field(default_factory=dict)
    used: Amounts = field(default_factory=dict)
    requested_bytes: int = 0
    capacity_bytes: int = 0
    models: int = 0
    model_bytes: int = 0
    objects_present: int = 0
    objects_expected: int = 0

    def document(self) -> dict[str, Any]:
        """Return a schemas.usage.UsageSums."""
        return {
            "workspaces": self.workspaces,
            "quota": _quota_entries(self.hard, self.used),
            "volumes": {
                "requestedBytes": self.requested_bytes,
                "capacityBytes": self.capacity_bytes,
            },
            "objects": {"present": self.objects_present, "expected": self.objects_expected},
            "models": {"count": self.models, "bytes": self.model_bytes},
        }


@dataclass(frozen=True, slots=True)
class UsageReader:
    """Reads usage from the cluster view. Sums are as of two seconds ago at most."""

    cluster: ClusterView
    _sums: TtlCache[str, dict[str, Any]] = field(
        default_factory=lambda: TtlCache(_SUMS_TTL_SECONDS, _MAX_SUMS)
    )
    """The answer of each team, and with _PLATFORM that of all."""

    def of_workspace(self, view: View) -> dict[str, Any]:
        """Return a schemas.usage.WorkspaceUsage."""
        hard, used = self._quota(view)
        present, expected = _objects(view)
        models = view.document["status"].get("models", ())
        return {
            "name": view.name,
            "team": view.team,
            "quota": _quota_entries(hard, used),
            "volumes": [
                _volume("ollama", claim, stored_bytes(view))
                if workload == names.ollama(view.name)
                else _volume("openWebUI", claim, None)
                for workload, claim in self._claims(view).items()
            ],
            "objects": {"present": present, "expected": expected},
            "models": [
                {
                    "name": model["name"],
                    "state": model["state"],
                    "bytes": model.get("completedBytes", 0),
                }
                for model in models
            ],
            "activity": view.document["status"].get("activity"),
        }

    async def of_team(self, team: str) -> dict[str, Any]:
        """Return a schemas.usage.TeamUsage."""
        return await self._sums.get(team, lambda: self._team(team))

    async def of_platform(self) -> dict[str, Any]:
        """Return a schemas.usage.PlatformUsage."""
        return await self._sums.get(_PLATFORM, self._platform)

    async def _platform(self) -> dict[str, Any]:
        total, teams = Sums(), []
        for team in sorted(self.cluster.all_teams()):
            sums = await self._sum(team)
            _add(total, sums)
            teams.append({"team": team, **sums.document()})
        return {"total": total.document(), "teams": teams}

    async def _team(self, team: str) -> dict[str, Any]:
        sums = await self._sum(team)
        return {"team": team, **sums.document()}

    async def _sum(self, team: str) -> Sums:
        """Add up a team's workspaces, and give other requests a turn now and then."""
        sums = Sums()
        for view in self.cluster.of_team(team):
            _add(sums, self._sums_of(view))
            if sums.workspaces % _WORKSPACES_AT_ONCE == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        return sums

    def _sums_of(self, view: View) -> Sums:
        hard, used = self._quota(view)
        present, expected = _objects(view)
        volumes = [_sizes(claim) for claim in self._claims(view).values()]
        return Sums(
            workspaces=1,
            hard=hard,
            used=used,
            requested_bytes=sum(requested for requested, _ in volumes),
            capacity_bytes=sum(capacity or 0 for _, capacity in volumes),
            models=len(view.document["status"].get("models", ())),
            model_bytes=stored_bytes(view),
            objects_present=present,
            objects_expected=expected,
        )

    def _quota(self, view: View) -> tuple[Amounts, Amounts]:
        """Return what the workspace's quota bounds and counts; nothing while there is none."""
        quota = self.cluster.quota(view.name, view.name) if self._has_namespace(view) else None
        status = quota["status"] if quota else {"hard": {}, "used": {}}
        return amounts(status["hard"]), amounts(status["used"])

    def _claims(self, view: View) -> dict[str, Json]:
        """Return the claims of the workspace's volumes that are there, by name."""
        if not self._has_namespace(view):
            return {}
        workloads = (names.ollama(view.name), names.openwebui(view.name))
        claims = {name: self.cluster.claim(view.name, name) for name in workloads}
        return {name: claim for name, claim in claims.items() if claim}

    def _has_namespace(self, view: View) -> bool:
        return has_namespace(self.cluster, view)


def models_capacity_bytes(cluster: ClusterView, view: View) -> int:
    """Return the capacity of the workspace's volume of models; 0 before it has one."""
    if not has_namespace(cluster, view):
        return 0
    claim = cluster.claim(view.name, names.ollama(view.name))
    return (claim and _sizes(claim)[1]) or 0


def stored_bytes(view: View) -> int:
    """Return the bytes that models take on their volume, unfinished downloads included, as the
    status tells."""
    return occupied_bytes(
        PresentModel(
            model["name"],
            model.get("digest", ""),
            model.get("completedBytes", 0),
            weights=model.get("digest", ""),
        )
        for model in view.document["status"].get("models", ())
    )


def _add(total: Sums, more: Sums) -> None:
    total.workspaces += more.workspaces
    total.requested_bytes += more.requested_bytes
    total.capacity_bytes += more.capacity_bytes
    total.models += more.models
    total.model_bytes += more.model_bytes
    total.objects_present += more.objects_present
    total.objects_expected += more.objects_expected
    for target, source in ((total.hard, more.hard), (total.used, more.used)):
        for resource, amount in source.items():
            target[resource] = target.get(resource, Fraction()) + amount


def _quota_entries(hard: Amounts, used: Amounts) -> list[dict[str, Any]]:
    """Return a schemas.usage.QuotaEntry for each resource, by name."""
    return [quota_entry(name, used.get(name, Fraction()), hard[name]) for name in sorted(hard)]


def quota_entry(resource: str, used: Fraction, hard: Fraction) -> dict[str, Any]:
    """Return a schemas.usage.QuotaEntry."""
    return {
        "resource": resource,
        "used": write_amount(resource, used),
        "hard": write_amount(resource, hard),
        "percent": int(used * 100 / hard) if hard else None,
    }


def _objects(view: View) -> tuple[int, int]:
    """Return how many of the workspace's objects are there, and how many should be."""
    resources = view.document["status"].get("resources", ())
    return sum(entry["state"] == "Present" for entry in resources), len(resources)


def _volume(name: str, claim: Json, model_bytes: int | None) -> dict[str, Any]:
    """Return a schemas.usage.VolumeUsage."""
    requested, capacity = _sizes(claim)
    free = None
    if capacity is not None and model_bytes is not None:
        free = max(capacity - model_bytes, 0)
    return {
        "name": name,
        "storageClassName": claim["spec"].get("storageClassName"),
        "phase": claim["status"].get("phase") or "Pending",
        "requestedBytes": requested,
        "capacityBytes": capacity,
        "modelBytes": model_bytes,
        "freeBytes": free,
    }


def _sizes(claim: Json) -> tuple[int, int | None]:
    """Return the bytes that a claim asks for and those that it has; None before it is bound."""
    requests = (claim["spec"].get("resources") or {}).get("requests")
    capacity = _storage(claim["status"].get("capacity"))
    return _storage(requests) or 0, capacity


def _storage(quantities: Mapping[str, str] | None) -> int | None:
    text = (quantities or {}).get("storage")
    return int(quantity.parse(text)) if text else None
