"""Generated clients make a workspace, wait for it, ask its model and delete it, in each language.

The API and the API server are real. In the operator's place the test makes what a story needs.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.render.components import OLLAMA, OLLAMA_PORT
from aichat_workspace.domain.render.labels import workspace_labels
from tests import run
from tests.api import ROOT, SYSTEM, person, running_api, token_request
from tests.integration.conftest import Cluster, control_plane
from tests.integration.pods import served
from tests.waiting import eventually

_PERSON: Final = "narrator"
_MODEL: Final = "gemma2:2b"
_REPLY: Final = "Good morning!"
_SECONDS: Final = 120
_MAKE_SECONDS: Final = 900
_BUILD: Final = ROOT / "build"
_COMMANDS: Final = {
    "python": (
        str(_BUILD / "generator" / "bin" / "python"),
        str(ROOT / "examples" / "create_and_ask.py"),
        "--delete",
    ),
    "typescript": ("node", str(_BUILD / "clients" / "typescript" / "dist" / "story.js")),
    "go": (str(_BUILD / "clients" / "go" / "story"),),
}
pytestmark = pytest.mark.timeout(_MAKE_SECONDS + _SECONDS)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with control_plane(f"clients-{os.getpid()}") as control:
        yield control


@pytest.fixture(scope="module")
def environment(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """What a story needs: compiled clients, an API that runs, and a token for it."""
    make = ("make", "clients")
    run.once("clients", lambda: subprocess.run(make, cwd=ROOT, check=True).returncode)
    for document in person(_PERSON):
        cluster.apply(document)
    token = cluster.kubectl(*token_request(_PERSON)).strip()
    with running_api(cluster.kubeconfig, tmp_path_factory.mktemp("api") / "log") as address:
        client = {"PYTHONPATH": str(_BUILD / "client"), "NO_PROXY": "127.0.0.1"}
        yield {**os.environ, **client, "API": address, "TOKEN": token}


@pytest.mark.parametrize("language", _COMMANDS)
def test_a_generated_client_completes_the_story(
    cluster: Cluster, environment: dict[str, str], language: str
) -> None:
    name = f"by-{language}"
    command = [*_COMMANDS[language], name, _MODEL, "Good morning"]
    pipe = subprocess.PIPE
    with ExitStack() as end:
        story = end.enter_context(
            subprocess.Popen(command, env=environment, text=True, stdout=pipe, stderr=pipe)
        )
        end.callback(story.kill)  # where it would wait for ever
        end.enter_context(_provided(cluster, name))
        output, errors = story.communicate(timeout=_SECONDS)
    assert story.returncode == 0, output + errors
    pending, ready, reply, deleted = output.splitlines()[-4:]
    assert pending == f"{name}: Pending"
    assert ready == f"{name}: Ready"
    assert reply == _REPLY
    assert deleted == f"{name}: deleted"
    eventually(lambda: not cluster.kube.has("aiws", name, SYSTEM), "it is deleted", _SECONDS)


@contextmanager
def _provided(cluster: Cluster, name: str) -> Iterator[None]:
    """A new workspace gets a namespace, a model server, and the phase Ready."""
    eventually(lambda: cluster.kube.has("aiws", name, SYSTEM), "the client makes it", _SECONDS)
    uid = cluster.get("aiws", name, "-n", SYSTEM)["metadata"]["uid"]
    for manifest in (_namespace(name, uid), _service(name)):
        cluster.apply(manifest)
    namespace = {"name": name, "uid": cluster.get("namespace", name)["metadata"]["uid"]}
    with served(cluster, name, OLLAMA, _respond):
        status = {"phase": "Ready", "namespace": namespace, "modelsReady": "1/1"}
        cluster.kube.patch("aiws", name, SYSTEM, {"status": status}, "status")
        yield


def _respond(method: str, path: str, body: bytes, _: dict[str, str]) -> tuple[int, bytes]:
    assert (method, path, json.loads(body)["model"]) == ("POST", "/api/chat", _MODEL)
    return 200, json.dumps({"message": {"content": _REPLY}, "done": True}).encode() + b"\n"


def _namespace(name: str, uid: str) -> dict[str, Any]:
    owner = {names.OWNER_UID_ANNOTATION: uid}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "annotations": owner},
    }


def _service(name: str) -> dict[str, Any]:
    port = {"name": "http", "port": OLLAMA_PORT, "targetPort": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": names.ollama(name), "namespace": name},
        "spec": {
            "selector": workspace_labels(name, f"{OLLAMA}-server", OLLAMA),
            "ports": [port],
        },
    }
