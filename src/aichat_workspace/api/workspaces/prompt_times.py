"""Notes when workspaces are prompted by the API: their chats know nothing of that."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ApiError, UnreachableError
from aichat_workspace.kube.objects import Json

PRECISION: Final = timedelta(hours=1)
"""However often a workspace is prompted, one write in this time notes it."""
_MAX_WORKSPACES: Final = 5_000
_ANNOTATIONS: Final = "/metadata/annotations"
_MEMBER: Final = names.PROMPTED_ANNOTATION.replace("~", "~0").replace("/", "~1")
_log: Final = structlog.get_logger()


def _new_cache() -> TtlCache[str, None]:
    return TtlCache(PRECISION.total_seconds(), _MAX_WORKSPACES)


@dataclass(frozen=True, slots=True)
class PromptTimes:
    """Writes the time of prompts into an annotation, from which the operator reports it."""

    client: Client
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _writes: TtlCache[str, None] = field(default_factory=_new_cache)
    """By the workspace's UID: what this replica has written, and the caches may not show yet."""

    async def note(self, view: View) -> None:
        """Note that a workspace's model is prompted now. A prompt does not fail for its note."""
        is_stopped = view.document["spec"].get("suspended") or view.phase == Phase.SUSPENDED
        if is_stopped or self._is_noted(view):
            return
        try:
            await self._writes.get(view.document["uid"], lambda: self._write(view))
        except (ApiError, UnreachableError) as error:
            _log.info("prompt not noted", workspace=view.name, error=str(error))

    def _is_noted(self, view: View) -> bool:
        try:
            noted = datetime.fromisoformat(view.annotations[names.PROMPTED_ANNOTATION])
            return timedelta(0) <= self.now() - noted < PRECISION
        except (KeyError, ValueError, TypeError):  # it is missing, or people wrote something else
            return False

    async def _write(self, view: View) -> None:
        await self.client.json_patch(
            kinds.WORKSPACE,
            view.resource,
            view.team,
            _operations(view, self.now()),
            field_manager=names.API,
        )


def _operations(view: View, now: datetime) -> list[Json]:
    """Return the JSON patch. Where a resource has no annotations, it tests that none have come
    meanwhile: to add the map would replace them."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    same = {"op": "test", "path": "/metadata/uid", "value": view.document["uid"]}
    if view.annotations:
        return [same, {"op": "add", "path": f"{_ANNOTATIONS}/{_MEMBER}", "value": moment}]
    return [
        same,
        {"op": "test", "path": _ANNOTATIONS, "value": None},
        {"op": "add", "path": _ANNOTATIONS, "value": {names.PROMPTED_ANNOTATION: moment}},
    ]
