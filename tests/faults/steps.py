"""What tests of faults do with workspaces, and compare in the end."""

from collections.abc import Callable, Sequence
from typing import Final

from tests.faults.oracles import (
    are_gone,
    are_made,
    assert_nothing_remains,
    assert_nothing_twice,
    assert_same_objects,
    stem,
)
from tests.faults.proxy import Call, Fault, Rule
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


def heal(cluster: Cluster, *names: str, seconds: float = 240) -> None:
    """Wait for O5, and O1 after the edits of other clients."""

    def differences() -> str:
        try:
            assert_same_objects(cluster, CALM, *names, edited=True)
        except AssertionError as error:
            return str(error)
        return ""

    def is_healed() -> bool:
        return are_made(cluster, *names) and not differences()

    eventually(is_healed, "all are as the undisturbed one", seconds, differences)
