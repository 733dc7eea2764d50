"""What tests of faults do with workspaces, and compare in the end."""

from collections.abc import Callable
from typing import Final

from tests.faults.oracles import (
    are_gone,
    assert_nothing_remains,
    assert_nothing_twice,
    assert_same_objects,
    stem,
)
from tests.faults.proxy import Call
from tests.integration.conftest import SYSTEM, Cluster, workspace
from tests.waiting import eventually

CALM: Final = "calm"
"""The workspace that no fault ever disturbs."""


def make(cluster: Cluster, *names: str) -> None:
    items = [workspace(name, models=["gemma2:2b"], patterns=["explain_code"]) for name in names]
    cluster.apply({"apiVersion": "v1", "kind": "List", "items": items})


def is_write(name: str, write: Call) -> Callable[[Call], bool]:
    """Whether a call is this write for the workspace."""
    target = write.object.replace("NAME", name)
    return lambda call: (
        (call.verb, call.occurrence) == (write.verb, write.occurrence)
        and stem(call.object) == target
    )


def assert_as_undisturbed(cluster: Cluster, *names: str) -> None:
    """O1 and O2."""
    assert_same_objects(cluster, CALM, *names)
    assert_nothing_twice(cluster, *names)


def delete(cluster: Cluster, *names: str, before: frozenset[str]) -> None:
    """Delete workspaces. O5 and O4: they go, and nothing of them remains."""
    cluster.kubectl("delete", "aiws", *names, "-n", SYSTEM, "--wait=false")
    eventually(lambda: are_gone(cluster, *names), "all are gone", seconds=240)
    assert_nothing_remains(cluster, before)
