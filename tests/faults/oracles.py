"""What has to be true after any fault: the oracles O1 to O6 of docs/reliability.md."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from tests.faults.proxy import Call, Proxy
from tests.integration.conftest import OPERATOR_USER, SYSTEM, Cluster
from tests.integration.tenants import listed
from tests.waiting import eventually, let_pass

QUIET_SECONDS: Final = 60
# What the API server, its clock and random numbers make differ between any two workspaces.
_THEIRS: Final = frozenset(
    {
        *("uid", "resourceVersion", "creationTimestamp", "managedFields", "status"),
        *("clusterIP", "clusterIPs"),
        *("apps.aichatworkspaces.io/applied", "apps.aichatworkspaces.io/workspace-uid"),
        "apps.aichatworkspaces.io/pod-template",  # a digest of what has the workspace's name in it
    }
)
_EDITS: Final = re.compile(r"\.metadata\.(generation|annotations\.deployment\S+/revision):")
_NAMESPACE: Final = re.compile(r"/namespaces/([^/]+)")
_COPY: Final = re.compile(r"/secrets/.+-openwebui-[a-z-]+-[0-9a-f]{10}$")
_SUBRESOURCE: Final = re.compile(r"/(?:status|scale)$")
# What a workspace's end does not remove: records of what happened, and of who is at work.
_RECORDS: Final = frozenset({"events", "events.events.k8s.io", "leases.coordination.k8s.io"})


def stem(name: str) -> str:
    """A Secret's copy is named by what is in it, which is random."""
    head, _, tail = name.rpartition("-")
    return head if len(tail) == 10 and head else name


def became(cluster: Cluster, name: str) -> dict[str, Any]:
    """Every object of the tenant by its name, as if the workspace were called what all are."""
    objects = {}
    for manifest in [*listed(cluster, name), cluster.get("namespace", name)]:
        text = json.dumps(_masked(manifest)).replace(name, "NAME")
        document = json.loads(text)
        objects[f"{document['kind']}/{stem(document['metadata']['name'])}"] = document
    return objects


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        masked = {k: _masked(v) for k, v in value.items() if k not in _THEIRS}
        if value.get("kind") == "Secret":
            masked["data"] = sorted(value["data"])
            masked["metadata"] = {**masked["metadata"], "name": stem(value["metadata"]["name"])}
        return masked
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return stem(value) if isinstance(value, str) else value


def assert_same_objects(
    cluster: Cluster, undisturbed: str, *names: str, edited: bool = False
) -> None:
    """O1: what each has become equals what the undisturbed one is. Where other clients have edited
    objects, Kubernetes' counts of edits may differ."""
    calm = became(cluster, undisturbed)
    wrong = {
        name: [what for what in differences if not (edited and _EDITS.search(what))]
        for name in names
        for differences in [_differences(calm, became(cluster, name))]
    }
    assert not any(wrong.values()), f"not as {undisturbed}: {json.dumps(wrong, indent=1)}"


