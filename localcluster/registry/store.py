"""Store blobs by digest and manifests by name, in folders."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DIGEST: Final = r"sha256:[0-9a-f]{64}"
PUBLISHED: Final = Path("manifests", "registry.ollama.ai")  # in a folder of Ollama's models
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class BadDigestError(ValueError):
    """The digest is malformed, or another than the content's."""


@dataclass(frozen=True)
class ImageReference:
    """A model's or an image's name as registries know it."""

    repository: str
    """Such as ``library/gemma2``."""
    tag: str
    """Such as ``2b``, or a digest."""

    @classmethod
    def parse(cls, name: str) -> "ImageReference":
        """Parse ``[namespace/]model[:tag]`` with Ollama's defaults."""
        repository, _, tag = name.partition(":")
        return cls(repository if "/" in repository else f"library/{repository}", tag or "latest")

    def __str__(self) -> str:
        """Return the short form that Ollama shows."""
        return f"{self.repository.removeprefix('library/')}:{self.tag}"

    def is_valid(self) -> bool:
        """Return whether all parts can be file names, once a digest has no colon."""
        parts = (*self.repository.split("/"), _file_name(self.tag))
        return all(_PART.fullmatch(part) for part in parts)


@dataclass(frozen=True)
class Store:
    """The registry's files."""

    root: Path
    """The folder of pushed models."""
    models: Path
    """A folder of models in Ollama's layout, which is only read."""

    def blob(self, digest: str) -> Path | None:
        """Return the file with this digest, or None; a malformed digest has none."""
        if not re.fullmatch(DIGEST, digest):
            return None
        paths = (self._blob_path(digest), self.models / "blobs" / digest.replace(":", "-"))
        return next((path for path in paths if path.exists()), None)

    def commit(self, path: Path, digest: str) -> None:
        """Move a complete file into the store.

        Raises:
            BadDigestError: the content has another digest; the file is removed.
        """
        with path.open("rb") as file:
            actual = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if digest != actual:
            path.unlink()
            raise BadDigestError(f"content has digest {actual}, not {digest}")
        self._blob_path(digest).parent.mkdir(parents=True, exist_ok=True)
        path.rename(self._blob_path(digest))

    def upload_path(self, identifier: str) -> Path:
        """Return the file of an unfinished upload, by its hexadecimal identifier."""
        folder = self.root / "uploads"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / identifier

    def manifest(self, reference: ImageReference) -> bytes | None:
        """Return the manifest as it was written, or None."""
        if not reference.is_valid():
            return None
        published = self.models / PUBLISHED / reference.repository / reference.tag
        paths = (self._manifest_path(reference), published)
        return next((path.read_bytes() for path in paths if path.is_file()), None)

    def write_manifest(self, reference: ImageReference, content: bytes) -> None:
        """Store a manifest, under its digest too.

        Raises:
            ValueError: the name is invalid, or is another digest than the content's.
        """
        if not reference.is_valid():
            raise ValueError(f"not a model's name: {reference}")
        digest = digest_of(content)
        if re.fullmatch(DIGEST, reference.tag) and reference.tag != digest:
            raise BadDigestError(f"content has digest {digest}, not {reference.tag}")
        for name in (reference, ImageReference(reference.repository, digest)):
            path = self._manifest_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def _blob_path(self, digest: str) -> Path:
        return self.root / "blobs" / digest.replace(":", "-")

    def _manifest_path(self, reference: ImageReference) -> Path:
        return self.root / "manifests" / reference.repository / _file_name(reference.tag)


def digest_of(content: bytes) -> str:
    """Return the digest of bytes, as ``sha256:…``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _file_name(tag: str) -> str:
    return tag.replace(":", "-") if re.fullmatch(DIGEST, tag) else tag
