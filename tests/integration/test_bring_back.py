"""A workspace that is deleted comes back from its backup under the same name.

The operator and the API server are real, and so are the program and its S3 store; this file has the
part of a kubelet, which runs each pod's program over a folder as the chat's volume.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from localcluster import certificates
from tests.chat_data import DOCUMENT, read_chat, restored, write_chat
from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.test_restores import FOR_ALL, condition, end, one_pod, status
from tests.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, s3_server
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator", "store")

PROGRAM: Final = Path(sys.executable).with_name("aichat-workspace-backup")
SECRETS: Final = {
    "bring-back-keys": {"accessKeyID": ACCESS_KEY, "secretAccessKey": SECRET_KEY},
    "bring-back-passphrase": {"passphrase": "a passphrase of the team"},
}


@pytest.fixture(scope="module")
def store(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The platform's destination is a bucket by TLS, whose authority programs here trust."""
    folder = tmp_path_factory.mktemp("store")
    authority = certificates.ensure(folder / "authority")
    pair = certificates.issue(authority, folder / "certificate", ["127.0.0.1"])
    for name, data in SECRETS.items():
        metadata = {"name": name, "namespace": SYSTEM, "annotations": FOR_ALL}
        cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(authority.certificate))
        with s3_server(folder / "s3", pair=pair) as server:
            s3 = {"endpoint": server.endpoint, "bucket": BUCKET, "secretName": "bring-back-keys"}
            backup = {
                "passphraseSecretName": "bring-back-passphrase",
                "destinations": [{"name": "bucket", "s3": s3}],
            }
            cluster.apply(platform({"backup": backup}))
            yield
            restore_default_settings(cluster)


@dataclass
class Volume:
    """The chat's volume, and the scratch space of runs beside it."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def empty(self) -> None:
        """Be another volume."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.data.mkdir(parents=True)

    def run(self, cluster: Cluster, name: str) -> dict[str, Any]:
        """Run the program of the pod that is to come, as a kubelet does; return its result."""
        pod = one_pod(cluster, name)
        (container,) = pod["spec"]["containers"]
        log = self.folder / "termination-log"
        log.write_text("")
        (self.folder / "scratch").mkdir(exist_ok=True)
        environment = {
            **os.environ,
            **dict(_variable(cluster, name, entry) for entry in container["env"]),
            "BACKUP_DATA": str(self.data),
            "BACKUP_SCRATCH": str(self.folder / "scratch"),
            "BACKUP_TERMINATION_LOG": str(log),
            "BACKUP_CREDENTIALS": str(self._credentials(cluster, pod)),
        }
        ended = subprocess.run(
            [PROGRAM, *container["args"]], env=environment, capture_output=True, check=False
        )
        result: dict[str, Any] = json.loads(log.read_text())
        end(cluster, pod, ended.returncode, result)
        return result

    def _credentials(self, cluster: Cluster, pod: Any) -> Path:
        folder = self.folder / "credentials"
        folder.mkdir(exist_ok=True)
        (secret,) = (
            volume["secret"]["secretName"]
            for volume in pod["spec"]["volumes"]
            if volume["name"] == "credentials"
        )
        for key, text in cluster.get("secret", secret, "-n", _namespace(pod))["data"].items():
            (folder / key).write_bytes(base64.b64decode(text))
        return folder


def _namespace(pod: Any) -> str:
    return str(pod["metadata"]["namespace"])


def _variable(cluster: Cluster, namespace: str, entry: Any) -> tuple[str, str]:
    if "valueFrom" not in entry:
        return entry["name"], entry["value"].replace("$$", "$")
    reference = entry["valueFrom"]["secretKeyRef"]
    secret = cluster.get("secret", reference["name"], "-n", namespace)
    return entry["name"], base64.b64decode(secret["data"][reference["key"]]).decode()


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    volume = Volume(tmp_path / "volume")
    volume.empty()
    return volume


def backed_up(cluster: Cluster, name: str, volume: Volume, **spec: Any) -> str:
    """Make a workspace whose people have chatted, and its backup; return the backup's name."""
    cluster.apply(workspace(name, backup={"request": "once"}, **spec))
    write_chat(volume.data, "hello")
    volume.run(cluster, name)
    eventually(lambda: status(cluster, name).get("backup", {}).get("items"), "it is listed")
    return str(status(cluster, name)["backup"]["items"][0]["name"])


def delete(cluster: Cluster, name: str) -> None:
    cluster.kubectl("delete", "aiws", name, "-n", SYSTEM, "--timeout=100s")


def restore_ends(cluster: Cluster, name: str) -> None:
    eventually(
        lambda: condition(cluster, name, "Restored") == ("True", "Restored"), "it is restored"
    )


def test_a_workspace_whose_namespace_is_gone_comes_back_from_its_backup(
    cluster: Cluster, volume: Volume
) -> None:
    name = "brought-back"
    backup = backed_up(cluster, name, volume)
    before = read_chat(volume.data)
    delete(cluster, name)
    eventually(
        lambda: not cluster.kubectl("get", "namespace", name, "--ignore-not-found"), "it is gone"
    )
    volume.empty()
    cluster.apply(workspace(name, restore={"backup": backup}))
    assert volume.run(cluster, name)["name"] == backup
    restore_ends(cluster, name)
    assert _without_mark(volume) == restored(before)
    delete(cluster, name)


def _without_mark(volume: Volume) -> dict[str, object]:
    chat = read_chat(volume.data)
    assert chat.pop(".restored")
    return chat


def test_a_retained_workspace_comes_back_once_and_keeps_what_people_write_then(
    cluster: Cluster, volume: Volume
) -> None:
    name, retain = "retained-back", {"deletionPolicy": "Retain"}
    backup = backed_up(cluster, name, volume, **retain)
    (volume.data / DOCUMENT).write_text("after the backup")
    delete(cluster, name)
    uid = cluster.get("namespace", name)["metadata"]["uid"]
    resource = workspace(name, namespaceUID=uid, restore={"backup": backup}, **retain)
    cluster.apply(resource)
    assert "again" not in volume.run(cluster, name)
    restore_ends(cluster, name)
    assert (volume.data / DOCUMENT).read_text() == "hello"

    (volume.data / DOCUMENT).write_text("after the restore")
    delete(cluster, name)
    cluster.kubectl("delete", "jobs", "--all", "-n", name)
    cluster.apply(resource)
    assert volume.run(cluster, name)["again"] is True
    restore_ends(cluster, name)
    assert "nothing was replaced" in status(cluster, name)["restore"]["message"]
    assert (volume.data / DOCUMENT).read_text() == "after the restore"
    cluster.apply({**resource, "spec": {**resource["spec"], "deletionPolicy": "Delete"}})
    delete(cluster, name)
