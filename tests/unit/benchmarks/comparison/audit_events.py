"""Audit events of a made-up operator for tests."""

from typing import Any

from benchmarks.comparison.audit_log import Event

USER = "system:serviceaccount:ops:operator"


def event(verb: str, plural: str, name: str, body: Any = None, **more: Any) -> Event:
    uid = more.pop("uid", "")
    namespace = more.pop("namespace", "team")
    return {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": USER},
        "requestURI": f"/api/v1/namespaces/{namespace}/{plural}/{name}",
        "objectRef": {
            "resource": plural,
            "namespace": namespace,
            "name": name,
            "apiVersion": "v1",
            **more.pop("reference", {}),
        },
        "responseStatus": {"code": more.pop("code", 200)},
        "requestObject": body,
        "responseObject": {"metadata": {"uid": uid, "name": name, "resourceVersion": "7"}},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.500000Z",
    }


EVENTS = [
    event("patch", "teams", "bench-9999", {"metadata": {"uid": "uid-0"}}, uid="uid-0"),
    event("create", "namespaces", "bench-9999", {"a": 1}, uid="uid-1", namespace="bench-9999"),
    event("create", "secrets", "session-key", {}, uid="uid-2"),
    event("patch", "services", "bench-9999-web", {"of": "uid-1"}, uid="uid-3"),
    event("patch", "services", "bench-9999-web", [{"op": "add", "path": "/x"}], uid="uid-3"),
    event("create", "services", "bench-9999-no", {}, code=403),
    event("create", "services", "bench-9999:80", {}, reference={"subresource": "proxy"}),
    event("create", "events", "bench-9999.made", {}, uid="uid-4"),
    event("get", "services", "bench-9999-web"),
    event("update", "leases", "bench-9999", {}),
]
