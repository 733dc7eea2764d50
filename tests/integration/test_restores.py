"""Restores before a real API server, whose controllers make pods that this file lets run."""

import json
from typing import Any

import pytest

from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    Operator,
    platform,
    restore_default_settings,
    workspace,
)
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")

BACKUP = "20261130T030000Z-00000001"
FOR_ALL = {"apps.aichatworkspaces.io/for-workspace": "*"}
SECRETS = {
    "restore-keys": {"accessKeyID": "a key", "secretAccessKey": "a secret"},
    "restore-passphrase": {"passphrase": "a passphrase of the team"},
}
STORE = {"endpoint": "https://203.0.113.7", "bucket": "chats", "secretName": "restore-keys"}
SETTINGS = {
    "backup": {
        "passphraseSecretName": "restore-passphrase",
        "destinations": [
            {"name": "nightly", "s3": STORE},
            {"name": "archive", "s3": {**STORE, "bucket": "old-chats"}},
        ],
    }
}


@pytest.fixture(autouse=True)
def places(cluster: Cluster) -> Any:
    """The platform has a place for backups."""
    for name, data in SECRETS.items():
        metadata = {"name": name, "namespace": SYSTEM, "annotations": FOR_ALL}
        cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        )
    cluster.apply(platform(SETTINGS))
    yield
    restore_default_settings(cluster)


def status(cluster: Cluster, name: str) -> Any:
    return cluster.get("aiws", name, "-n", SYSTEM).get("status", {})


def condition(cluster: Cluster, name: str, kind: str) -> tuple[str, str]:
    conditions = {entry["type"]: entry for entry in status(cluster, name).get("conditions", [])}
    entry = conditions.get(kind, {})
    return entry.get("status", ""), entry.get("reason", "")


def pods(cluster: Cluster, name: str, component: str) -> list[Any]:
    items: list[Any] = cluster.get("pods", "-n", name)["items"]
    label = "app.kubernetes.io/component"
    return [pod for pod in items if pod["metadata"]["labels"].get(label) == component]


def one_pod(cluster: Cluster, name: str) -> Any:
    """The pod of the run that is to come."""
    present: list[Any] = []

    def is_there() -> bool:
        present[:] = [pod for pod in pods(cluster, name, "backup") if not _is_over(pod)]
        return len(present) == 1

    eventually(is_there, "a run has a pod")
    return present[0]


def _is_over(pod: Any) -> bool:
    return pod["status"].get("phase") in ("Failed", "Succeeded")


def end(cluster: Cluster, pod: Any, exit_code: int, result: dict[str, Any]) -> None:
    """The pod's program has ended, as a kubelet reports it."""
    moment = "2026-11-30T04:00:00Z"
    terminated = {
        "exitCode": exit_code,
        "reason": "Error" if exit_code else "Completed",
        "message": json.dumps(result),
        "startedAt": moment,
        "finishedAt": moment,
    }
    container = {
        "name": "backup",
        "image": "",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": terminated},
    }
    ended = {"phase": "Failed" if exit_code else "Succeeded", "containerStatuses": [container]}
    metadata = pod["metadata"]
    cluster.kubectl(
        *("patch", "pod", metadata["name"], "-n", metadata["namespace"], "--subresource=status"),
        *("--type=merge", "-p", json.dumps({"status": ended})),
    )


def replicas(cluster: Cluster, name: str) -> int:
    deployment = cluster.get("deployment", f"{name}-openwebui", "-n", name)
    return int(deployment["spec"]["replicas"])


def test_a_new_workspace_begins_with_a_backups_data(cluster: Cluster) -> None:
    name = "restored-first"
    restore = {"backup": BACKUP, "source": "another-one", "destination": "archive"}
    cluster.apply(workspace(name, restore=restore))
    pod = one_pod(cluster, name)
    assert pods(cluster, name, "openwebui") == [], "nobody writes before"
    container = pod["spec"]["containers"][0]
    run = pod["metadata"]["labels"]["job-name"]
    assert container["args"] == ["restore", BACKUP, "--from-another-workspace", "--once", run]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["BACKUP_STORE"] == f"s3://old-chats/{SYSTEM}/another-one"
    assert condition(cluster, name, "Ready") == ("False", "Restoring")
    assert condition(cluster, name, "Restored") == ("Unknown", "Restoring")
    end(cluster, pod, 0, {"name": BACKUP})
    eventually(
        lambda: condition(cluster, name, "Restored") == ("True", "Restored"), "it is restored"
    )
    eventually(lambda: replicas(cluster, name) == 1, "the chat starts")
    assert status(cluster, name)["restore"]["state"] == "Done"


@pytest.mark.timeout(600)  # an operator starts three times
def test_a_restore_that_is_killed_goes_on_and_one_that_is_refused_starts_the_old_chat(
    cluster: Cluster, shared_operator: Operator
) -> None:
    name = "restored-again"
    cluster.apply(workspace(name))
    eventually(lambda: bool(pods(cluster, name, "openwebui")), "the chat has a pod")
    # People have used it: only a chat that never ran waits for its data.
    images = {"ollama": "ollama:1", "openWebUI": "open-webui:1"}
    shared_operator.stop()
    cluster.kubectl(
        *("patch", "aiws", name, "-n", SYSTEM, "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": {"images": images}})),
    )
    cluster.apply(workspace(name, restore={"backup": BACKUP}))
    shared_operator.start()
    first = one_pod(cluster, name)
    assert pods(cluster, name, "openwebui") == []
    shared_operator.stop()
    end(cluster, first, 137, {})
    shared_operator.start()
    eventually(
        lambda: any(
            pod["metadata"]["name"] != first["metadata"]["name"]
            for pod in pods(cluster, name, "backup")
        ),
        "the Job tries again",
    )
    assert replicas(cluster, name) == 0
    second = one_pod(cluster, name)
    end(cluster, second, 1, {"error": "invalid-archive", "message": "data/webui.db is torn"})
    eventually(
        lambda: condition(cluster, name, "Restored") == ("False", "ArchiveInvalid"),
        "it says why",
    )
    eventually(lambda: replicas(cluster, name) == 1, "the chat starts with the old data")
    assert condition(cluster, name, "Stalled") != ("True", "ArchiveInvalid")
    record = status(cluster, name)["restore"]
    assert record["state"] == "Failed"
    assert "data/webui.db is torn" in record["message"]
    cluster.apply(workspace(name, restore={"backup": BACKUP, "request": "again"}))
    end(cluster, one_pod(cluster, name), 0, {"name": BACKUP})
    eventually(
        lambda: condition(cluster, name, "Restored") == ("True", "Restored"),
        "another request restores the same backup again",
    )
