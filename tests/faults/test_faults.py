"""Faults of requests and watches between the operator and the API server.

Each compares what a disturbed workspace became with what an undisturbed one is, and says which
objects were made how often.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest

from tests.faults.conftest import Operator
from tests.faults.proxy import Answer, Call, Cut, Fault, Late, Proxy, Rule, Stream, Twice
from tests.integration.conftest import SYSTEM, Cluster, workspace
from tests.integration.tenants import listed
from tests.waiting import eventually

CALM: Final = "calm"
# What the API server, its clock and random numbers make differ between any two workspaces.
_THEIRS: Final = frozenset(
    {
        *("uid", "resourceVersion", "creationTimestamp", "managedFields", "status"),
        *("clusterIP", "clusterIPs"),
        *("apps.aichatworkspaces.io/applied", "apps.aichatworkspaces.io/workspace-uid"),
    }
)


def make(cluster: Cluster, *names: str) -> None:
    items = [workspace(name, models=["gemma2:2b"], patterns=["explain_code"]) for name in names]
    cluster.apply({"apiVersion": "v1", "kind": "List", "items": items})


def are_made(cluster: Cluster, *names: str) -> bool:
    resources = cluster.get("aiws", "-n", SYSTEM)["items"]
    ready = {
        resource["metadata"]["name"]
        for resource in resources
        if resource.get("status", {}).get("isCreated")
    }
    return ready >= set(names)


def are_gone(cluster: Cluster, *names: str) -> bool:
    remaining = cluster.kubectl("get", "aiws,namespace", "-A", "-o", "name").split()
    return not {line.rpartition("/")[2] for line in remaining} & set(names)


def became(cluster: Cluster, name: str) -> dict[str, Any]:
    """Every object of the tenant by its name, as if the workspace were called what all are."""
    objects = {}
    for manifest in [*listed(cluster, name), cluster.get("namespace", name)]:
        text = json.dumps(_masked(manifest)).replace(name, "NAME")
        document = json.loads(text)
        objects[f"{document['kind']}/{_stem(document['metadata']['name'])}"] = document
    return objects


def _stem(name: str) -> str:
    """A Secret's copy is named by what is in it, which is random."""
    stem, _, tail = name.rpartition("-")
    return stem if len(tail) == 10 and stem else name


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        masked = {k: _masked(v) for k, v in value.items() if k not in _THEIRS}
        if value.get("kind") == "Secret":
            masked["data"] = sorted(value["data"])
            masked["metadata"] = {**masked["metadata"], "name": _stem(value["metadata"]["name"])}
        return masked
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, str) and _stem(value) != value:
        return _stem(value)
    return value


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
        operators = entry["user"]["username"].endswith(":aichat-workspace-operator")
        created = entry.get("responseStatus", {}).get("code") == 201
        if is_tenants and operators and created and about.get("resource") != "events":
            counts[f"{about['resource']}/{about.get('name', '')}"] += 1
    return counts


@pytest.fixture(scope="module")
def writes(cluster: Cluster, through_proxy: tuple[Proxy, Any], tmp_path_factory: Any) -> list[Call]:
    """Every write that an undisturbed workspace takes, from its making to its end, each once. The
    workspace `calm` stays, to compare with."""
    proxy, kubeconfig = through_proxy
    operator = Operator(kubeconfig, tmp_path_factory.mktemp("calm") / "log")
    operator.start()
    make(cluster, CALM, "passing")
    eventually(lambda: are_made(cluster, CALM, "passing"), "both are made")
    cluster.kubectl("delete", "aiws", "passing", "-n", SYSTEM, "--timeout=90s")
    eventually(lambda: are_gone(cluster, "passing"), "passing is gone")
    operator.kill()
    calls = [
        Call(call.verb, _stem(call.object).replace("passing", "NAME"), call.occurrence)
        for call in proxy.calls
        if call.writes
        and "passing" in call.object
        and "/events/" not in call.object
        # The finalizer comes and goes, the status changes; everything else is written once.
        and call.occurrence <= (2 if "/aichatworkspaces/" in call.object else 1)
    ]
    assert len(calls) > 18
    return calls


