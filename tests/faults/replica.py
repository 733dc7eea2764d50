"""The operator as one of several replicas, outside of a cluster: `python replica.py`.

It is told of no DNS servers, as an operator on a laptop is: it would allow this machine's besides,
and its workspaces would not be as the undisturbed one.
"""

import asyncio
import os
from pathlib import Path

from aichat_workspace.operator.main import run_until_stopped
from aichat_workspace.operator.settings import Settings
from aichat_workspace.runtime.garbage import collect_rarely
from aichat_workspace.runtime.logs import log_as_json

if __name__ == "__main__":
    log_as_json()
    collect_rarely()
    settings = Settings(dev=False, kubeconfig=None, probe_port=0, resolv_conf=Path(os.devnull))
    asyncio.run(run_until_stopped(settings))
