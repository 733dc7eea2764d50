"""A push sends what a registry lacks, and goes on after an interruption."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from aichat_workspace.oci.address import Address, parse_address
from aichat_workspace.oci.bundle import Bundle, Entry, Kind, open_bundle
from aichat_workspace.oci.documents import Descriptor
from aichat_workspace.oci.errors import OciError
from aichat_workspace.oci.push import Pushed, place_of, push
from tests.fakes.registry import FakeRegistry
from tests.unit.oci.bundles import ADDRESS, MODEL, OLLAMA, registry, write_bundle

HOST = "mirror.example.org"


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    with open_bundle(write_bundle(tmp_path)) as opened:
        yield opened


def push_all(bundle: Bundle, fake: FakeRegistry) -> list[Pushed]:
    fake.requests.clear()
    with registry(fake) as connected:
        return [
            push(bundle, entry, connected, place_of(entry, parse_address(ADDRESS)), lambda _: None)
            for entry in bundle.entries
        ]


def test_images_are_below_the_path_and_models_at_the_top(bundle: Bundle) -> None:
    address = parse_address(ADDRESS)
    assert [str(place_of(entry, address)) for entry in bundle.entries] == [
        f"{HOST}/upstream/library/aichat-workspace-operator:v1.2.3",
        f"{HOST}/upstream/ollama/ollama:0.34.0",
        f"{HOST}/library/smollm2:135m",
    ]


def test_an_image_keeps_its_digest_below_a_registry_without_a_path() -> None:
    digest = f"sha256:{'a' * 64}"
    entry = Entry(Kind.IMAGE, f"ghcr.io/a/b:v1@{digest}", Descriptor("", digest, 1))
    place = place_of(entry, Address("mirror.example.org"))
    assert (str(place), place.reference) == (f"mirror.example.org/a/b:v1@{digest}", digest)


def test_all_is_pushed_and_the_tag_comes_last(bundle: Bundle) -> None:
    fake = FakeRegistry()
    pushed = push_all(bundle, fake)
    assert all(entry.sent_bytes > 0 for entry in pushed)
    writes = [
        request for request in fake.requests if request.startswith("PUT") and "manifests" in request
    ]
    assert writes[2] == "PUT /v2/upstream/library/aichat-workspace-operator/manifests/v1.2.3"
    assert len(writes) == 5
    for entry in bundle.entries:
        place = place_of(entry, parse_address(ADDRESS))
        blobs = bundle.blobs(entry)
        present = {digest for repository, digest in fake.blobs if repository == place.repository}
        present |= {
            digest for repository, digest in fake.manifests if repository == place.repository
        }
        assert {*blobs} <= present


def test_a_second_push_sends_nothing(bundle: Bundle) -> None:
    fake = FakeRegistry()
    push_all(bundle, fake)
    assert [pushed.sent_bytes for pushed in push_all(bundle, fake)] == [0, 0, 0]
    assert {request.partition(" ")[0] for request in fake.requests} == {"HEAD"}


def test_progress_reaches_the_sum_of_all_sizes(bundle: Bundle) -> None:
    fake = FakeRegistry()
    for _ in range(2):
        for entry in bundle.entries:
            advanced: list[int] = []
            with registry(fake) as connected:
                push(
                    bundle,
                    entry,
                    connected,
                    place_of(entry, parse_address(ADDRESS)),
                    advanced.append,
                )
            assert sum(advanced) == sum(blob.size for blob in bundle.blobs(entry).values())


def test_after_an_interruption_at_any_request_the_next_push_ends_it(bundle: Bundle) -> None:
    whole = FakeRegistry()
    push_all(bundle, whole)
    for number in range(len(whole.requests)):
        fake = FakeRegistry()

        def refuse(_: httpx2.Request, fake: FakeRegistry = fake, number: int = number) -> None:
            if len(fake.requests) == number + 1:
                raise httpx2.ConnectError("the machine is off")

        fake.refuse = refuse
        with pytest.raises(OciError, match="the machine is off"):
            push_all(bundle, fake)
        fake.refuse = lambda _: None
        before = {*fake.blobs}
        push_all(bundle, fake)
        assert (fake.blobs, fake.manifests) == (whole.blobs, whole.manifests)
        resent = [request for request in fake.requests if request.startswith("PATCH")]
        assert len(resent) == len({*whole.blobs} - before), "what was there was not sent again"


def test_an_altered_blob_never_gets_into_the_registry(bundle: Bundle) -> None:
    bundle.path.write_bytes(
        bundle.path.read_bytes().replace(b"weightsweights", b"weightsweighty", 1)
    )
    fake = FakeRegistry()
    with (
        open_bundle(bundle.path) as altered,
        pytest.raises(OciError, match=f"of {MODEL} is altered"),
    ):
        push_all(altered, fake)
    assert ("library/smollm2", "135m") not in fake.manifests
    assert not any(b"weighty" in content for content in fake.blobs.values())
    assert ("upstream/ollama/ollama", "0.34.0") in fake.manifests, OLLAMA
