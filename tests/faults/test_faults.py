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

from tests.faults.conftest import Operator, Rest
from tests.faults.oracles import are_gone, are_made, became
from tests.faults.proxy import Answer, Call, Cut, Fault, Late, Proxy, Rule, Stream, Twice
from tests.faults.steps import assert_as_undisturbed, delete, is_write, make
from tests.integration.conftest import SYSTEM, Cluster
from tests.waiting import eventually

FAULTS: Final[dict[str, Fault]] = {
    "lost": Cut(done=False),
    "unheard": Cut(done=True),
    "twice": Twice(),
    "busy": Answer(429, {"Retry-After": "1"}),
    "broken": Answer(500),
    "away": Answer(503),
    "conflict": Answer(409),
    "exists": Answer(409, reason="AlreadyExists"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_of_any_write_leads_to_the_same_objects(
    cluster: Cluster,
    proxy: Proxy,
    operator: Operator,
    writes: list[Call],
    before: frozenset[str],
    rest: Rest,
    kind: str,
) -> None:
    """F2, F7 and F8: for each write a workspace whose first such write goes wrong, from its making
    to its end."""
    names = {f"{kind}-{n}": write for n, write in enumerate(writes)}
    hits = {name: is_write(name, write) for name, write in names.items()}
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
    assert_as_undisturbed(cluster, *names)
    rest("F2" if kind in ("lost", "unheard", "twice") else "F7")
    delete(cluster, *names, before=before)
    assert struck == set(names), "each write was struck once"
    assert operator.alive


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_the_next_run_resumes_after_a_kill_at_any_write(
    cluster: Cluster,
    proxy: Proxy,
    operator: Operator,
    writes: list[Call],
    before: frozenset[str],
    rest: Rest,
    done: bool,
) -> None:
    """F1: before the API server hears of the write, and after it has done it."""
    names = []
    for n, write in enumerate(writes):
        name = f"killed-{'after' if done else 'before'}-{n}"
        dead = threading.Event()
        proxy.rule = _killing(operator, is_write(name, write), dead, done=done)
        make(cluster, name)
        _until(lambda: are_made(cluster, name), operator, dead, f"{name} is made")  # noqa: B023
        assert_as_undisturbed(cluster, name)
        if not dead.is_set():  # so it is a write of the end
            cluster.kube.delete("aiws", name, SYSTEM)
            _until(lambda: are_gone(cluster, name), operator, dead, f"{name} is gone")  # noqa: B023
        else:
            names.append(name)
        eventually(dead.is_set, f"{write} came")  # the last one is seen before the operator ends
        if not operator.alive:
            operator.start()
    rest("F1")
    delete(cluster, *names, before=before)


def _killing(
    operator: Operator, hit: Callable[[Call], bool], dead: threading.Event, *, done: bool
) -> Rule:
    def kill() -> None:
        operator.kill()
        dead.set()

    return lambda call: Cut(done, kill) if not dead.is_set() and hit(call) else None


def _until(holds: Callable[[], bool], operator: Operator, dead: threading.Event, what: str) -> None:
    def holds_now() -> bool:
        if dead.is_set() and not operator.alive:
            operator.start()
        return holds()

    eventually(holds_now, what, seconds=120)


def test_late_responses_create_nothing_twice(
    cluster: Cluster,
    proxy: Proxy,
    operator: Operator,
    writes: list[Call],
    before: frozenset[str],
) -> None:
    """F2: the operator gives up after 30 seconds. All writes at once, each of a workspace."""
    names = {f"late-{n}": write for n, write in enumerate(writes) if write.verb != "DELETE"}
    hits = {name: is_write(name, write) for name, write in names.items()}
    proxy.rule = lambda call: Late(33) if any(hit(call) for hit in hits.values()) else None
    make(cluster, *names)
    eventually(lambda: are_made(cluster, *names), "all are made", seconds=300)
    assert_as_undisturbed(cluster, *names)
    proxy.rule = lambda _: None
    delete(cluster, *names, before=before)
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
    cluster: Cluster,
    proxy: Proxy,
    operator: Operator,
    before: frozenset[str],
    rest: Rest,
    broken: bytes,
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
    assert_as_undisturbed(cluster, name)
    whole = len(became(cluster, name))
    cluster.kubectl("delete", "deployment", f"{name}-openwebui", "-n", name)
    eventually(lambda: len(became(cluster, name)) == whole, "restored")
    assert any(count >= 2 for count in seen.values()), "some watch broke"
    rest("F6")
    delete(cluster, name, before=before)


def test_a_watch_that_can_not_resume_starts_again(
    cluster: Cluster, proxy: Proxy, operator: Operator, before: frozenset[str]
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
    assert_as_undisturbed(cluster, "begun-anew")
    delete(cluster, "begun-anew", before=before)


def test_a_watch_that_goes_silent_without_ending_is_noticed_within_seventy_seconds(
    cluster: Cluster, proxy: Proxy, before: frozenset[str], rest: Rest
) -> None:
    """F5: the API server's events do not come any more, and the connection stands."""
    make(cluster, "unheard-of")
    eventually(lambda: are_made(cluster, "unheard-of"), "made")
    whole = became(cluster, "unheard-of")
    proxy.silence("deployments")
    cluster.kubectl("delete", "deployment", "unheard-of-openwebui", "-n", "unheard-of")
    assert became(cluster, "unheard-of") != whole
    eventually(lambda: became(cluster, "unheard-of") == whole, "restored", seconds=70)
    rest("F5")
    delete(cluster, "unheard-of", before=before)
