"""Objects by key and by index, where no older event ever replaces something newer."""

import zlib
from collections.abc import Callable, Hashable, Iterable, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import orjson

from aichat_workspace.kube.objects import Json, Key, key, resource_version

# Enough for the objects of some twenty workspaces, which is more than are worked on at once.
_UNPACKED: Final = 512
# The shapes that a kind has in one workspace, as its network policies; and what zlib can look back.
_SAMPLES: Final = 4
_WINDOW_BYTES: Final = 32 * 1024

Index = Callable[[Json], Hashable | None]
OnChange = Callable[[Json | None, Json | None], None]
"""Called for each change with the object before and after; None where there is none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a store keeps it."""

    key: Key
    version: int
    group: Hashable | None
    """The group that the object was put in: what `index` returns for it may have changed since."""
    content: Json | bytes
    """Packed or not."""
    samples: bytes = b""
    """What it was packed with."""

    def read(self) -> Json:
        if isinstance(self.content, bytes):
            return _unpack(self.content, self.samples)
        return self.content


@dataclass(slots=True)
class Store:
    """The known objects of a kind. Readers must not change them."""

    on_change: OnChange
    index: Index = lambda _: None
    """Returns the group of an object, or None."""
    is_packed: bool = False
    """Keep objects as compressed JSON: a fiftieth of the memory, for some 25 microseconds an object
    at a write, and fewer at a read of one that is not among the last few hundred."""
    version: int = 0
    """The watch has reported every change up to this version, and an object that it has not
    reported by then is gone. It has moved already when `on_change` is called."""
    _entries: dict[Key, Entry] = field(default_factory=dict)
    _keys: dict[Hashable, dict[Key, None]] = field(default_factory=dict)
    """The keys of each group, in the order in which they came."""
    _samples: tuple[bytes, ...] = ()
    """The first objects: of others that are like them only the difference is kept."""
    _joined: bytes = b""
    """The same, as zlib takes them."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Json | None:
        entry = self._entries.get(key)
        return entry.read() if entry else None

    def all(self) -> Iterable[Json]:
        return (entry.read() for entry in self._entries.values())

    def by_index(self, value: Hashable) -> tuple[Json, ...]:
        return tuple(self._entries[key].read() for key in self._keys.get(value, ()))

    @property
    def groups(self) -> Set[Hashable]:
        """The groups that there are objects of; no object is read for it."""
        return self._keys.keys()

    def has(self, obj: Json) -> bool:
        """Return whether this version of the object, or a newer one, is stored."""
        stored = self._entries.get(key(obj))
        return stored is not None and stored.version >= resource_version(obj)

    def put(self, obj: Json) -> None:
        """Take the object of an event."""
        self.version = max(self.version, resource_version(obj))
        if not self.has(obj):
            self._set(key(obj), self.entry(obj))

    def observe(self, obj: Json, *, is_news: bool = True) -> None:
        """Take the response to a write of ours. Ignore it when the watch is past it: the object has
        changed since, or is gone."""
        if resource_version(obj) > self.version and not self.has(obj):
            self._set(key(obj), self.entry(obj), is_news=is_news)

    def remove(self, obj: Json) -> None:
        """Remove the object of an event, unless a newer one has taken its place."""
        stored = self._entries.get(key(obj))
        self.version = max(self.version, resource_version(obj))
        if stored is not None and resource_version(obj) >= stored.version:
            self._set(key(obj), None)

    def entry(self, obj: Json) -> Entry:
        """Prepare a listed object for `reset`: a whole list would take ten times as much memory."""
        identity = key(obj), resource_version(obj), self.index(obj)
        if not self.is_packed:
            return Entry(*identity, obj)
        document, samples = orjson.dumps(obj), self._joined
        if len(self._samples) < _SAMPLES:
            self._samples += (document,)
            self._joined = b"".join(self._samples)[-_WINDOW_BYTES:]
        return Entry(*identity, _pack(document, samples), samples)

    def reset(self, entries: Iterable[Entry], version: int) -> None:
        """Take a list: all objects that there were at `version`.

        What is stored at a later version is a write of ours that was answered meanwhile, and stays.
        A list that is older than what the watch reported is of an API server whose data were
        restored from a backup: it replaces everything, even where another history had given an
        object a higher version.
        """
        listed = {entry.key: entry for entry in entries}
        is_restored = version < self.version
        self.version = version
        for stored_key, stored in list(self._entries.items()):
            entry = listed.get(stored_key)
            is_superseded = is_restored or stored.version <= version
            if is_superseded and (entry is None or entry.version < stored.version):
                self._set(stored_key, entry)
        for entry in listed.values():
            if entry.key not in self._entries or self._entries[entry.key].version < entry.version:
                self._set(entry.key, entry)

    def _set(self, key: Key, new: Entry | None, *, is_news: bool = True) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self._leave_group(key, old.group)
        if new is not None:
            self._entries[key] = new
            if new.group is not None:
                self._keys.setdefault(new.group, {})[key] = None
        if is_news:
            self.on_change(old.read() if old else None, new.read() if new else None)

    def _leave_group(self, key: Key, group: Hashable | None) -> None:
        if group is None:
            return
        keys = self._keys[group]
        del keys[key]
        if not keys:
            del self._keys[group]


def _pack(document: bytes, samples: bytes) -> bytes:
    packer = zlib.compressobj(level=1, zdict=samples)
    return packer.compress(document) + packer.flush()


@lru_cache(maxsize=_UNPACKED)
def _unpack(content: bytes, samples: bytes) -> Json:
    unpacker = zlib.decompressobj(zdict=samples)
    obj: Json = orjson.loads(unpacker.decompress(content) + unpacker.flush())
    return obj
