"""The operator as one of several replicas, outside of a cluster: `python replica.py`."""

import asyncio

from aichat_workspace.operator.main import run_until_stopped
from aichat_workspace.operator.settings import Settings
from aichat_workspace.runtime.garbage import collect_rarely
from aichat_workspace.runtime.logs import log_as_json

if __name__ == "__main__":
    log_as_json()
    collect_rarely()
    asyncio.run(run_until_stopped(Settings(dev=False, kubeconfig=None, probe_port=0)))