def _differences(expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Yield where two documents differ, and how."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in sorted({*expected, *actual}):
            yield from _differences(expected.get(key), actual.get(key), f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for number, pair in enumerate(zip(expected, actual, strict=True)):
            yield from _differences(*pair, f"{path}[{number}]")
    elif expected != actual:
        yield f"{path}: {actual!r} instead of {expected!r}"


def creations(cluster: Cluster, name: str) -> Counter[str]:
    """How often the operator has made each object, by the API server's audit log."""
    counts: Counter[str] = Counter()
    for line in cluster.audit_log.read_text().splitlines():
        if name not in line:
            continue
        entry = json.loads(line)
        about = entry.get("objectRef", {})
        is_tenants = name in (about.get("namespace"), about.get("name")) or str(
            about.get("name", "")
        ).startswith(f"{name}-")
        created = entry.get("responseStatus", {}).get("code") == 201
        is_operators = entry["user"]["username"] == OPERATOR_USER
        if is_tenants and is_operators and created and about.get("resource") != "events":
            counts[f"{about['resource']}/{about.get('name', '')}"] += 1
    return counts


def assert_nothing_twice(cluster: Cluster, *names: str) -> None:
    """O2: no object was made a second time."""
    for name in names:
        twice = {what: count for what, count in creations(cluster, name).items() if count > 1}
        assert not twice, f"{name}: made more than once: {twice}"


def foreign_writes(proxy: Proxy) -> list[str]:
    """O3: writes that reached what the operator has not made. A workspace's resource is its user's;
    the operator writes its finalizer and status."""
    return [f"{call.verb} {call.object}" for _, call in proxy.done if not _is_ours(call.object)]


def _is_ours(path: str) -> bool:
    namespace = _NAMESPACE.search(path)
    if "/aichatworkspaces/" in path or "/aichatplatforms/" in path or "/events/" in path:
        return True
    if namespace and namespace[1] != SYSTEM:
        return f"/api/v1/namespaces/{namespace[1]}" in Proxy.created
    return _SUBRESOURCE.sub("", path) in Proxy.created


def unconditional_deletions(calls: Iterable[Call]) -> list[str]:
    """O3: deletions that would hit whatever has the name.

    A Secret's copy has a digest of its content in its name, and the operator may not read it.
    """
    return [
        call.object
        for call in calls
        if call.verb == "DELETE"
        and not _COPY.search(call.object)
        and not orjson.loads(call.body or b"{}").get("preconditions", {}).get("uid")
    ]


def scan(cluster: Cluster) -> frozenset[str]:
    """O4: every object of the cluster, whatever its labels."""
    kinds = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    return frozenset(
        entry for kind in kinds if kind not in _RECORDS for entry in _all(cluster, kind)
    )


def _all(cluster: Cluster, kind: str) -> Iterator[str]:
    for item in cluster.get(kind, "-A")["items"]:
        metadata = item["metadata"]
        yield f"{kind} {metadata.get('namespace', '')}/{metadata['name']}"


def assert_nothing_remains(cluster: Cluster, before: frozenset[str]) -> None:
    """O4: after deletion the cluster holds what it held before."""
    eventually(
        lambda: scan(cluster) == before, "what there was before", 90, lambda: _news(cluster, before)
    )


def _news(cluster: Cluster, before: frozenset[str]) -> str:
    after = scan(cluster)
    return f"left over: {sorted(after - before)}; missing: {sorted(before - after)}"


def are_made(cluster: Cluster, *names: str) -> bool:
    """O5: each is provisioned, and the operator has seen its newest spec."""
    resources = cluster.get("aiws", "-n", SYSTEM)["items"]
    return {resource["metadata"]["name"] for resource in resources if _is_made(resource)} >= {
        *names
    }


def _is_made(resource: Any) -> bool:
    status, metadata = resource.get("status", {}), resource["metadata"]
    is_current = status.get("observedGeneration") == metadata["generation"]
    return bool(status.get("isCreated") and is_current)


def are_gone(cluster: Cluster, *names: str) -> bool:
    """O5: neither a resource nor a namespace remains, so no finalizer does."""
    remaining = cluster.kubectl("get", "aiws,namespace", "-A", "-o", "name").split()
    return not {line.rpartition("/")[2] for line in remaining} & {*names}


def assert_at_rest(proxy: Proxy, log: Path, seconds: float = QUIET_SECONDS) -> None:
    """O6: nothing is written for a minute, and there is no traceback."""

    eventually(lambda: _rests(proxy), "the last write", 120)
    before = len(writes(proxy))
    let_pass(seconds, "a write would follow")
    later = writes(proxy)[before:]
    assert not later, f"written at rest: {later}"
    assert "Traceback" not in log.read_text()


def writes(proxy: Proxy) -> list[Call]:
    """Every write that was tried, but for leases."""
    return [call for call in proxy.calls if call.writes and "/leases/" not in call.object]


def _rests(proxy: Proxy) -> bool:
    before = len(writes(proxy))
    let_pass(3, "writes end")
    return len(writes(proxy)) == before
