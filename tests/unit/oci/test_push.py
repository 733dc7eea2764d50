"""A push sends what a registry lacks, and goes on after an interruption."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from aichat_workspace.oci.address import Address, parse_address
from aichat_workspace.oci.bundle import Bundle, Entry, Kind, open_bundle
from aichat_workspace.oci.documents import Descriptor
from aichat_workspace.oci.errors import Cause, OciError
from aichat_workspace.oci.push import Pushed, occupied, place_of, places_of, push
from tests.contracts.registry import manifest_of
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


def entry_of(kind: Kind, name: str, digest: str = "") -> Entry:
    return Entry(kind, name, Descriptor("", digest, 1))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind.IMAGE, "docker.io/x/../../payments/api:latest"),
        (Kind.OPERATOR, "ghcr.io/a/b:1/../../c"),
        (Kind.MODEL, "registry.ollama.ai/library/../payments:1b"),
        (Kind.MODEL, "registry.ollama.ai/a/b/c:1b"),
        (Kind.MODEL, "registry.ollama.ai/a:1b"),
        (Kind.MODEL, f"registry.ollama.ai/library/a@sha256:{'a' * 64}"),
    ],
)
def test_a_name_that_leaves_its_place_is_refused(kind: Kind, name: str) -> None:
    with pytest.raises(OciError, match=f"'{name}' of the bundle can't be {HOST}/") as caught:
        place_of(entry_of(kind, name), parse_address(ADDRESS))
    assert caught.value.cause is Cause.INPUT


def test_a_path_that_leaves_its_place_is_refused() -> None:
    with pytest.raises(OciError, match=r"can't be mirror.example.org/a/../c/b/x:1"):
        place_of(entry_of(Kind.IMAGE, "ghcr.io/b/x:1"), parse_address(f"{HOST}/a/../c"))


def test_a_models_place_is_in_lower_case_as_registries_have_it() -> None:
    place = place_of(entry_of(Kind.MODEL, "hf.co/Ann/Own-GGUF:Q4_K_M"), parse_address(ADDRESS))
    assert str(place) == f"{HOST}/ann/own-gguf:Q4_K_M"


def test_two_entries_for_one_place_are_refused_unless_they_are_the_same() -> None:
    names = ["ghcr.io/a/b:1", "docker.io/a/b:1"]
    address = parse_address(ADDRESS)
    same = [entry_of(Kind.IMAGE, name, "x") for name in names]
    assert [*map(str, places_of(same, address))] == [f"{HOST}/upstream/a/b:1"]
    others = [entry_of(Kind.IMAGE, name, name) for name in names]
    with pytest.raises(OciError, match=rf"{' and '.join(names)} of the bundle would both be"):
        places_of(others, address)


@pytest.mark.parametrize("says_digest", [True, False])
def test_what_the_registry_has_else_under_a_name_is_known(
    bundle: Bundle, says_digest: bool
) -> None:
    def without_digest(request: httpx2.Request) -> httpx2.Response | None:
        is_head = request.method == "HEAD" and request.url.path.endswith("/135m")
        return httpx2.Response(200) if is_head and not says_digest else None

    fake = FakeRegistry()
    push_all(bundle, fake)
    fake.refuse = without_digest
    places = places_of(bundle.entries, parse_address(ADDRESS))
    with registry(fake) as connected:
        assert occupied(connected, places) == []
        other = manifest_of()
        connected.push_manifest("library/smollm2", "135m", other)
        assert [*map(str, occupied(connected, places))] == [f"{HOST}/library/smollm2:135m"]


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
            if len(fake.requests) > number:
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


def test_what_is_sent_again_after_a_broken_connection_counts_once(bundle: Bundle) -> None:
    fake = FakeRegistry()
    broken: list[str] = []

    def refuse(request: httpx2.Request) -> None:
        path = f"{request.method} {request.url.path}"
        if request.method == "PATCH" and path not in broken:
            broken.append(path)
            raise httpx2.WriteError("the connection broke")

    fake.refuse = refuse
    advanced: list[int] = []
    address = parse_address(ADDRESS)
    with registry(fake) as connected:
        for entry in bundle.entries:
            push(bundle, entry, connected, place_of(entry, address), advanced.append)
    assert broken
    sizes = [blob.size for entry in bundle.entries for blob in bundle.blobs(entry).values()]
    assert sum(advanced) == sum(sizes)


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
