"""An operator that is killed after each write of a restore.

The test has the part of the node: it ends the pod of the restore's Job, and looks that nothing else
may write to the chat's data meanwhile.
"""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.conftest import Operator
from tests.faults.oracles import are_made, creations
from tests.faults.proxy import Call, Cut, Fault, Proxy, Rule
from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.test_restores import (
    BACKUP,
    FOR_ALL,
    SECRETS,
    SETTINGS,
    condition,
    end,
    pods,
    replicas,
    status,
)
from tests.waiting import eventually


@pytest.fixture(scope="module", autouse=True)
def place(cluster: Cluster) -> Iterator[None]:
    """The platform has a place for backups."""
    for name, data in SECRETS.items():
        metadata = {"name": name, "namespace": SYSTEM, "annotations": FOR_ALL}
        cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        )
    cluster.apply(platform(SETTINGS))
    yield
    restore_default_settings(cluster)


def is_write_of(name: str, call: Call) -> bool:
    return call.writes and name in call.object and "/events/" not in call.object


def begin(cluster: Cluster, name: str) -> None:
    """Make a workspace, and ask for its restore."""
    cluster.apply(workspace(name))
    eventually(lambda: are_made(cluster, name), f"{name} is made")
    cluster.apply(workspace(name, restore={"backup": BACKUP}))


def end_of_restore(cluster: Cluster, name: str) -> bool:
    """Let the pod of the Job end, as a node does, once it is there; whether the chat is back."""
    for pod in pods(cluster, name, "backup"):
        if pod["status"].get("phase") not in ("Succeeded", "Failed"):
            assert replicas(cluster, name) == 0, "the chat would write to its data"
            assert pods(cluster, name, "openwebui") == []
            end(cluster, pod, 0, {"name": BACKUP})
    is_restored = condition(cluster, name, "Restored") == ("True", "Restored")
    return is_restored and replicas(cluster, name) == 1


def assert_restored_once(cluster: Cluster, name: str) -> None:
    """Nothing was made twice, least of all the Job, and the record says how it ended."""
    counts = creations(cluster, name)
    jobs = [what for what in counts if what.startswith("jobs/")]
    assert len(jobs) == 1
    assert {what: count for what, count in counts.items() if count > 1} == {}
    record: dict[str, Any] = status(cluster, name)["restore"]
    assert (record["state"], record["run"]) == ("Done", jobs[0].removeprefix("jobs/"))


@pytest.mark.timeout(540)  # an operator starts after each write
def test_a_restore_goes_on_after_a_kill_at_any_of_its_writes(
    cluster: Cluster, proxy: Proxy, operator: Operator
) -> None:
    """F15: each write that an undisturbed restore takes, once it is done."""
    begin(cluster, "restored-calm")
    before = len([call for call in proxy.calls if is_write_of("restored-calm", call)])
    eventually(lambda: end_of_restore(cluster, "restored-calm"), "the chat is back", seconds=60)
    assert_restored_once(cluster, "restored-calm")
    count = len([call for call in proxy.calls if is_write_of("restored-calm", call)]) - before
    assert count >= 5, "the chat's stop, the record, the keys, the Job, the chat's start"
    struck = 0
    for number in range(count):
        name = f"restored-{number}"
        cluster.apply(workspace(name))
        eventually(lambda: are_made(cluster, name), f"{name} is made")  # noqa: B023
        dead = threading.Event()
        proxy.rule = _killing(operator, name, number, dead)
        cluster.apply(workspace(name, restore={"backup": BACKUP}))

        def is_back() -> bool:
            if dead.is_set() and not operator.alive:  # noqa: B023
                operator.start()
            return end_of_restore(cluster, name)  # noqa: B023

        eventually(is_back, f"the chat of {name} is back", seconds=90)
        assert_restored_once(cluster, name)
        struck += dead.is_set()
        proxy.rule = lambda _: None
        if not operator.alive:
            operator.start()
    # Statuses are written together where several things change at once.
    assert struck >= count - 2


def _killing(operator: Operator, name: str, number: int, dead: threading.Event) -> Rule:
    """Kill the operator once the API server has done the write of that number."""
    writes = 0

    def kill() -> None:
        operator.kill()
        dead.set()

    def rule(call: Call) -> Fault | None:
        nonlocal writes
        if dead.is_set() or not is_write_of(name, call):
            return None
        writes += 1
        return Cut(done=True, first=kill) if writes > number else None

    return rule