def to(name: str, write: Call) -> Callable[[Call], bool]:
    """Whether a call is this write for the workspace."""
    target = write.object.replace("NAME", name)
    return lambda call: (
        (call.verb, call.occurrence) == (write.verb, write.occurrence)
        and _stem(call.object) == target
    )


def same_as_calm(cluster: Cluster, *names: str) -> None:
    calm = became(cluster, CALM)
    for name in names:
        assert became(cluster, name) == calm
        twice = {what: count for what, count in creations(cluster, name).items() if count > 1}
        assert twice == {}, "made more than once"


def delete(cluster: Cluster, *disturbed: str) -> None:
    cluster.kubectl("delete", "aiws", *disturbed, "-n", SYSTEM, "--wait=false")
    eventually(lambda: are_gone(cluster, *disturbed), "all are gone", seconds=240)
    secrets = set(cluster.names("secrets", SYSTEM))
    assert not {f"secret/{name}-credentials" for name in disturbed} & secrets


FAULTS: Final[dict[str, Fault]] = {
    "lost": Cut(done=False),
    "unheard": Cut(done=True),
    "twice": Twice(),
    "busy": Answer(429, {"Retry-After": "1"}),
    "broken": Answer(500),
    "away": Answer(503),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_of_any_write_leads_to_the_same_objects(
    cluster: Cluster, proxy: Proxy, operator: Operator, writes: list[Call], kind: str
) -> None:
    """F2 and F7: for each write a workspace whose first such write goes wrong, from its making to
    its end."""
    names = {f"{kind}-{n}": write for n, write in enumerate(writes)}
    hits = {name: to(name, write) for name, write in names.items()}
    struck: set[str] = set()

    def rule(call: Call) -> Fault | None:
        for name, hit in hits.items():
            if hit(call):
                struck.add(name)
                return FAULTS[kind]
        return None

    proxy.rule = rule
    make(cluster, *names)
    eventually(lambda: are_made(cluster, *names), "all are made", seconds=240)
    same_as_calm(cluster, *names)
    delete(cluster, *names)
    assert struck == set(names), "each write was struck once"
    assert operator.alive


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_the_next_run_resumes_after_a_kill_at_any_write(
    cluster: Cluster, proxy: Proxy, operator: Operator, writes: list[Call], done: bool
) -> None:
    """F1: before the API server hears of the write, and after it has done it."""
    names = []
    for n, write in enumerate(writes):
        name = f"killed-{'after' if done else 'before'}-{n}"
        dead = threading.Event()
        proxy.rule = _killing(operator, to(name, write), dead, done=done)
        make(cluster, name)
        _until(lambda: are_made(cluster, name), operator, dead, f"{name} is made")  # noqa: B023
        same_as_calm(cluster, name)
        if not dead.is_set():  # so it is a write of the end
            cluster.kube.delete("aiws", name, SYSTEM)
            _until(lambda: are_gone(cluster, name), operator, dead, f"{name} is gone")  # noqa: B023
        else:
            names.append(name)
        assert dead.is_set(), f"{write} never came"
    delete(cluster, *names)


def _killing(
    operator: Operator, hit: Callable[[Call], bool], dead: threading.Event, *, done: bool
) -> Rule:
    def kill() -> None:
        dead.set()
        operator.kill()

    return lambda call: Cut(done, kill) if not dead.is_set() and hit(call) else None


def _until(holds: Callable[[], bool], operator: Operator, dead: threading.Event, what: str) -> None:
    def holds_now() -> bool:
        if dead.is_set() and not operator.alive:
            operator.start()
        return holds()

    eventually(holds_now, what, seconds=120)


def test_late_responses_create_nothing_twice(
    cluster: Cluster, proxy: Proxy, operator: Operator, writes: list[Call]
) -> None:
    """F2: the operator gives up after 30 seconds. All writes at once, each of a workspace."""
    names = {f"late-{n}": write for n, write in enumerate(writes) if write.verb != "DELETE"}
    hits = {name: to(name, write) for name, write in names.items()}
    proxy.rule = lambda call: Late(33) if any(hit(call) for hit in hits.values()) else None
    make(cluster, *names)
    eventually(lambda: are_made(cluster, *names), "all are made", seconds=300)
    same_as_calm(cluster, *names)
    proxy.heal()
    delete(cluster, *names)
    assert operator.alive


KINDS: Final = ("namespaces", "statefulsets", "deployments", "ingresses", "aichatworkspaces")


def is_watch_of(kinds: Iterable[str], call: Call) -> bool:
    return call.verb == "WATCH" and call.object.rsplit("/", 1)[-1] in kinds


@pytest.mark.parametrize(
    "broken",
    [
        b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n',
        b'{"type":"ERROR","object":{"kind":"Status","code":500}}\n',
        b'{"type":"MODIFIED","object":{"kind":"Dep',
    ],
    ids=["gone", "broken", "torn"],
)
def test_a_watch_that_breaks_loses_nothing(
    cluster: Cluster, proxy: Proxy, operator: Operator, broken: bytes
) -> None:
    """F6: every watch of these kinds breaks at its second event, once."""
    seen: Counter[str] = Counter()

    def edit_of(call: Call) -> Callable[[dict[str, Any]], list[bytes] | None]:
        def edit(event: dict[str, Any]) -> list[bytes] | None:
            seen[call.object] += 1
            if seen[call.object] == 2:
                return [broken]
            if seen[call.object] == 3 and not broken.endswith(b"\n"):
                return None
            return [json.dumps(event).encode() + b"\n"]

        return edit

    proxy.rule = lambda call: Stream(edit_of(call)) if is_watch_of(KINDS, call) else None
    operator.kill()
    operator.start()  # its watches go through the rule
    name = f"broken-watch-{len(broken)}"
    make(cluster, name)
    eventually(lambda: are_made(cluster, name), "made all the same")
    same_as_calm(cluster, name)
    whole = len(became(cluster, name))
    cluster.kubectl("delete", "deployment", f"{name}-openwebui", "-n", name)
    eventually(lambda: len(became(cluster, name)) == whole, "restored")
    assert any(count >= 2 for count in seen.values()), "some watch broke"
    delete(cluster, name)


def test_a_watch_that_can_not_resume_starts_again(
    cluster: Cluster, proxy: Proxy, operator: Operator
) -> None:
    """F6: 410 as the answer to a watch; and F7 for lists and watches."""
    answers = {1: Answer(410), 2: Answer(500), 3: Answer(429, {"Retry-After": "1"})}

    def rule(call: Call) -> Fault | None:
        return answers.get(call.occurrence) if call.verb in ("WATCH", "GET") else None

    operator.kill()
    proxy.heal()
    proxy.rule = rule
    operator.start()
    make(cluster, "begun-anew")
    eventually(lambda: are_made(cluster, "begun-anew"), "made all the same", seconds=120)
    same_as_calm(cluster, "begun-anew")
    delete(cluster, "begun-anew")


@pytest.mark.usefixtures("operator")
def test_a_watch_that_goes_silent_without_ending_is_noticed_within_seventy_seconds(
    cluster: Cluster, proxy: Proxy
) -> None:
    """F5: the API server's events do not come any more, and the connection stands."""
    make(cluster, "unheard-of")
    eventually(lambda: are_made(cluster, "unheard-of"), "made")
    before = became(cluster, "unheard-of")
    proxy.silence("deployments")
    cluster.kubectl("delete", "deployment", "unheard-of-openwebui", "-n", "unheard-of")
    assert became(cluster, "unheard-of") != before
    eventually(lambda: became(cluster, "unheard-of") == before, "restored", seconds=70)
    delete(cluster, "unheard-of")
