"""Labels that Kubernetes accepts, whatever they are made of."""

import pytest

from aichat_workspace.domain.render.labels import image_version


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("docker.io/ollama/ollama:0.17.4", "0.17.4"),
        ("localhost:5000/ollama:1", "1"),
        ("x/y@sha256:" + "a" * 64, ("sha256-" + "a" * 64)[:63]),
    ],
)
def test_an_images_version_is_a_valid_label(image: str, version: str) -> None:
    assert image_version(image) == version
