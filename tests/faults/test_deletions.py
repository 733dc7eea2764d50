"""What people delete right before or right after a write of the operator."""

from collections.abc import Callable, Sequence

import pytest

from tests.faults.conftest import Operator, Rest
from tests.faults.oracles import are_gone, are_made, assert_nothing_remains, assert_same_objects
from tests.faults.proxy import Beside, Call, Fault, Proxy, Rule
from tests.faults.steps import CALM, delete, is_write, make
from tests.integration.conftest import SYSTEM, Cluster
from tests.waiting import eventually


def of_making(writes: Sequence[Call]) -> Sequence[Call]:
    """The writes until all objects are there: the first deletion begins the end."""
    return writes[: next(n for n, write in enumerate(writes) if write.verb == "DELETE")]


def once_each(
    names: dict[str, Call], fault: Callable[[str, Call], Fault], struck: set[str]
) -> Rule:
    """The fault of each workspace at its write, the first time that it comes."""
    hits = {name: is_write(name, write) for name, write in names.items()}

    def rule(call: Call) -> Fault | None:
        for name, hit in hits.items():
            if name not in struck and hit(call):
                struck.add(name)
                return fault(name, call)
        return None

    return rule


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_workspace_that_is_deleted_beside_any_write_leaves_nothing(
    cluster: Cluster,
    proxy: Proxy,
    operator: Operator,
    writes: list[Call],
    before: frozenset[str],
    rest: Rest,
    when: str,
) -> None:
    """F9: the resource goes right before, or right after, each write of its making."""
    names = {f"dropped-{when}-{n}": write for n, write in enumerate(of_making(writes))}
    struck: set[str] = set()

    def drop(name: str, _: Call) -> Fault:
        return Beside(**{when: lambda: cluster.kube.delete("aiws", name, SYSTEM)})

    proxy.rule = once_each(names, drop, struck)
    make(cluster, *names)
    eventually(lambda: struck == {*names}, "each write came", 240)
    eventually(lambda: are_gone(cluster, *names), "all are gone", 240)
    assert_nothing_remains(cluster, before)
    rest("F9")
    assert operator.alive


@pytest.mark.parametrize("what", ["namespace", "object"])
def test_what_is_removed_by_hand_right_after_its_write_comes_back(
    cluster: Cluster,
    proxy: Proxy,
    operator: Operator,
    writes: list[Call],
    before: frozenset[str],
    what: str,
) -> None:
    """F9: the tenant's namespace, or the object that was just written."""
    written = [write for write in of_making(writes) if "/aichatworkspaces/" not in write.object]
    objects = [write for write in written if "/namespaces/NAME/" in write.object]
    names = {f"{what}-{n}": write for n, write in enumerate(objects)}
    struck: set[str] = set()

    def remove(name: str, call: Call) -> Fault:
        path = call.object if what == "object" else f"/api/v1/namespaces/{name}"
        return Beside(after=lambda: cluster.kubectl("delete", "--raw", path))

    proxy.rule = once_each(names, remove, struck)
    make(cluster, *names)
    eventually(lambda: struck == {*names}, "each write came", 240)
    eventually(lambda: are_healed(cluster, *names), "all are as the undisturbed one", 240)
    delete(cluster, *names, before=before)
    assert operator.alive


def are_healed(cluster: Cluster, *names: str) -> bool:
    """O5, and O1 after the edits of other clients."""
    if not are_made(cluster, *names):
        return False
    try:
        assert_same_objects(cluster, CALM, *names, edited=True)
    except AssertionError:
        return False
    return True
