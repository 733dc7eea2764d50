"""Write container images: layers as tar files, combined to an OCI archive.

The local node's layers are not compressed: only this machine's container runtime reads them, and
copying is faster. Those of a release are. The same inputs give the same bytes and digests.
"""

import gzip
import hashlib
import io
import json
import shutil
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
    architecture: str = "amd64"
    """The processor's, in Go's terms."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Such as ``org.opencontainers.image.version``."""

    def document(self) -> dict[str, Any]:
        """Return the image specification's ``config`` without empty fields."""
        content = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Env": [f"{name}={value}" for name, value in sorted(self.environment.items())],
            "WorkingDir": self.folder,
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.ports},
            "Labels": dict(sorted(self.labels.items())),
        }
        return {name: value for name, value in content.items() if value}


@dataclass(frozen=True)
class Layer:
    """A layer's file, and the digest of its tar file."""

    file: Path
    diff_id: str
    """The digest of the tar file, which is not the file's where that is compressed."""
    media_type: str = "layer.v1.tar"


@dataclass(frozen=True)
class PlatformImage:
    """The layers of an image for one platform, and how a container of them starts."""

    layers: tuple[Layer, ...]
    config: Config


def write_layer(folder: Path, target: Path) -> Path:
    """Pack a folder into a layer: files belong to root, times are fixed, names are sorted.

    Raises:
        CommandFailedError: tar failed, most likely for lack of disk space.
    """
    command = ["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]
    command += [f"--mtime=@{EPOCH}", "-C", str(folder), "-cf", str(target), "."]
    foreground.run_or_raise(command, "tar failed")
    return target


def compress_layer(layer: Path, target: Path) -> Layer:
    """Compress a layer to ``target``; the same zlib gives the same bytes."""
    with (
        layer.open("rb") as plain,
        target.open("wb") as out,
        gzip.GzipFile("", "wb", 6, out, mtime=0) as compressed,
    ):
        shutil.copyfileobj(plain, compressed, 1 << 20)
    return Layer(target, digest_file(layer), "layer.v1.tar+gzip")


def write_archive(target: Path, name: str, layers: Sequence[Path], config: Config) -> Image:
    """Combine layers that are not compressed to an image and write its archive."""
    content = tuple(Layer(layer, digest_file(layer)) for layer in layers)
    return write_images(target, name, [PlatformImage(content, config)])


def write_images(target: Path, name: str, images: Sequence[PlatformImage]) -> Image:
    """Write an archive of one image; one for several platforms has an index of their manifests."""
    manifests = [_manifest(image) for image in images]
    blobs = [blob for manifest in manifests for blob in manifest.blobs]
    layers = {manifest.layers[layer]: layer for manifest in manifests for layer in manifest.layers}
    if len(manifests) == 1:
        entry = manifests[0].descriptor
    else:
        index = _index([manifest.on_platform for manifest in manifests])
        blobs.insert(0, index)
        entry = _descriptor("index.v1+json", _digest(index), len(index))
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", _json(_named(entry, name)))
        for content in dict.fromkeys(blobs):
            _add(archive, _blob(_digest(content)), content)
        for digest, path in layers.items():
            _add_file(archive, _blob(digest), path)
    return Image(name, target, entry["digest"])


@dataclass(frozen=True)
class _Manifest:
    """The documents of an image for one platform."""

    blobs: tuple[bytes, bytes]
    """Its manifest and its configuration."""
    descriptor: dict[str, Any]
    architecture: str
    layers: Mapping[Path, str]
    """The digest of each layer's file."""

    @property
    def on_platform(self) -> dict[str, Any]:
        """Return its descriptor as an index lists it."""
        return {**self.descriptor, "platform": {"architecture": self.architecture, "os": "linux"}}


def _manifest(image: PlatformImage) -> _Manifest:
    digests = {layer.file: digest_file(layer.file) for layer in image.layers}
    config = _json(
        {
            "architecture": image.config.architecture,
            "os": "linux",
            "config": image.config.document(),
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]},
            # buildah needs one entry for each layer
            "history": [{"created": _CREATED, "created_by": "localcluster"}] * len(image.layers),
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor("config.v1+json", _digest(config), len(config)),
            "layers": [
                _descriptor(layer.media_type, digests[layer.file], layer.file.stat().st_size)
                for layer in image.layers
            ],
        }
    )
    descriptor = _descriptor("manifest.v1+json", _digest(manifest), len(manifest))
    return _Manifest((manifest, config), descriptor, image.config.architecture, digests)


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


def _index(manifests: Sequence[dict[str, Any]]) -> bytes:
    media_type = f"{_OCI}.index.v1+json"
    return _json({"schemaVersion": 2, "mediaType": media_type, "manifests": [*manifests]})


def _named(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return {"schemaVersion": 2, "manifests": [{**entry, "annotations": _names(name)}]}


def _names(name: str) -> dict[str, str]:
    """Return both names: containerd reads the first, and its importer would prefix the second."""
    return {_NAME: name, _REF: name.rpartition(":")[2]}


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": digest, "size": size}


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest_file(path: Path) -> str:
    """Return a file's digest, as ``sha256:…``."""
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
