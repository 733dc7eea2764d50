"""What people delete right before or right after a write of the operator."""

import pytest

from tests.faults.conftest import Operator, Rest
from tests.faults.oracles import are_gone, assert_nothing_remains
from tests.faults.proxy import Beside, Call, Fault, Proxy
from tests.faults.steps import delete, heal, make, of_making, once_each
from tests.integration.conftest import SYSTEM, Cluster
from tests.waiting import eventually


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
    heal(cluster, *names)
    delete(cluster, *names, before=before)
    assert operator.alive
