"""Writes the AIChatPlatform's status: only one that differs, and at most once in five seconds."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, NoReturn

from aichat_workspace.domain.status.platform_status import compute_platform_status
from aichat_workspace.domain.v1alpha1.base import read_record
from aichat_workspace.domain.v1alpha1.platform_status import PlatformStatus
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.observed.platform_inputs import platform_inputs
from aichat_workspace.operator.records.keeping import keep
from aichat_workspace.operator.writer import Writer

_PACE_SECONDS: Final = 5.0


async def maintain(writer: Writer, caches: Caches, now: Callable[[], datetime]) -> NoReturn:
    """Keep the status up to date until cancelled. Log a fault and try again."""

    async def report_paced() -> None:
        await report(writer, caches, now())
        await asyncio.sleep(_PACE_SECONDS)

    await keep("reporting on the platform", caches.platform_moved, report_paced)


async def report(writer: Writer, caches: Caches, now: datetime) -> None:
    """Write the status if it differs from the present one.

    Raises:
        ApiError: it was refused; the next attempt may succeed.
        UnreachableError: the API server did not answer; a retry helps.
    """
    platform = caches.settings.platform
    if platform is None:
        return
    current = read_record(PlatformStatus, platform.get("status") or {})
    status = compute_platform_status(current, platform_inputs(caches, platform), now)
    if status != current:
        await writer.report_platform(platform, status)
