"""Reading pods, namespaces and policies from the API's JSON."""

from typing import Any

from localcluster.node.netpol.state import NamedPort, Pod, read, read_pod


def _pod(name: str, address: str | None, **changes: Any) -> dict[str, Any]:
    status = {"phase": changes.get("phase", "Running"), **({"podIP": address} if address else {})}
    return {
        "metadata": {
            "namespace": "red",
            "name": name,
            "labels": {"app": "a"},
            "creationTimestamp": changes.get("created", "2026-01-01T00:00:00Z"),
        },
        "spec": {"containers": [{"ports": changes.get("ports", [])}], **changes.get("spec", {})},
        "status": status,
    }


def test_a_pod_has_what_policies_match() -> None:
    ports = [{"name": "web", "containerPort": 8080}, {"containerPort": 9}]
    assert read_pod(_pod("one", "10.0.0.1", ports=ports)) == Pod(
        "red", "one", "10.0.0.1", {"app": "a"}, (NamedPort("web", 8080),)
    )


def test_ports_of_init_containers_count() -> None:
    spec = {
        "initContainers": [{"ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}]}]
    }
    assert read_pod(_pod("one", "10.0.0.1", spec=spec)).ports == (NamedPort("dns", 53, "UDP"),)


def test_pods_that_have_no_address_or_have_ended_are_left_out() -> None:
    pods = [
        _pod("new", None),
        _pod("done", "10.0.0.1", phase="Succeeded"),
        _pod("runs", "10.0.0.2"),
    ]
    assert [pod.name for pod in read(pods, [], []).pods] == ["runs"]


def test_an_address_belongs_to_the_youngest_pod_that_has_it() -> None:
    pods = [
        _pod("young", "10.0.0.1", created="2026-01-02T00:00:00Z"),
        _pod("old", "10.0.0.1", created="2026-01-01T00:00:00Z"),
    ]
    assert [pod.name for pod in read(pods, [], []).pods] == ["young"]


def test_the_order_of_the_api_does_not_matter() -> None:
    pods = [_pod("one", "10.0.0.1"), _pod("two", "10.0.0.2")]
    assert read(pods, [], []) == read(pods[::-1], [], [])
