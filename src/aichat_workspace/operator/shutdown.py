"""Graceful shutdown, in the time that Kubernetes allows."""

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
    """Run until SIGTERM or SIGINT, then cancel the work and give it `end_seconds`; after that end
    the process. The next start repeats an unfinished write, as it may any.
    """
    running = asyncio.create_task(work)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        # In a thread, for the event loop itself may hang.
        timer = threading.Timer(end_seconds, _force_exit)
        timer.daemon = True
        timer.start()
        running.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await running
    except asyncio.CancelledError:
        _log.info("stopped")


def _force_exit() -> None:
    _log.error("not stopped in time: the process ends with work undone")
    os._exit(1)
