"""From a former state of the product to this one while a chat is used, and the definitions back.

The former operator runs beside the node as its service account. There it reaches models through the
API server, which a role of these tests lets it.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from aichat_workspace.domain import names
from tests.compatibility import KINDS, RELEASED, released_definition
from tests.e2e.conftest import (
    OPERATOR_USER,
    ROOT,
    SYSTEM,
    Node,
    make_workspace,
    resource_of,
    signed_in,
    wait_ready,
)
from tests.e2e.webui import WebUI
from tests.e2e.workspace import answers, bytes_sent, chats, condition, keep_a_chat
from tests.former import former_source
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("whole_node")]
TENANT: Final = "former-aichat"
RESOURCE: Final = resource_of(TENANT)
MODEL: Final = "codegemma:2b"
OPERATOR: Final = f"deployment/{names.OPERATOR}"
PROXY: Final = "models-through-the-api-server"
LAST: Final = [released_definition(RELEASED[-1], kind) for kind in KINDS]
PAUSE: Final = f"{names.UPGRADES_ANNOTATION}={names.PAUSED}"


@dataclass
class Visitor:
    """Somebody who looks at their chats all the time."""

    chat: WebUI
    looks: int = 0
    failures: list[str] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def visiting(self) -> Iterator[None]:
        thread = threading.Thread(target=self._visit)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _visit(self) -> None:
        while not self._is_over.wait(0.5):
            try:
                chats(self.chat)
                self.looks += 1
            except OSError as error:
                self.failures.append(str(error))


@contextmanager
def former_operator(node: Node, folder: Path) -> Iterator[None]:
    """A former operator in place of the one that is installed."""
    source = former_source(folder)
    config = yaml.safe_load(Path(node.kubeconfig).read_text())
    token = node.kubectl("create", "token", names.OPERATOR, "-n", SYSTEM, "--duration=1h").strip()
    config["users"][0]["user"] = {"token": token}
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    node.kubectl("scale", OPERATOR, "-n", SYSTEM, "--replicas=0")
    role = ("--verb=*", "--resource=services/proxy,pods/proxy")
    node.kubectl("create", "clusterrole", PROXY, *role)
    account = f"--user={OPERATOR_USER}"
    node.kubectl("create", "clusterrolebinding", PROXY, f"--clusterrole={PROXY}", account)
    environment = {**os.environ, "ENV": "dev", "PROBE_PORT": "0", "KUBECONFIG": str(kubeconfig)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["aichat-workspace-operator"],
            env={**environment, "PYTHONPATH": str(source)},
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)
        node.kubectl("delete", f"clusterrole/{PROXY}", f"clusterrolebinding/{PROXY}")
        node.kubectl("scale", OPERATOR, "-n", SYSTEM, "--replicas=2")
    assert "Traceback" not in (folder / "log").read_text()


def define(node: Node, definitions: list[Any]) -> None:
    node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(definitions))
    crds = [f"crd/{kind}.{names.GROUP}" for kind in KINDS]
    node.kubectl("wait", "--for=condition=Established", *crds, "--timeout=60s")
    node.kube.kinds.clear()


def now() -> list[Any]:
    bases = (ROOT / "config" / "crd" / "bases").glob("*.yaml")
    return [yaml.safe_load(path.read_text()) for path in sorted(bases)]


def test_chats_go_on_from_the_last_release_to_this_one_and_all_data_stay(
    node: Node, tmp_path: Path
) -> None:
    define(node, LAST)
    node.kubectl("annotate", "--overwrite", "aichatplatform", "default", PAUSE)
    with former_operator(node, tmp_path):
        make_workspace(node, TENANT, models=[MODEL], embeddingModel="none")
        wait_ready(node, RESOURCE, TENANT)
        chat = signed_in(node, TENANT)
        keep_a_chat(chat)
        before, documents = node.kube.get("aiws", RESOURCE, "-n", SYSTEM), chats(chat)
        assert answers(chat, MODEL)
        sent, visitor = bytes_sent("library/codegemma"), Visitor(chat)
    with visitor.visiting():
        define(node, now())
        node.kubectl("rollout", "status", OPERATOR, "-n", SYSTEM, "--timeout=170s")
        eventually(
            lambda: condition(node, RESOURCE, "UpToDate")["status"] == "False" or _is_current(node),
            "the operator of this state tells of it",
            story=lambda: node.story(TENANT),
        )
        assert answers(chat, MODEL)
    assert (visitor.looks > 0, visitor.failures) == (True, [])
    after = node.kube.get("aiws", RESOURCE, "-n", SYSTEM)
    assert (after["spec"], after["metadata"]["uid"]) == (before["spec"], before["metadata"]["uid"])
    node.kubectl("annotate", "aichatplatform", "default", f"{names.UPGRADES_ANNOTATION}-")
    eventually(lambda: _is_current(node), "it has its turn", 300, lambda: node.story(TENANT))
    wait_ready(node, RESOURCE, TENANT)
    eventually(lambda: answers(chat, MODEL), "the model answers", 240)
    assert chats(chat) == documents
    assert bytes_sent("library/codegemma") == sent, "no model was downloaded again"


def _is_current(node: Node) -> bool:
    return bool(condition(node, RESOURCE, "UpToDate")["status"] == "True")


def test_chats_go_on_when_the_definitions_go_back(node: Node) -> None:
    chat = signed_in(node, TENANT)
    visitor, spec = Visitor(chat), node.kube.get("aiws", RESOURCE, "-n", SYSTEM)["spec"]
    with visitor.visiting():
        define(node, LAST)
        assert node.kube.get("aiws", RESOURCE, "-n", SYSTEM)["spec"] == spec
        change = {"spec": {"description": "Written with the older definitions."}}
        node.kube.patch("aiws", RESOURCE, SYSTEM, change)
        wait_ready(node, RESOURCE, TENANT)
        assert answers(chat, MODEL)
        define(node, now())
        wait_ready(node, RESOURCE, TENANT)
    assert (visitor.looks > 0, visitor.failures) == (True, [])
    node.kubectl("delete", "aiws", RESOURCE, "-n", SYSTEM, "--timeout=120s")
