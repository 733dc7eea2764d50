"""The model server is told nothing that it no longer reads."""

import json
import os
import re
import subprocess

import pytest

from aichat_workspace.domain.render import render
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from localcluster.build.images.ollama import ensure_ollama
from localcluster.progress import reporting
from tests.unit.domain.samples import CREDENTIALS, workspace

TUNING = {"contextLength": 4096, "keepAlive": "10m", "parallelRequests": 2, "loadedModels": 3}
VARIABLE = re.compile(r"\b(?:OLLAMA|LLAMA_ARG)_[A-Z_]+\b")
# Building Ollama takes some minutes where no cluster has been built before.
pytestmark = pytest.mark.timeout(1500)


def test_ollama_and_its_engine_read_every_variable_that_is_set() -> None:
    manifests = render(workspace(ollama=TUNING), PlatformSpec(), CREDENTIALS)
    (stateful_set,) = (manifest for manifest in manifests if manifest["kind"] == "StatefulSet")
    variables = set(VARIABLE.findall(json.dumps(stateful_set)))
    assert {"OLLAMA_NUM_PARALLEL", "LLAMA_ARG_THREADS"} < variables, "all are found"
    with reporting() as report:
        folder = ensure_ollama(report)
    engine = folder / "lib" / "ollama"
    known = documented(str(folder / "bin" / "ollama"), "serve", "--help")
    known |= documented(str(engine / "llama-server"), "--help", LD_LIBRARY_PATH=str(engine))
    assert variables <= known, f"no longer read: {sorted(variables - known)}"


def documented(*command: str, **environment: str) -> set[str]:
    """The variables that a program's help names."""
    text = subprocess.check_output(command, env={**os.environ, **environment}, text=True)
    return set(VARIABLE.findall(text))
