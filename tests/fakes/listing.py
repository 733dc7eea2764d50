"""Lists as a cache takes them."""

from collections.abc import Iterable

from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.store import Store


def take_list(store: Store, objects: Iterable[Json], version: int) -> None:
    """Let a store take these objects as the list of a version."""
    store.reset(map(store.entry, objects), version)
