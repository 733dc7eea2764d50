"""Names of images are read as container runtimes do."""

import pytest

from aichat_workspace.foundation.image_names import parse_image

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "name", "reference"),
    [
        ("busybox", "docker.io/library/busybox", "latest"),
        ("ollama/ollama:0.34.0", "docker.io/ollama/ollama:0.34.0", "0.34.0"),
        ("docker.io/busybox:1", "docker.io/library/busybox:1", "1"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1", "v1"),
        ("localhost/a:1", "localhost/a:1", "1"),
        ("host:5000/a:1", "host:5000/a:1", "1"),
        (f"ghcr.io/a@{DIGEST}", f"ghcr.io/a@{DIGEST}", DIGEST),
        (f"ghcr.io/a:v1@{DIGEST}", f"ghcr.io/a:v1@{DIGEST}", DIGEST),
    ],
)
def test_a_name_has_a_registry_and_a_reference(text: str, name: str, reference: str) -> None:
    image = parse_image(text)
    assert (str(image), image.reference) == (name, reference)
    assert image.is_valid


@pytest.mark.parametrize(
    "text",
    [
        "docker.io/x/../../payments/api:latest",
        "ghcr.io/./a:1",
        "ghcr.io/a//b:1",
        "ghcr.io/A/b:1",
        "ghcr.io/a/b%2f..:1",
        "ghcr.io/a/b?x:1",
        "ghcr.io/a/b:..",
        "ghcr.io/a/b:1/../../c",
        f"ghcr.io/a/b:{'1' * 129}",
        "ghcr.io/a/b@sha256:../x",
        f"ghcr.io/a/b:..@{DIGEST}",
        "ghcr.io/",
        "",
    ],
)
def test_a_name_that_a_registry_need_not_take_is_not_valid(text: str) -> None:
    assert not parse_image(text).is_valid
