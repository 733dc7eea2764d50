"""Pause and resume upgrades, by the AIChatPlatform's annotation, as `kubectl annotate` does."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest, Authorizer
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.workspaces.cluster_view import CATCH_UP_SECONDS, ClusterView
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME
from aichat_workspace.foundation.metadata import annotations
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ConflictError, InvalidError, NotFoundError
from aichat_workspace.kube.objects import Json, resource_version

_ATTEMPTS: Final = 3
_CHANGE: Final = AccessRequest("patch", name=PLATFORM_NAME, resource=kinds.PLATFORM)
_MARKS: Final = "/metadata/annotations"
_MARK: Final = f"{_MARKS}/{names.UPGRADES_ANNOTATION.replace('/', '~1')}"


@dataclass(frozen=True, slots=True)
class Upgrades:
    """Pauses and resumes upgrades for callers who may patch the AIChatPlatform."""

    client: Client
    cluster: ClusterView
    authorizer: Authorizer

    async def may_change(self, caller: Caller) -> bool:
        """Return whether the caller may. Raises what `Authorizer.allows` raises."""
        return await self.authorizer.allows(caller, _CHANGE)

    async def set_paused(self, caller: Caller, *, is_paused: bool, dry_run: bool) -> None:
        """Pause or resume; what is so already is not written.

        Raises ProblemError: 403 for a caller who may not, 409 without an AIChatPlatform or where it
        keeps changing.
        """
        audit_log.note(dry_run=dry_run)
        if not await self.may_change(caller):
            raise problems.not_the_platform(caller.username, "patch")
        for _ in range(_ATTEMPTS):
            try:
                platform = await self.client.get(kinds.PLATFORM, PLATFORM_NAME)
                operations = _operations(platform, is_paused=is_paused)
                if operations:
                    with audit_log.note_unknown_outcome(dry_run=dry_run):
                        await self._write(operations, dry_run=dry_run)
            except NotFoundError:
                raise problems.no_platform() from None
            except (
                InvalidError,
                ConflictError,
            ):  # its annotations have changed since they were read
                continue
            return
        raise problems.changing()

    async def _write(self, operations: list[Json], *, dry_run: bool) -> None:
        """Write, and wait some seconds until the cluster view has it."""
        written = await self.client.json_patch(
            kinds.PLATFORM,
            PLATFORM_NAME,
            None,
            operations,
            field_manager=names.API,
            dry_run=dry_run,
        )
        if not dry_run:
            with suppress(TimeoutError):
                async with asyncio.timeout(CATCH_UP_SECONDS):
                    await self.cluster.wait_for_platform(resource_version(written))


def _operations(platform: Json, *, is_paused: bool) -> list[Json]:
    """Return the JSON patch; without annotations it tests that none have come meanwhile."""
    marks = annotations(platform)
    if (marks.get(names.UPGRADES_ANNOTATION) == names.PAUSED) is is_paused:
        return []
    if not is_paused:
        return [
            {"op": "test", "path": _MARK, "value": names.PAUSED},
            {"op": "remove", "path": _MARK},
        ]
    if marks:
        return [{"op": "add", "path": _MARK, "value": names.PAUSED}]
    return [
        {"op": "test", "path": _MARKS, "value": None},
        {"op": "add", "path": _MARKS, "value": {names.UPGRADES_ANNOTATION: names.PAUSED}},
    ]
