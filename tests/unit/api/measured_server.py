"""The API's own program, which tells what it holds: JSON on stdout for each line on stdin.

It may have as much memory as its container. https://man7.org/linux/man-pages/man2/setrlimit.2.html
"""

import asyncio
import json
import os
import resource
import sys
import time
from dataclasses import dataclass

import uvloop

from aichat_workspace.api.server import run
from aichat_workspace.api.settings import Settings
from aichat_workspace.runtime.logs import log_as_json

_LIMIT_BYTES = 384 * 1024 * 1024
_TICK_SECONDS = 0.005


@dataclass
class LoopGauge:
    """The longest time of the processor between two turns of the event loop since the last report.

    Unlike the time of a clock, it does not grow when other processes have the cores.
    """

    longest_seconds: float = 0.0

    async def watch(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(_TICK_SECONDS)
            self.longest_seconds = max(self.longest_seconds, time.thread_time() - before)

    def report(self) -> None:
        sys.stdin.readline()
        report = {"busy_seconds": self.longest_seconds, "tasks": len(asyncio.all_tasks())}
        print(json.dumps(report), flush=True)  # noqa: T201  (a test reads it)
        self.longest_seconds = 0.0


async def main() -> None:
    gauge = LoopGauge()
    watching = asyncio.create_task(gauge.watch())
    asyncio.get_running_loop().add_reader(sys.stdin, gauge.report)
    try:
        await run(Settings.read(os.environ, in_cluster=False))
    finally:
        watching.cancel()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (_LIMIT_BYTES, _LIMIT_BYTES))
    log_as_json()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
