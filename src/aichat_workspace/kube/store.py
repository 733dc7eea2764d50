"""Objects by key and by index, where no older event ever replaces something newer."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

from aichat_workspace.kube.objects import Json, Key, key, resource_version

Index = Callable[[Json], Hashable | None]
OnChange = Callable[[Json | None, Json | None], None]
"""Called for each change with the object before and after; None where there is none."""


@dataclass(slots=True)
class Store:
    """The known objects of a kind."""

    index: Index
    """Returns the group of an object, or None."""
    on_change: OnChange
    version: int = 0
    """The watch has reported every change up to this version, and an object that it has not
    reported by then is gone. It has moved already when `on_change` is called."""
    _objects: dict[Key, Json] = field(default_factory=dict)
    _keys: dict[Hashable, dict[Key, None]] = field(default_factory=dict)
    """The keys of each group, in the order in which they came."""
    _groups: dict[Key, Hashable] = field(default_factory=dict)
    """The group that each object was put in: what `index` returns for it may have changed since."""

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> Json | None:
        return self._objects.get(key)

    def all(self) -> Iterable[Json]:
        return self._objects.values()

    def by_index(self, value: Hashable) -> tuple[Json, ...]:
        return tuple(self._objects[key] for key in self._keys.get(value, ()))

    def has(self, obj: Json) -> bool:
        """Return whether this version of the object, or a newer one, is stored."""
        stored = self._objects.get(key(obj))
        return stored is not None and resource_version(stored) >= resource_version(obj)

    def put(self, obj: Json) -> None:
        """Take the object of an event."""
        self.version = max(self.version, resource_version(obj))
        self._put_newer(obj)

    def observe(self, obj: Json) -> None:
        """Take the response to a write of ours. Ignore it when the watch is past it: the object has
        changed since, or is gone."""
        if resource_version(obj) > self.version:
            self._put_newer(obj)

    def remove(self, obj: Json) -> None:
        """Remove the object of an event, unless a newer one has taken its place."""
        stored = self._objects.get(key(obj))
        self.version = max(self.version, resource_version(obj))
        if stored is not None and resource_version(obj) >= resource_version(stored):
            self._set(key(obj), stored, None)

    def reset(self, objects: Iterable[Json], version: int) -> None:
        """Take a list: all objects that there were at `version`.

        What is stored at a later version is a write of ours that was answered meanwhile, and stays.
        A list that is older than what the watch reported is of an API server whose data were
        restored from a backup: it replaces everything.
        """
        listed = {key(obj): obj for obj in objects}
        is_restored = version < self.version
        self.version = version
        for stored_key, stored in list(self._objects.items()):
            if is_restored or resource_version(stored) <= version:
                self._take_listed(stored_key, stored, listed.get(stored_key))
        for obj in listed.values():
            self.put(obj)

    def _take_listed(self, key: Key, stored: Json, listed: Json | None) -> None:
        """Take an object as it was listed, even where another history had given it a higher
        version."""
        if listed is None or resource_version(listed) < resource_version(stored):
            self._set(key, stored, listed)

    def _put_newer(self, obj: Json) -> None:
        if not self.has(obj):
            self._set(key(obj), self._objects.get(key(obj)), obj)

    def _set(self, key: Key, old: Json | None, new: Json | None) -> None:
        self._leave_group(key)
        if new is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = new
            self._join_group(key, self.index(new))
        self.on_change(old, new)

    def _join_group(self, key: Key, group: Hashable | None) -> None:
        if group is not None:
            self._groups[key] = group
            self._keys.setdefault(group, {})[key] = None

    def _leave_group(self, key: Key) -> None:
        group = self._groups.pop(key, None)
        if group is None:
            return
        keys = self._keys[group]
        del keys[key]
        if not keys:
            del self._keys[group]
