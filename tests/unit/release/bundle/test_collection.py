"""What of an image goes into a bundle, and the bundle's bytes."""

from pathlib import Path

import pytest

from aichat_workspace.oci.bundle import Kind, open_bundle
from aichat_workspace.oci.documents import DOCKER_MANIFEST, Manifest, encode
from aichat_workspace.oci.errors import OciError
from release.bundle.collection import collect
from release.bundle.writing import write
from release.errors import ReleaseError
from tests.contracts.registry import blob_of
from tests.unit.oci.bundles import (
    OLLAMA,
    MemorySource,
    config_of,
    everywhere,
    items,
    single,
    write_bundle,
)

BOTH = ["amd64", "arm64"]


def platforms(source: MemorySource, architectures: list[str], folder: Path) -> tuple[str, ...]:
    target = folder / "bundle.tar"
    item = collect(Kind.IMAGE, OLLAMA, source, architectures)
    write(target, "1.2.3", [item], {}, lambda _done, _total: None)
    with open_bundle(target) as bundle:
        (entry,) = bundle.entries
        for blob in bundle.blobs(entry).values():
            assert b"".join(bundle.chunks(entry, blob))
        return bundle.platforms(entry)


def test_of_an_image_the_chosen_architectures_are_taken(tmp_path: Path) -> None:
    source = everywhere("amd64", "arm64", "s390x")
    assert platforms(source, ["arm64"], tmp_path) == ("linux/arm64",)
    assert platforms(source, BOTH, tmp_path) == ("linux/amd64", "linux/arm64")


def test_an_index_of_which_all_is_taken_stays_as_it_is() -> None:
    source = everywhere(*BOTH)
    item = collect(Kind.IMAGE, OLLAMA, source, BOTH)
    assert item.entry.descriptor.digest == source.top.descriptor.digest


def test_attestations_come_with_what_they_are_about() -> None:
    source = everywhere(*BOTH)
    attestation = single([b"a statement"], b"{}")
    source.manifests |= attestation.manifests
    source.blobs |= attestation.blobs
    subject = source.top.parts[0].digest
    entry = {
        **attestation.top.descriptor.document(),
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.digest": subject},
    }
    document = {
        "schemaVersion": 2,
        "manifests": [*(part.document() for part in source.top.parts), entry],
    }
    source.top = Manifest(encode(document), source.top.media_type)
    statement = blob_of(b"a statement").digest
    for architecture, is_there in (("amd64", True), ("arm64", False)):
        item = collect(Kind.IMAGE, OLLAMA, source, [architecture])
        assert (statement in {blob.descriptor.digest for blob in item.blobs}) == is_there


@pytest.mark.parametrize("source", [everywhere("amd64"), single([b"a layer"], config_of("amd64"))])
def test_an_architecture_that_an_image_lacks_is_named(source: MemorySource) -> None:
    with pytest.raises(ReleaseError, match=r"ollama:0.34.0 has no linux/arm64, only linux/amd64"):
        collect(Kind.IMAGE, OLLAMA, source, BOTH)


def test_an_image_with_a_digest_can_not_lose_an_architecture() -> None:
    source = everywhere(*BOTH)
    name = f"docker.io/ollama/ollama@{source.top.descriptor.digest}"
    collect(Kind.IMAGE, name, source, BOTH)
    with pytest.raises(ReleaseError, match="take all"):
        collect(Kind.IMAGE, name, source, ["amd64"])


def test_a_model_has_no_architecture() -> None:
    source = single([b"weights"], b"no platform", DOCKER_MANIFEST)
    assert len(collect(Kind.MODEL, "registry.ollama.ai/library/a:b", source, ()).blobs) == 3


def test_the_same_content_gives_the_same_bytes_and_each_blob_once(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    first, second = (write_bundle(tmp_path / name).read_bytes() for name in ("first", "second"))
    assert first == second
    assert first.count(b"shared layer") == 1, "two images have it"


def test_the_order_of_what_was_collected_is_that_of_the_list(tmp_path: Path) -> None:
    with open_bundle(write_bundle(tmp_path)) as bundle:
        assert [entry.name for entry in bundle.entries] == [item.entry.name for item in items()]


@pytest.mark.parametrize("content", [b"a layeR", b"a lay", b"a layer and more"])
def test_what_is_altered_at_its_source_leaves_no_bundle(tmp_path: Path, content: bytes) -> None:
    source = single([b"a layer"], config_of("amd64"))
    source.blobs[blob_of(b"a layer").digest] = content
    target = tmp_path / "bundle.tar"
    item = collect(Kind.IMAGE, OLLAMA, source, ["amd64"])
    with pytest.raises(OciError, match=rf"{blob_of(b'a layer').digest} of {OLLAMA} is altered"):
        write(target, "1.2.3", [item], {}, lambda _done, _total: None)
    assert [*tmp_path.iterdir()] == []
