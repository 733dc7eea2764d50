"""The end of the process: when Kubernetes asks for it, and in time."""

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from typing import Any, Final

import structlog

END_SECONDS: Final = 4.5
_log: Final = structlog.get_logger()


async def run_until_signal(
    work: Coroutine[Any, Any, None], *, end_seconds: float = END_SECONDS
) -> None:
    """Run until SIGTERM or SIGINT, then let the work end. A write in hand is finished or repeated
    by the next start: every one of them may be.

    What has not ended by then, in this loop or after it, ends with the process.
    """
    running = asyncio.create_task(work)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        # A thread, for the loop itself may be what does not turn.
        patience = threading.Timer(end_seconds, _leave)
        patience.daemon = True
        patience.start()
        running.cancel()

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop)
    try:
        await running
    except asyncio.CancelledError:
        _log.info("stopped")


def _leave() -> None:
    _log.error("not stopped in time: the process ends with work undone")
    os._exit(1)
