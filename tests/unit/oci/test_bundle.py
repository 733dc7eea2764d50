"""A bundle is read as it was written, and refused where it is altered."""

import re
import subprocess
from pathlib import Path

import pytest

from aichat_workspace.oci.bundle import Kind, open_bundle
from aichat_workspace.oci.errors import Cause, OciError
from tests.contracts.registry import blob_of
from tests.unit.oci.bundles import MODEL, OLLAMA, OPERATOR, write_bundle


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_bundle(tmp_path)


def test_its_images_models_and_files_are_listed(path: Path) -> None:
    with open_bundle(path) as bundle:
        assert bundle.version == "1.2.3"
        assert [(entry.kind, entry.name) for entry in bundle.entries] == [
            (Kind.OPERATOR, OPERATOR),
            (Kind.IMAGE, OLLAMA),
            (Kind.MODEL, MODEL),
        ]
        assert [bundle.platforms(entry) for entry in bundle.entries] == [
            ("linux/amd64", "linux/arm64"),
            (),
            (),
        ]
        assert bundle.files == {"chart.tgz": 7}


def test_an_altered_blob_is_refused_by_its_name_and_that_of_its_image(path: Path) -> None:
    weights = blob_of(b"weights" * 1000)
    with open_bundle(path) as bundle:
        assert b"".join(bundle.chunks(bundle.entries[2], weights)) == b"weights" * 1000
    path.write_bytes(path.read_bytes().replace(b"weightsweights", b"weightsweighty", 1))
    with open_bundle(path) as bundle, pytest.raises(OciError) as caught:
        b"".join(bundle.chunks(bundle.entries[2], weights))
    assert caught.value.what == f"{weights.digest} of {MODEL} is altered in {path}"
    assert caught.value.fix.startswith("copy the bundle again")
    assert caught.value.cause is Cause.INPUT


def test_a_cut_bundle_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(OciError, match=r"only a part|has no|unexpected end"), open_bundle(path):
        pass


@pytest.mark.parametrize("content", [b"", b"text" * 1000])
def test_another_file_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(OciError, match="is no bundle"), open_bundle(path):
        pass


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(OciError, match=r"nothing can't be read: No such file"),
        open_bundle(tmp_path / "nothing"),
    ):
        pass


def test_its_list_of_checksums_holds_for_all_its_files(path: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-xf", path, "-C", tmp_path], check=True)  # noqa: S603, S607
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603
    assert len(re.findall(r": OK$", ran.stdout, re.MULTILINE)) >= 10
