"""What Ollama asks of a registry is tried: server/download.go of Ollama 0.34."""

import httpx2
import pytest

from aichat_workspace.foundation.image_names import ImageName
from aichat_workspace.oci.model_access import model_access_problem
from tests.contracts.registry import CONFIG, LAYER, manifest_of, send
from tests.fakes.registry import FakeRegistry
from tests.unit.oci.bundles import registry

REPOSITORY = "library/smollm2"
MODEL = ImageName("mirror.example.org", REPOSITORY, "135m")


def problem(fake: FakeRegistry) -> str:
    with registry(FakeRegistry(fake.blobs, fake.manifests)) as connected:
        send(connected, LAYER, REPOSITORY)
        blob = send(connected, CONFIG, REPOSITORY)
        connected.push_manifest(REPOSITORY, "135m", manifest_of())
    with registry(fake) as connected:
        result = model_access_problem(connected, MODEL, blob.digest)
    return f"{result.why}; {result.fix}" if result else ""


def answer_blobs(*responses: httpx2.Response) -> FakeRegistry:
    answers = [*responses]

    def refuse(request: httpx2.Request) -> httpx2.Response | None:
        return answers.pop(0) if "/blobs/" in request.url.path else None

    return FakeRegistry(refuse=refuse)


def redirect(status: int, location: str) -> httpx2.Response:
    return httpx2.Response(status, headers={"Location": location})


def test_a_blob_from_a_disk_comes_without_what_ollama_needs() -> None:
    assert "without the header Location" in problem(FakeRegistry())
    assert "docs/airgapped.md" in problem(FakeRegistry())


def test_a_header_that_names_the_same_place_is_enough() -> None:
    assert problem(FakeRegistry(blob_headers={"Location": "?"})) == ""


def test_a_redirect_to_storage_is_enough_and_is_not_followed() -> None:
    assert problem(answer_blobs(redirect(307, "https://storage.example.org/a"))) == ""


def test_a_redirect_in_the_same_host_is_followed_as_ollama_does() -> None:
    here = redirect(307, "https://mirror.example.org/blobs/a")
    assert "without the header" in problem(answer_blobs(here, httpx2.Response(200)))
    elsewhere = redirect(307, "https://storage.example.org/a")
    assert problem(answer_blobs(redirect(307, "/blobs/a"), elsewhere)) == ""


def test_another_redirect_is_one_that_ollama_does_not_follow() -> None:
    assert "307 only" in problem(answer_blobs(redirect(302, "https://storage.example.org/a")))


@pytest.mark.parametrize("part", ["manifests", "blobs"])
def test_a_registry_that_asks_for_a_login_is_no_registry_of_models(part: str) -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response | None:
        return httpx2.Response(401) if f"/{part}/" in request.url.path else None

    text = problem(FakeRegistry(refuse=refuse))
    assert "Ollama has no login" in text
    assert "mirror.example.org/library/smollm2" in text
