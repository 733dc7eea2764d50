"""Manifests and indexes of the OCI image specification, and Docker's, which Ollama's models have.

https://github.com/opencontainers/image-spec/blob/main/manifest.md
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aichat_workspace.oci.errors import Cause, OciError

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES: Final = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
MODEL_TEMPLATE: Final = "application/vnd.ollama.image.template"
"""The layer of an Ollama model that says how it is asked; models for documents have none."""
NAME: Final = "org.opencontainers.image.ref.name"
"""The annotation with the name of an index's entry."""
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What names a blob or a manifest: its type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int
    platform: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_index(self) -> bool:
        """Whether it names an index of manifests."""
        return self.media_type in INDEXES

    @property
    def is_manifest(self) -> bool:
        """Whether it names the manifest of an image for one platform, or of a model."""
        return self.media_type in MANIFESTS

    def document(self) -> dict[str, Any]:
        """Return it as an index or a manifest has it."""
        fields = {"platform": dict(self.platform), "annotations": dict(self.annotations)}
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            **{name: value for name, value in fields.items() if value},
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """The bytes of a manifest or an index, by which its digest is computed."""

    content: bytes
    media_type: str

    @property
    def descriptor(self) -> Descriptor:
        """Return what names it."""
        return Descriptor(self.media_type, digest_of(self.content), len(self.content))

    @property
    def parts(self) -> tuple[Descriptor, ...]:
        """Return what it names: manifests, or the configuration and the layers.

        Raises:
            OciError: it is no manifest.
        """
        document = parse_document(self.content)
        if self.media_type in INDEXES:
            entries = document.get("manifests", [])
        else:
            entries = [document.get("config"), *document.get("layers", [])]
        return tuple(parse_descriptor(entry) for entry in entries)


def parse_manifest(content: bytes, media_type: str = "") -> Manifest:
    """Read a manifest or an index; its own type comes before ``media_type``, the server's word.

    Raises:
        OciError: it is neither.
    """
    document = parse_document(content)
    stated = str(document.get("mediaType") or media_type.partition(";")[0].strip())
    if stated not in INDEXES | MANIFESTS:
        stated = OCI_INDEX if "manifests" in document else OCI_MANIFEST
    manifest = Manifest(content, stated)
    if not manifest.parts:
        raise _unreadable("it names no parts")
    return manifest


def parse_document(content: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        OciError: it is none.
    """
    try:
        document = json.loads(content)
    except ValueError as error:
        raise _unreadable(str(error)) from error
    if not isinstance(document, dict):
        raise _unreadable("it is no object")
    return document


def parse_descriptor(entry: Any) -> Descriptor:
    """Read a descriptor.

    Raises:
        OciError: it is none, or its digest is of another kind than sha256.
    """
    try:
        descriptor = Descriptor(
            str(entry["mediaType"]),
            str(entry["digest"]),
            int(entry["size"]),
            {key: str(value) for key, value in (entry.get("platform") or {}).items()},
            dict(entry.get("annotations") or {}),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(f"{str(entry)[:80]} is no descriptor") from error
    if not _DIGEST.fullmatch(descriptor.digest):
        raise _unreadable(f"{descriptor.digest[:80]} is no sha256 digest")
    return descriptor


def _unreadable(why: str) -> OciError:
    return OciError("a manifest can't be read", why, cause=Cause.INPUT)


def digest_of(content: bytes) -> str:
    """Return the digest of bytes, as ``sha256:…``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def encode(document: Any) -> bytes:
    """Return a document's bytes: the same ones for the same document."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
