"""Work that the leader repeats beside reconciliation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import structlog

from aichat_workspace.kube.errors import ApiError, UnreachableError

_RETRY_SECONDS: Final = 5.0
_log: Final = structlog.get_logger()


async def keep(what: str, moved: asyncio.Event, attempt: Callable[[], Awaitable[None]]) -> NoReturn:
    """Attempt it at once and whenever `moved` is set, until cancelled.

    A fault is logged with `what` it kept from being done and tried again, also one of this program:
    nothing waits for this work, so its end would not be seen.
    """
    while True:
        moved.clear()
        try:
            await attempt()
        except (ApiError, UnreachableError) as error:
            _log.warning(f"{what} failed", error=str(error), retry_seconds=_RETRY_SECONDS)
        except Exception:
            _log.exception(f"{what} crashed", retry_seconds=_RETRY_SECONDS)
        else:
            await moved.wait()
            continue
        await asyncio.sleep(_RETRY_SECONDS)
