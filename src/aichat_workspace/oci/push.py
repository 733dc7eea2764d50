"""Push the images and models of a bundle into a registry: only what it lacks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from aichat_workspace.foundation.image_names import ImageName, parse_image
from aichat_workspace.oci.address import Address
from aichat_workspace.oci.bundle import Bundle, Entry, Kind
from aichat_workspace.oci.client import Registry
from aichat_workspace.oci.documents import Descriptor
from aichat_workspace.oci.errors import Cause, OciError

Advance = Callable[[int], None]
"""Takes a number of bytes that are done."""


def place_of(entry: Entry, address: Address) -> ImageName:
    """Return where an entry belongs.

    An image has its own name below the address' path, as `spec.images.mirror` reads it. A model has
    no path above its own two parts: Ollama's names have no more. Ollama takes names for the same
    that differ in case only, and registries have lower case only.

    Raises:
        OciError: the name has another form than registries take.
    """
    is_model = entry.kind is Kind.MODEL
    name = parse_image(entry.name)
    if is_model:
        repository = name.repository.lower()
    else:
        repository = f"{address.path}/{name.repository}" if address.path else name.repository
    place = replace(name, registry=address.registry, repository=repository)
    is_whole = repository.count("/") == 1 and not name.digest if is_model else True
    if not place.is_valid or not is_whole:
        raise OciError(
            f"{entry.name!r} of the bundle can't be {place}",
            f"a registry takes no {entry.kind} of this name",
            "name another path, or write the bundle without it",
            Cause.INPUT,
        )
    return place


def places_of(entries: Iterable[Entry], address: Address) -> dict[ImageName, Entry]:
    """Return where entries belong.

    Raises:
        OciError: two of them belong to one place, or a name has another form than registries take.
    """
    places: dict[ImageName, Entry] = {}
    for entry in entries:
        place = place_of(entry, address)
        other = places.setdefault(place, entry)
        if other.descriptor.digest != entry.descriptor.digest:
            raise OciError(
                f"{other.name} and {entry.name} of the bundle would both be {place}",
                fix="write the bundle without one of them",
                cause=Cause.INPUT,
            )
    return places


def occupied(registry: Registry, places: Mapping[ImageName, Entry]) -> list[ImageName]:
    """Return the places where the registry has something else. Raises OciError."""
    return [
        place
        for place, entry in places.items()
        if registry.manifest_digest(place.repository, place.reference)
        not in ("", entry.descriptor.digest)
    ]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of an entry."""

    entry: Entry
    place: ImageName
    sent_bytes: int
    """How much the registry lacked; 0 where it had all."""


def push(
    bundle: Bundle, entry: Entry, registry: Registry, place: ImageName, advance: Advance
) -> Pushed:
    """Push an entry, with its tag last, so that an interrupted push is never taken for a whole one.

    ``advance`` is called with the bytes that were sent or were there. A rerun sends only what is
    missing.

    Raises:
        OciError: the bundle is altered, or the registry refuses or breaks off.
    """
    sizes = {digest: blob.size for digest, blob in bundle.blobs(entry).items()}
    if registry.manifest_digest(place.repository, place.reference) == entry.descriptor.digest:
        advance(sum(sizes.values()))
        return Pushed(entry, place, 0)
    pusher = _Push(bundle, entry, registry, place.repository, advance)
    sent_bytes = pusher.push_manifest(entry.descriptor, place.reference)
    return Pushed(entry, place, sent_bytes)


@dataclass(frozen=True, slots=True)
class _Push:
    bundle: Bundle
    entry: Entry
    registry: Registry
    repository: str
    advance: Advance
    _done: set[str] = field(default_factory=set)
    """Digests of blobs: platforms of an image may have some in common."""

    def push_manifest(self, descriptor: Descriptor, reference: str) -> int:
        """Push what a manifest names, and then itself. Return the bytes that were sent."""
        manifest = self.bundle.manifest(self.entry, descriptor)
        parts = {part.digest: part for part in manifest.parts}.values()
        sent_bytes = sum(self._push_part(part) for part in parts)
        self.registry.push_manifest(self.repository, reference, manifest)
        self.advance(descriptor.size)
        return sent_bytes + descriptor.size

    def _push_part(self, part: Descriptor) -> int:
        if part.is_index or part.is_manifest:
            return self.push_manifest(part, part.digest)
        if part.digest in self._done:
            return 0
        self._done.add(part.digest)
        if self.registry.has_blob(self.repository, part.digest):
            self.advance(part.size)
            return 0
        counted = 0

        def content(offset: int) -> Iterator[bytes]:
            """Read all of it, so that it is verified; what is sent again is counted once."""
            nonlocal counted
            position = 0
            for chunk in self.bundle.chunks(self.entry, part):
                yield chunk[max(0, offset - position) :]
                position += len(chunk)
                self.advance(max(0, position - counted))
                counted = max(counted, position)

        self.registry.push_blob(self.repository, part, content)
        return part.size
