"""Choose what of an image or a model goes into a bundle."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from aichat_workspace.foundation.image_names import parse_image
from aichat_workspace.oci.bundle import KIND, Entry, Kind
from aichat_workspace.oci.client import verified
from aichat_workspace.oci.documents import (
    NAME,
    Descriptor,
    Manifest,
    encode,
    parse_document,
    parse_manifest,
)
from release.bundle.sources import Source
from release.errors import ReleaseError

_SUBJECT: Final = "vnd.docker.reference.digest"  # what an attestation of BuildKit's is about


@dataclass(frozen=True)
class Blob:
    """A blob, and how it is read. Reading raises OciError where it is not what its digest says."""

    descriptor: Descriptor
    open: Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Collected:
    """An image or a model, with all that it is made of."""

    entry: Entry
    blobs: tuple[Blob, ...]


def collect(kind: Kind, name: str, source: Source, architectures: Sequence[str]) -> Collected:
    """Return what of an image goes into the bundle; a model and an image of one platform: all.

    Raises:
        ReleaseError: it lacks an architecture, or is named by a digest that would change.
        OciError: the source lacks it or can't be reached.
    """
    root = source.root()
    if root.descriptor.is_index:
        root = _choose(root, name, architectures)
    elif kind is not Kind.MODEL:
        _check_platform(root, name, source, architectures)
    blobs = {blob.descriptor.digest: blob for blob in _walk(root, name, source)}
    annotations = {NAME: name, KIND: str(kind)}
    return Collected(
        Entry(kind, name, replace(root.descriptor, annotations=annotations)), tuple(blobs.values())
    )


def _walk(manifest: Manifest, name: str, source: Source) -> Iterator[Blob]:
    yield Blob(manifest.descriptor, lambda: iter((manifest.content,)))
    for part in manifest.parts:
        if part.is_index or part.is_manifest:
            yield from _walk(source.manifest(part), name, source)
        else:
            yield Blob(part, partial(_read, part, name, source))


def _read(part: Descriptor, name: str, source: Source) -> Iterator[bytes]:
    return verified(source.blob(part), part, f"{part.digest} of {name} is altered at its source")


def _choose(index: Manifest, name: str, architectures: Sequence[str]) -> Manifest:
    """Return an index of the chosen architectures; the same one where these are all.

    The others have to leave it: registries refuse an index with a manifest that they lack.
    """
    by_digest = {part.digest: part for part in index.parts}
    chosen_digests = {
        digest
        for digest, part in by_digest.items()
        if part.platform.get("os") == "linux" and part.platform.get("architecture") in architectures
    }
    present = {by_digest[digest].platform["architecture"] for digest in chosen_digests}
    _require(name, architectures, present, [part.platform for part in index.parts])
    chosen_digests |= {
        digest
        for digest, part in by_digest.items()
        if part.annotations.get(_SUBJECT) in chosen_digests
    }
    if chosen_digests == {*by_digest}:
        return index
    if parse_image(name).digest:
        raise ReleaseError(
            f"{name} is named by the digest of all its architectures: name it by a tag, or take all"
        )
    document = parse_document(index.content)
    document["manifests"] = [
        entry for entry in document["manifests"] if entry["digest"] in chosen_digests
    ]
    return parse_manifest(encode(document), index.media_type)


def _check_platform(
    manifest: Manifest, name: str, source: Source, architectures: Sequence[str]
) -> None:
    config = parse_document(b"".join(_read(manifest.parts[0], name, source)))
    platform = {"os": str(config.get("os")), "architecture": str(config.get("architecture"))}
    _require(name, architectures, {platform["architecture"]}, [platform])


def _require(
    name: str, architectures: Sequence[str], present: set[str], platforms: Sequence[object]
) -> None:
    missing = [architecture for architecture in architectures if architecture not in present]
    if missing:
        listed = sorted(
            {
                f"{platform.get('os')}/{platform.get('architecture')}"
                for platform in platforms
                if isinstance(platform, dict) and platform.get("os") != "unknown"
            }
        )
        raise ReleaseError(
            f"{name} has no linux/{', linux/'.join(missing)}, only {', '.join(listed)}: "
            "choose others with ARCHITECTURES, or another image"
        )
