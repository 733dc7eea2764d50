"""Find files of Go modules that are no programs, as definitions of kinds."""

import json
from pathlib import Path

from localcluster.build import toolchain
from localcluster.paths import GO_MODULES
from localcluster.progress import Report


def folder(module: str, path: str, go: toolchain.Toolchain, report: Report) -> Path:
    """Return the folder with the files of a Go module, which one of ours names and pins.

    `module` is our module's folder in `localcluster/go`, `path` the other one's import path.

    Raises:
        CommandFailedError: it can't be loaded; a retry helps when it was the network.
    """
    arguments = ("mod", "download", "-json", path)
    output = toolchain.fetch(go, arguments, GO_MODULES / module, toolchain.environment(go), report)
    return Path(json.loads(output)["Dir"])
