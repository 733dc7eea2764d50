"""Blobs by digest and manifests by name, in folders."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DIGEST: Final = r"sha256:[0-9a-f]{64}"
PUBLISHED: Final = Path("manifests", "registry.ollama.ai")  # in a folder of Ollama's models
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class BadDigestError(ValueError):
    """A digest that is none, or that is not the content's."""


@dataclass(frozen=True)
class Reference:
    """``repository`` such as ``library/gemma2``, and a tag."""

    repository: str
    tag: str

    @classmethod
    def parse(cls, name: str) -> "Reference":
        """From ``[namespace/]model[:tag]``, with Ollama's defaults."""
        repository, _, tag = name.partition(":")
        return cls(repository if "/" in repository else f"library/{repository}", tag or "latest")

    def __str__(self) -> str:
        """As Ollama shows it."""
        return f"{self.repository.removeprefix('library/')}:{self.tag}"

    def valid(self) -> bool:
        """Whether every part may be a file's name."""
        return all(_PART.fullmatch(part) for part in (*self.repository.split("/"), self.tag))


@dataclass(frozen=True)
class Store:
    """What was pushed, below ``root``, and beside it ``models``: a folder of models as Ollama keeps
    them, which is only read."""

    root: Path
    models: Path

    def blob(self, digest: str) -> Path | None:
        """The file with this digest, or None when there is none (or the digest is none)."""
        if not re.fullmatch(DIGEST, digest):
            return None
        paths = (self._path(digest), self.models / "blobs" / digest.replace(":", "-"))
        return next((path for path in paths if path.exists()), None)

    def commit(self, path: Path, digest: str) -> None:
        """Take over a complete file.

        Raises:
            BadDigestError: the content is not what ``digest`` says; the file is removed.
        """
        with path.open("rb") as file:
            actual = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if digest != actual:
            path.unlink()
            raise BadDigestError(f"content has digest {actual}, not {digest}")
        self._path(digest).parent.mkdir(parents=True, exist_ok=True)
        path.rename(self._path(digest))

    def upload(self, identifier: str) -> Path:
        """Where an upload of this (hexadecimal) identifier grows."""
        folder = self.root / "uploads"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / identifier

    def manifest(self, reference: Reference) -> bytes | None:
        """The manifest as it was written, or None."""
        if not reference.valid():
            return None
        published = self.models / PUBLISHED / reference.repository / reference.tag
        paths = (self._manifest(reference), published)
        return next((path.read_bytes() for path in paths if path.is_file()), None)

    def write_manifest(self, reference: Reference, content: bytes) -> None:
        """Name a manifest. Raises ValueError for a name that is none."""
        if not reference.valid():
            raise ValueError(f"not a model's name: {reference}")
        path = self._manifest(reference)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _path(self, digest: str) -> Path:
        return self.root / "blobs" / digest.replace(":", "-")

    def _manifest(self, reference: Reference) -> Path:
        return self.root / "manifests" / reference.repository / reference.tag
