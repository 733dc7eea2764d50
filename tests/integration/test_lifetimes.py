"""How workspaces end, what they leave behind, and what is told of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.tenants import let_age, prove
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module", autouse=True)
def brief(cluster: Cluster, operator: Path) -> str:
    """A workspace whose minute goes by while other tests run."""
    assert operator.exists()
    cluster.apply(workspace("brief", expiresAfter="1m"))
    cluster.apply(workspace("resting", expiresAfter="1m", expiry="Suspend"))
    eventually(lambda: created(cluster, "brief"), "brief is provisioned")
    resource = cluster.get("aiws", "brief", "-n", SYSTEM)
    assert resource["status"]["expiresAt"] > resource["metadata"]["creationTimestamp"]
    return "brief"


def created(cluster: Cluster, name: str) -> bool:
    return bool(cluster.get("aiws", name, "-n", SYSTEM).get("status", {}).get("isCreated"))


def ready_condition(cluster: Cluster, name: str) -> Any:
    conditions = cluster.get("aiws", name, "-n", SYSTEM).get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == "Ready"), {})


def gone(cluster: Cluster, kind: str, name: str, namespace: str = "") -> bool:
    return not cluster.kube.has(kind, name, namespace)


def test_a_retained_namespace_is_taken_over_only_by_its_uid(cluster: Cluster) -> None:
    cluster.apply(workspace("keepsake", deletionPolicy="Retain"))
    eventually(lambda: created(cluster, "keepsake"), "keepsake is provisioned")
    uid = cluster.get("namespace", "keepsake")["metadata"]["uid"]
    secret = cluster.get("secret", "keepsake-credentials", "-n", SYSTEM)["data"]
    cluster.kubectl("delete", "aiws", "keepsake", "-n", SYSTEM, "--timeout=30s")
    (event,) = (
        candidate for candidate in events(cluster, "keepsake") if candidate["reason"] == "Retained"
    )
    assert uid in event["note"]
    namespace = cluster.get("namespace", "keepsake")
    assert namespace["status"]["phase"] == "Active"
    assert namespace["metadata"]["annotations"]["apps.aichatworkspaces.io/retained"] == "true"
    for workload in ("statefulset/keepsake-ollama", "deployment/keepsake-openwebui"):
        assert cluster.get(workload, "-n", "keepsake")["spec"]["replicas"] == 0

    assert cluster.names("ingress", "keepsake") == [], "its host is free"

    cluster.apply(workspace("keepsake"))
    eventually(
        lambda: ready_condition(cluster, "keepsake").get("reason") == "NamespaceRetained",
        "a namesake is told how to take it over",
    )
    assert uid in ready_condition(cluster, "keepsake")["message"]
    cluster.apply(workspace("keepsake", namespaceUID=uid))
    eventually(lambda: created(cluster, "keepsake"), "it takes the namespace over")
    taken = cluster.get("namespace", "keepsake")["metadata"]
    assert taken["uid"] == uid
    assert "apps.aichatworkspaces.io/retained" not in taken["annotations"]
    assert cluster.get("secret", "keepsake-credentials", "-n", SYSTEM)["data"] == secret
    eventually(
        lambda: (
            cluster.get("deployment/keepsake-openwebui", "-n", "keepsake")["spec"]["replicas"] == 1
        ),
        "the chat runs again",
    )
    cluster.kubectl("delete", "aiws", "keepsake", "-n", SYSTEM, "--timeout=60s")
    assert gone(cluster, "namespace", "keepsake")


@pytest.mark.parametrize(("first", "last"), [("Retain", "Delete"), ("Delete", "Retain")])
def test_the_deletion_policy_is_the_last_one_that_was_set(
    cluster: Cluster, first: str, last: str
) -> None:
    name = f"until-{last.lower()}"
    cluster.apply(workspace(name, deletionPolicy=first))
    eventually(lambda: created(cluster, name), f"{name} is provisioned")
    cluster.apply(workspace(name, deletionPolicy=last))
    cluster.kubectl("delete", "aiws", name, "-n", SYSTEM, "--timeout=60s")
    assert gone(cluster, "namespace", name) is (last == "Delete")


def events(cluster: Cluster, resource: str) -> list[Any]:
    selector = ("--field-selector", f"regarding.name={resource}")
    return list(cluster.get("events.events.k8s.io", "-n", SYSTEM, *selector)["items"])


def test_of_two_workspaces_with_one_host_the_older_keeps_it(cluster: Cluster) -> None:
    host = {"host": "shared.chats.localtest.me"}
    cluster.apply(workspace("early", ingress=host))
    eventually(lambda: created(cluster, "early"), "early is provisioned")
    let_age(cluster, "early")
    cluster.apply(workspace("late", ingress=host))
    eventually(
        lambda: ready_condition(cluster, "late").get("reason") == "HostTaken", "late is told so"
    )
    assert "'early'" in ready_condition(cluster, "late")["message"]
    assert created(cluster, "early")
    cluster.kube.delete("aiws", "early", SYSTEM)
    eventually(lambda: created(cluster, "late"), "with early gone, late has it")
    cluster.kube.delete("aiws", "late", SYSTEM)


def test_no_workspace_takes_the_host_of_anothers_name(cluster: Cluster) -> None:
    cluster.apply(workspace("thief", ingress={"host": "victim.localtest.me"}))
    eventually(
        lambda: ready_condition(cluster, "thief").get("reason") == "HostNotAllowed", "it is refused"
    )
    assert "'victim'" in ready_condition(cluster, "thief")["message"]
    cluster.kube.delete("aiws", "thief", SYSTEM)


def test_a_foreign_secret_is_not_changed(cluster: Cluster) -> None:
    name = "precious-credentials"
    cluster.kubectl("create", "secret", "generic", name, "-n", SYSTEM, "--from-literal=a=b")
    before = cluster.get("secret", name, "-n", SYSTEM)
    cluster.apply(workspace("precious"))
    eventually(
        lambda: ready_condition(cluster, "precious").get("reason") == "SecretTaken", "it is told"
    )
    assert cluster.get("secret", name, "-n", SYSTEM) == before
    cluster.kubectl("delete", "secret", name, "-n", SYSTEM)
    eventually(lambda: created(cluster, "precious"), "with the Secret gone it goes on")
    cluster.kube.delete("aiws", "precious", SYSTEM)


def test_each_transition_is_one_event(cluster: Cluster) -> None:
    cluster.apply(workspace("talkative", patterns=["no_such_pattern"], models=["gemma2:2b"]))
    eventually(
        lambda: ready_condition(cluster, "talkative").get("reason") == "ModelFailed", "it fails"
    )
    eventually(lambda: repeated(cluster), "the event follows")
    listed = events(cluster, "talkative")
    reasons = [(event["type"], event["reason"]) for event in listed]
    assert ("Warning", "ModelFailed") in reasons
    assert len(reasons) == len(set(reasons)), reasons
    assert "no_such_pattern" in json.dumps(listed)
    for patterns in ([], ["no_such_pattern"]):
        cluster.kube.patch("aiws", "talkative", SYSTEM, {"spec": {"patterns": patterns}})
        eventually(
            lambda fails=bool(patterns): (  # type: ignore[misc]
                (ready_condition(cluster, "talkative").get("reason") == "ModelFailed") is fails
            ),
            f"it {'fails' if patterns else 'is well'} again",
        )
    eventually(lambda: repeated(cluster) == [2], "the same again is a series of the first event")
    cluster.kube.delete("aiws", "talkative", SYSTEM)


def repeated(cluster: Cluster) -> list[int]:
    return [
        event.get("series", {}).get("count", 1)
        for event in events(cluster, "talkative")
        if event["reason"] == "ModelFailed"
    ]


def test_changed_images_reach_workspaces_a_few_at_a_time(cluster: Cluster) -> None:
    """Without nodes nothing becomes available: a workspace without proven images may
    change at once, and the others wait for those that are changing."""
    names = ["wave-a", "wave-b", "wave-c"]
    for order, name in enumerate(names):
        resource = workspace(name)
        resource["metadata"]["labels"] = {"aichatworkspaces.io/upgrade-order": str(order)}
        cluster.apply(resource)
    eventually(lambda: all(created(cluster, name) for name in names), "all are provisioned")
    old = image(cluster, names[0])
    proven = {"ollama": image(cluster, names[0], "statefulset"), "openWebUI": old}
    prove(cluster, names, proven)
    newer = {"openWebUI": "ghcr.io/open-webui/open-webui:v0.99.0"}
    cluster.apply(platform({"images": newer}))
    try:
        eventually(
            lambda: old not in (image(cluster, "wave-a"), image(cluster, "wave-b")),
            "two change",
            90,
        )
        eventually(
            lambda: condition(cluster, "wave-c", "UpToDate").get("reason") == "UpgradeWaiting",
            "the third is told that it waits",
        )
        assert image(cluster, "wave-c") == old
        cluster.kubectl("set", "image", "deployment/wave-c-openwebui", "-n", "wave-c", "*=evil:1")
        eventually(lambda: image(cluster, "wave-c") == old, "an edited image is drift meanwhile")
    finally:
        restore_default_settings(cluster)
        for name in names:
            cluster.kube.delete("aiws", name, SYSTEM)


def test_an_expired_workspace_is_deleted(cluster: Cluster, brief: str) -> None:
    eventually(lambda: gone(cluster, "aiws", brief, SYSTEM), "it is gone", 120)
    assert gone(cluster, "namespace", brief)
    (end,) = (event for event in events(cluster, brief) if event["reason"] == "Expired")
    assert "1m" in end["note"]


def test_a_workspace_whose_time_is_over_can_be_stopped_instead(cluster: Cluster) -> None:
    def replicas() -> int:
        return int(cluster.get("deployment/resting-openwebui", "-n", "resting")["spec"]["replicas"])

    soon = condition(cluster, "resting", "ExpiresSoon")
    eventually(
        lambda: condition(cluster, "resting", "OllamaAvailable").get("reason") == "Suspended",
        "its time is over",
        120,
    )
    assert not soon or "it is stopped, with all data kept, at" in soon["message"]
    stopped = condition(cluster, "resting", "OllamaAvailable")
    assert "raise or remove spec.expiresAfter" in stopped["message"]
    assert replicas() == 0
    announced = {event["reason"] for event in events(cluster, "resting")}
    assert {"ExpiresSoon", "Suspended"} <= announced
    cluster.kube.patch("aiws", "resting", SYSTEM, {"spec": {"expiresAfter": None}})
    eventually(lambda: replicas() == 1, "it goes on")
    cluster.kube.delete("aiws", "resting", SYSTEM)


def image(cluster: Cluster, name: str, kind: str = "deployment") -> str:
    workload = {"deployment": f"{name}-openwebui", "statefulset": f"{name}-ollama"}[kind]
    document = cluster.get(kind, workload, "-n", name)
    return str(document["spec"]["template"]["spec"]["containers"][0]["image"])


def condition(cluster: Cluster, name: str, kind: str) -> Any:
    conditions = cluster.get("aiws", name, "-n", SYSTEM)["status"]["conditions"]
    return next((condition for condition in conditions if condition["type"] == kind), {})
