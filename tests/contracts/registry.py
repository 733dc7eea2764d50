"""What bundles rely on of a registry: the local node's, a real one, and the fake of unit tests."""

import time
from collections.abc import Iterator
from typing import Final

import httpx2
import pytest

from aichat_workspace.oci.client import Registry
from aichat_workspace.oci.documents import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
    encode,
)
from aichat_workspace.oci.errors import Cause, OciError

CONFIG: Final = b'{"os":"linux","architecture":"amd64"}'
LAYER: Final = bytes(range(256)) * 4096 * 4  # 4 MiB
REPOSITORY: Final = "team/thing"


def blob_of(content: bytes, media_type: str = "application/octet-stream") -> Descriptor:
    return Descriptor(media_type, digest_of(content), len(content))


def manifest_of(
    media_type: str = OCI_MANIFEST, *, config: bytes = CONFIG, layer: bytes = LAYER
) -> Manifest:
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": blob_of(config).document(),
        "layers": [blob_of(layer).document()],
    }
    return Manifest(encode(document), media_type)


def index_of(*manifests: tuple[Manifest, str]) -> Manifest:
    entries = [
        {
            **manifest.descriptor.document(),
            "platform": {"os": "linux", "architecture": architecture},
        }
        for manifest, architecture in manifests
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return Manifest(encode(document), OCI_INDEX)


def send(registry: Registry, content: bytes, repository: str = REPOSITORY) -> Descriptor:
    blob = blob_of(content)
    registry.push_blob(repository, blob, lambda offset: iter((content[offset:],)))
    return blob


class RegistryContract:
    """A subclass has a fixture `registry`."""

    def test_it_is_a_registry(self, registry: Registry) -> None:
        registry.check()

    def test_a_pushed_blob_is_there_and_comes_back(self, registry: Registry) -> None:
        assert not registry.has_blob(REPOSITORY, blob_of(CONFIG).digest)
        blob = send(registry, CONFIG)
        assert registry.has_blob(REPOSITORY, blob.digest)
        assert b"".join(registry.blob(REPOSITORY, blob.digest)) == CONFIG

    def test_an_empty_blob_can_be_pushed(self, registry: Registry) -> None:
        blob = send(registry, b"")
        assert registry.has_blob(REPOSITORY, blob.digest)

    @pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
    def test_a_manifest_is_there_by_tag_and_digest_with_its_type(
        self, registry: Registry, media_type: str
    ) -> None:
        send(registry, CONFIG)
        send(registry, LAYER)
        manifest = manifest_of(media_type)
        digest = manifest.descriptor.digest
        assert registry.manifest_digest(REPOSITORY, "v1") == ""
        registry.push_manifest(REPOSITORY, "v1", manifest)
        assert registry.manifest_digest(REPOSITORY, "v1") == digest
        assert registry.manifest(REPOSITORY, "v1") == manifest
        assert registry.manifest(REPOSITORY, digest) == manifest

    def test_an_index_is_there_with_its_manifests(self, registry: Registry) -> None:
        send(registry, CONFIG)
        send(registry, LAYER)
        manifest = manifest_of()
        registry.push_manifest(REPOSITORY, manifest.descriptor.digest, manifest)
        index = index_of((manifest, "amd64"))
        registry.push_manifest(REPOSITORY, "v2", index)
        assert registry.manifest(REPOSITORY, "v2") == index
        assert index.parts[0].platform == {"os": "linux", "architecture": "amd64"}

    def test_what_is_not_there_is_absent(self, registry: Registry) -> None:
        with pytest.raises(OciError) as caught:
            registry.manifest("team/other", "v1")
        assert caught.value.cause is Cause.ABSENT
        assert "team/other:v1 was not read" in caught.value.what

    def test_content_of_another_digest_is_refused(self, registry: Registry) -> None:
        blob = blob_of(CONFIG)
        with pytest.raises(OciError, match="DIGEST_INVALID"):
            registry.push_blob(REPOSITORY, blob, lambda _: iter((CONFIG.upper(),)))
        assert not registry.has_blob(REPOSITORY, blob.digest)

    def test_an_upload_that_broke_off_leaves_nothing_and_can_be_done_again(
        self, registry: Registry
    ) -> None:
        def broken(offset: int) -> Iterator[bytes]:
            yield LAYER[offset : len(LAYER) // 2]
            raise httpx2.WriteError("the connection broke")

        blob = blob_of(LAYER)
        pauses: list[float] = []
        registry.pause = pauses.append
        with pytest.raises(OciError, match="the connection broke"):
            registry.push_blob(REPOSITORY, blob, broken)
        assert pauses, "it was tried again"
        assert not registry.has_blob(REPOSITORY, blob.digest)
        send(registry, LAYER)
        assert b"".join(registry.blob(REPOSITORY, blob.digest)) == LAYER


class ResumingRegistryContract(RegistryContract):
    """Of registries that keep what came of an upload until the connection broke."""

    def test_an_upload_that_broke_off_goes_on_where_it_was(self, registry: Registry) -> None:
        half, offsets = len(LAYER) // 2, []

        def content(offset: int) -> Iterator[bytes]:
            offsets.append(offset)
            yield LAYER[offset:half]
            if not offset:
                raise httpx2.WriteError("the connection broke")
            yield LAYER[max(half, offset) :]

        registry.pause = lambda _: time.sleep(0.2)  # the server sees the end of the connection
        registry.push_blob(REPOSITORY, blob_of(LAYER), content)
        assert len(offsets) == 2
        assert 0 < offsets[1] <= half
        assert b"".join(registry.blob(REPOSITORY, blob_of(LAYER).digest)) == LAYER

    def test_an_upload_of_which_only_the_answer_was_lost_is_ended(self, registry: Registry) -> None:
        offsets = []

        def content(offset: int) -> Iterator[bytes]:
            offsets.append(offset)
            yield LAYER[offset:]
            raise httpx2.ReadError("the answer was lost")

        registry.pause = lambda _: time.sleep(0.2)
        registry.push_blob(REPOSITORY, blob_of(LAYER), content)
        assert offsets == [0]
        assert registry.has_blob(REPOSITORY, blob_of(LAYER).digest)
