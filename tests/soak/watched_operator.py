"""The operator as on a laptop, which says on SIGUSR1 what it holds.

python watched_operator.py FILE
"""

import asyncio
import gc
import json
import os
import signal
import sys
from pathlib import Path

from aichat_workspace.operator.main import run_until_stopped
from aichat_workspace.operator.settings import Settings
from aichat_workspace.runtime.garbage import collect_rarely
from aichat_workspace.runtime.logs import log_as_json


async def run(report: Path) -> None:
    def say() -> None:
        gc.collect()
        counts = {"tasks": len(asyncio.all_tasks()), "objects": len(gc.get_objects())}
        part = report.with_suffix(".part")
        part.write_text(json.dumps(counts))
        part.rename(report)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, say)
    await run_until_stopped(Settings.read(os.environ, in_cluster=False))


if __name__ == "__main__":
    log_as_json()
    collect_rarely()
    asyncio.run(run(Path(sys.argv[1])))
