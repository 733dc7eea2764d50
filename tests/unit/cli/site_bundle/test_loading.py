"""A load knows which of its models people can talk to."""

from pathlib import Path

import pytest

from aichat_workspace.cli.site_bundle.loading import chat_model
from aichat_workspace.oci.address import parse_address
from aichat_workspace.oci.bundle import Kind, open_bundle
from aichat_workspace.oci.documents import (
    DOCKER_MANIFEST,
    MODEL_TEMPLATE,
    Manifest,
    encode,
    parse_document,
)
from aichat_workspace.oci.push import Pushed, place_of
from release.bundle.collection import Collected, collect
from release.bundle.writing import write
from tests.unit.oci.bundles import ADDRESS, MemorySource, single


def model(name: str, size: int, *, has_template: bool) -> Collected:
    source = single([b"w" * size, b"template of " + name.encode()], b"{}", DOCKER_MANIFEST)
    document = parse_document(source.top.content)
    if has_template:
        document["layers"][1]["mediaType"] = MODEL_TEMPLATE
    top = Manifest(encode(document), DOCKER_MANIFEST)
    return collect(Kind.MODEL, f"registry.ollama.ai/library/{name}:1b", _with(source, top), ())


def _with(source: MemorySource, top: Manifest) -> MemorySource:
    return MemorySource(top, {top.descriptor.digest: top}, source.blobs)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (
            [
                model("large", 99, has_template=True),
                model("small", 50, has_template=True),
                model("embedding", 9, has_template=False),
            ],
            "mirror.example.org/library/small:1b",
        ),
        ([model("embedding", 9, has_template=False)], ""),
    ],
)
def test_the_smallest_model_with_a_template_is_for_chats(
    items: list[Collected], expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.tar"
    write(path, "1.2.3", items, {}, lambda _done, _total: None)
    with open_bundle(path) as bundle:
        loaded = [
            Pushed(entry, place_of(entry, parse_address(ADDRESS)), 1) for entry in bundle.entries
        ]
        assert chat_model(bundle, loaded) == expected
