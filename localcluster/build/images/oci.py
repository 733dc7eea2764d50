"""Write container images: layers as plain tar files, combined to an OCI archive.

Layers are not compressed: only this machine's container runtime reads the archives, and copying is
faster. The same inputs give the same bytes and digests.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from localcluster.processes import foreground

_OCI: Final = "application/vnd.oci.image"
_NAME: Final = "io.containerd.image.name"
_REF: Final = "org.opencontainers.image.ref.name"
EPOCH: Final = 1767225600  # 2026-01-01: the time of all added files, so that digests are stable
_CREATED: Final = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Image:
    """An image as an OCI archive."""

    name: str
    """Its full name."""
    archive: Path
    """The archive's file."""
    digest: str
    """Its manifest's digest."""


@dataclass(frozen=True)
class Config:
    """How a container of the image starts. Its repr is part of the cache's key."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    """The working directory."""
    user: str = ""
    """``uid[:gid]``; empty for root."""
    ports: tuple[str, ...] = ()
    """Such as ``8080/tcp``."""

    def document(self) -> dict[str, Any]:
        """Return the image specification's ``config`` without empty fields."""
        content = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Env": [f"{name}={value}" for name, value in sorted(self.environment.items())],
            "WorkingDir": self.folder,
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.ports},
        }
        return {name: value for name, value in content.items() if value}


def write_layer(folder: Path, target: Path) -> Path:
    """Pack a folder into a layer: files belong to root, times are fixed, names are sorted.

    Raises:
        CommandFailedError: tar failed, most likely for lack of disk space.
    """
    command = ["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]
    command += [f"--mtime=@{EPOCH}", "-C", str(folder), "-cf", str(target), "."]
    foreground.run_or_raise(command, "tar failed")
    return target


def write_archive(target: Path, name: str, layers: Sequence[Path], config: Config) -> Image:
    """Combine layers to an image and write its archive."""
    digests = [_digest_file(layer) for layer in layers]
    image = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": config.document(),
            "rootfs": {"type": "layers", "diff_ids": digests},
            # buildah needs one entry for each layer
            "history": [{"created": _CREATED, "created_by": "localcluster"}] * len(layers),
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor("config.v1+json", _digest(image), len(image)),
            "layers": [
                _descriptor("layer.v1.tar", digest, layer.stat().st_size)
                for digest, layer in zip(digests, layers, strict=True)
            ],
        }
    )
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", _json(_index(name, manifest)))
        for content in (manifest, image):
            _add(archive, _blob(_digest(content)), content)
        for digest, layer in dict(zip(digests, layers, strict=True)).items():
            _add_file(archive, _blob(digest), layer)
    return Image(name, target, _digest(manifest))


def read_archive(path: Path) -> Image:
    """Read the name and digest of an archive's only image."""
    with tarfile.open(path) as archive:
        member = archive.extractfile("index.json")
        assert member is not None, path  # noqa: S101
        entry = json.load(member)["manifests"][0]
    return Image(entry["annotations"][_NAME], path, entry["digest"])


def pack_layout(layout: Path, name: str, target: Path) -> Image:
    """Write an archive of a folder with one image in the OCI layout, and name the image."""
    index = json.loads((layout / "index.json").read_text())
    entry = {**index["manifests"][0], "annotations": _names(name)}
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        _add(archive, "oci-layout", (layout / "oci-layout").read_bytes())
        _add(archive, "index.json", _json({**index, "manifests": [entry]}))
        for blob in sorted((layout / "blobs" / "sha256").iterdir()):
            _add_file(archive, f"blobs/sha256/{blob.name}", blob)
    return Image(name, target, entry["digest"])


def _index(name: str, manifest: bytes) -> dict[str, Any]:
    descriptor = _descriptor("manifest.v1+json", _digest(manifest), len(manifest))
    return {"schemaVersion": 2, "manifests": [{**descriptor, "annotations": _names(name)}]}


def _names(name: str) -> dict[str, str]:
    """Return both names: containerd reads the first, and its importer would prefix the second."""
    return {_NAME: name, _REF: name.rpartition(":")[2]}


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": digest, "size": size}


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(content), EPOCH
    archive.addfile(member, io.BytesIO(content))


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = path.stat().st_size, EPOCH
    with path.open("rb") as file:
        archive.addfile(member, file)
