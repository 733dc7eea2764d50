"""Objects by key and by index, where nothing older ever replaces something newer."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

from aichat_workspace.kube.objects import Json, Key, key, resource_version

Index = Callable[[Json], Hashable | None]
OnChange = Callable[[Json | None, Json | None], None]
"""Told of each change: the object before and after; None where there is none."""


@dataclass(slots=True)
class Store:
    """What a kind looks like, as far as it is known.

    `version` is how far the watch has told everything; what it has not told by then is gone. It
    has moved already when `on_change` is told of what moved it.
    """

    index: Index
    on_change: OnChange
    version: int = 0
    _objects: dict[Key, Json] = field(default_factory=dict)
    _keys: dict[Hashable, dict[Key, None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, at: Key) -> Json | None:
        return self._objects.get(at)

    def all(self) -> Iterable[Json]:
        return self._objects.values()

    def by_index(self, value: Hashable) -> tuple[Json, ...]:
        return tuple(self._objects[at] for at in self._keys.get(value, ()))

    def has(self, obj: Json) -> bool:
        """Return whether this version of the object, or a newer one, is stored."""
        stored = self._objects.get(key(obj))
        return stored is not None and resource_version(stored) >= resource_version(obj)

    def put(self, obj: Json) -> None:
        """An event says that the object is so."""
        held = self._objects.get(key(obj))
        self.version = max(self.version, resource_version(obj))
        if held is None or resource_version(obj) > resource_version(held):
            self._set(key(obj), held, obj)

    def observe(self, obj: Json) -> None:
        """The reply to a write of ours says that the object is so. Ignored when the watch is
        already past it: then the object has changed, or is gone, since."""
        if resource_version(obj) > self.version:
            held = self._objects.get(key(obj))
            if held is None or resource_version(obj) > resource_version(held):
                self._set(key(obj), held, obj)

    def remove(self, obj: Json) -> None:
        """An event says that the object is gone, unless a newer one has taken its place."""
        held = self._objects.get(key(obj))
        self.version = max(self.version, resource_version(obj))
        if held is not None and resource_version(obj) >= resource_version(held):
            self._set(key(obj), held, None)

    def reset(self, objects: Iterable[Json], version: int) -> None:
        """A list says that these are all there were at `version`."""
        listed = {key(obj): obj for obj in objects}
        self.version = version
        for at, held in list(self._objects.items()):
            if at not in listed and resource_version(held) <= version:
                self._set(at, held, None)
        for obj in listed.values():
            self.put(obj)

    def _set(self, at: Key, old: Json | None, new: Json | None) -> None:
        if old is not None:
            self._unindex(at, self.index(old))
        if new is None:
            self._objects.pop(at, None)
        else:
            self._objects[at] = new
            if (value := self.index(new)) is not None:
                self._keys.setdefault(value, {})[at] = None
        self.on_change(old, new)

    def _unindex(self, at: Key, value: Hashable | None) -> None:
        keys = self._keys.get(value)
        if keys is not None:
            keys.pop(at, None)
            if not keys:
                del self._keys[value]
