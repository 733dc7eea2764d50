"""The models that people can pick: those in use, and well-known ones, each with what it needs."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aichat_workspace.api.auth.authorization import Scope
from aichat_workspace.api.capacity.usage import models_capacity_bytes, stored_bytes
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.models.capacity import enough_memory_gib
from aichat_workspace.domain.models.catalogue import CHECKED, KNOWN_BY_KEY, KnownModel
from aichat_workspace.domain.models.fit import Room, fit
from aichat_workspace.domain.models.name import InvalidModelNameError, model_key, parse_model
from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.domain.policy import effective_spec, size_classes
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec

_IN_USE_TTL_SECONDS: Final = 2.0
_MAX_SCOPES: Final = 50
_WORKSPACES_AT_ONCE: Final = 500
"""After so many, other requests have a turn."""


@dataclass(frozen=True, slots=True)
class ModelsInUse:
    """The models of some workspaces, by their keys."""

    workspaces: Counter[str]
    """How many of the workspaces ask for each."""
    size_bytes: Mapping[str, int]
    """The bytes of those that some workspace has."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Reads models from the cluster view. What is in use is as of two seconds ago at most."""

    cluster: ClusterView
    _in_use: TtlCache[Scope, ModelsInUse] = field(
        default_factory=lambda: TtlCache(_IN_USE_TTL_SECONDS, _MAX_SCOPES)
    )

    async def in_use(self, scope: Scope) -> ModelsInUse:
        """Return the models of the workspaces in these teams."""
        return await self._in_use.get(scope, lambda: self._count(scope))

    async def entries(self, scope: Scope, room: Room | None) -> dict[str, Any]:
        """Return a schemas.catalogue.ModelCatalogue. With a room, each model says if it fits."""
        platform, models = self.cluster.platform(), await self.in_use(scope)
        keys = sorted({*KNOWN_BY_KEY, *models.workspaces})
        items = [_entry(key, models, room) for key in keys if _may_be_named(key, platform)]
        return {"checked": CHECKED, "items": items}

    async def _count(self, scope: Scope) -> ModelsInUse:
        workspaces: Counter[str] = Counter()
        sizes: dict[str, int] = {}
        teams = self.cluster.teams_with_workspaces()
        for team in teams if scope.everywhere else teams & scope.teams:
            for index, view in enumerate(self.cluster.of_team(team), start=1):
                models = self.cluster.models_of(view.document["spec"]) or ()
                workspaces.update(model_key(_canonical_name(model)) for model in models)
                sizes |= _sizes(view.document["status"])
                if index % _WORKSPACES_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0)
        return ModelsInUse(workspaces, sizes)


def room_of(cluster: ClusterView, view: View) -> Room | None:
    """Return what the workspace's server has for models; None for a spec that is not understood.

    Before the volume is bound, it counts with the size that it asks for. Raises ProblemError (503)
    while the platform's settings are not understood.
    """
    try:
        spec = WorkspaceSpec.model_validate(view.document["spec"], extra="ignore")
    except ValueError:
        return None
    platform = cluster.platform()
    spec = size_classes.fill_spec(spec, platform)
    share = effective_spec.ollama_share(spec, platform)
    has_gpu = spec.resources.ollama.gpu is not None
    return Room(
        memory_bytes=0 if has_gpu else int(quantity.parse(share.memory_limit)),
        capacity_bytes=models_capacity_bytes(cluster, view) or int(quantity.parse(share.storage)),
        occupied_bytes=stored_bytes(view),
        held_bytes={
            model_key(model["name"]): model.get("completedBytes", 0)
            for model in _models_of(view.document["status"])
        },
    )


def _may_be_named(key: str, platform: PlatformSpec) -> bool:
    """Whether a new workspace may name the model: its name is one, its registry is allowed, and it
    does not run at ollama.com."""
    try:
        is_hosted = parse_model(key).is_hosted
    except InvalidModelNameError:
        return False
    return not is_hosted and effective_spec.is_allowed(key, platform)


def _entry(key: str, models: ModelsInUse, room: Room | None) -> dict[str, Any]:
    """Return a schemas.catalogue.CatalogueModel."""
    known: KnownModel | None = KNOWN_BY_KEY.get(key)
    size = models.size_bytes.get(key) or (known.size_bytes if known else None)
    result = fit(key, size, room) if size is not None and room else None
    return {
        "name": known.name if known else key,
        "workspaces": models.workspaces[key],
        "sizeBytes": size,
        "isSizeMeasured": key in models.size_bytes,
        "memoryBytes": enough_memory_gib(size) * 2**30 if size is not None else None,
        "contextLength": known.context_length if known else None,
        "capabilities": list(known.capabilities) if known else None,
        "licence": known.licence if known else None,
        "source": known.source if known else None,
        "fits": result.fits if result else None,
        "toRaise": [
            {"field": change.field, "to": change.to, "message": change.message}
            for change in (result.raises if result else ())
        ],
    }


def _models_of(status: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    models: Iterable[Mapping[str, Any]] = status.get("models", ())
    return models


def _sizes(status: Mapping[str, Any]) -> dict[str, int]:
    """Return the bytes of each model that the workspace has."""
    return {
        model_key(model["name"]): model["totalBytes"]
        for model in _models_of(status)
        if model["state"] == ModelState.READY and model.get("totalBytes")
    }


def _canonical_name(model: str) -> str:
    """Return the name as servers list it, or as it is if it is invalid but was accepted."""
    try:
        return str(parse_model(model))
    except InvalidModelNameError:
        return model
