"""The operator as one of several replicas, outside of a cluster: `python replica.py [RESOLV_CONF]`.

Without the file it runs a former release, too.
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from aichat_workspace.operator.main import run_until_stopped
from aichat_workspace.operator.settings import Settings
from aichat_workspace.runtime.garbage import collect_rarely
from aichat_workspace.runtime.logs import log_as_json

if __name__ == "__main__":
    log_as_json()
    collect_rarely()
    settings = Settings(dev=False, kubeconfig=None, probe_port=0)
    if len(sys.argv) > 1:
        settings = replace(settings, resolv_conf=Path(sys.argv[1]))
    asyncio.run(run_until_stopped(settings))
