"""A small bundle, written as `make bundle` does, and what it is made of."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aichat_workspace.oci.address import parse_address
from aichat_workspace.oci.bundle import Kind
from aichat_workspace.oci.client import Registry, connect
from aichat_workspace.oci.credentials import Login
from aichat_workspace.oci.documents import DOCKER_MANIFEST, Descriptor, Manifest, encode
from release.bundle.collection import Collected, collect
from release.bundle.writing import write
from tests.contracts.registry import blob_of, index_of
from tests.fakes.registry import FakeRegistry

OPERATOR: Final = "docker.io/library/aichat-workspace-operator:v1.2.3"
OLLAMA: Final = "docker.io/ollama/ollama:0.34.0"
MODEL: Final = "registry.ollama.ai/library/smollm2:135m"
ADDRESS: Final = "mirror.example.org/upstream"


@dataclass
class MemorySource:
    """An image or a model in memory."""

    top: Manifest
    manifests: dict[str, Manifest] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def root(self) -> Manifest:
        return self.top

    def manifest(self, descriptor: Descriptor) -> Manifest:
        return self.manifests[descriptor.digest]

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        yield self.blobs[descriptor.digest]


def config_of(architecture: str) -> bytes:
    return encode({"os": "linux", "architecture": architecture})


def single(layers: Sequence[bytes], config: bytes, media_type: str = "") -> MemorySource:
    """An image for one platform, or a model."""
    media_type = media_type or "application/vnd.oci.image.manifest.v1+json"
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": blob_of(config).document(),
        "layers": [blob_of(layer).document() for layer in layers],
    }
    manifest = Manifest(encode(document), media_type)
    blobs = {blob_of(content).digest: content for content in (config, *layers)}
    return MemorySource(manifest, {manifest.descriptor.digest: manifest}, blobs)


def everywhere(*architectures: str, shared: bytes = b"shared layer") -> MemorySource:
    """An image for several architectures, which have a layer in common."""
    singles = [
        single([shared, f"layer of {architecture}".encode()], config_of(architecture))
        for architecture in architectures
    ]
    index = index_of(
        *((source.top, name) for source, name in zip(singles, architectures, strict=True))
    )
    source = MemorySource(index)
    for one_platform in singles:
        source.manifests |= one_platform.manifests
        source.blobs |= one_platform.blobs
    return source


def items() -> list[Collected]:
    return [
        collect(Kind.OPERATOR, OPERATOR, everywhere("amd64", "arm64"), ["amd64", "arm64"]),
        collect(Kind.IMAGE, OLLAMA, single([b"shared layer"], config_of("amd64")), ["amd64"]),
        collect(
            Kind.MODEL, MODEL, single([b"weights" * 1000], b"model's config", DOCKER_MANIFEST), ()
        ),
    ]


def write_bundle(folder: Path) -> Path:
    """Write the bundle of these items into a folder."""
    chart = folder / "chart.tgz"
    chart.write_bytes(b"a chart")
    target = folder / "bundle.tar"
    write(target, "1.2.3", items(), {"chart.tgz": chart}, lambda _done, _total: None)
    return target


@contextmanager
def registry(fake: FakeRegistry, login: Login | None = None) -> Iterator[Registry]:
    with connect(parse_address(ADDRESS), login, transport=fake) as connected:
        connected.pause = lambda _: None
        yield connected
