"""A bundle is read as it was written, and refused where it is altered."""

import io
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.oci.bundle import FORMAT, INDEX, KIND, SUMS, VERSION, Kind, open_bundle
from aichat_workspace.oci.documents import NAME, encode
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
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    content = path.read_bytes()
    for member in members[3:]:
        for end in (member.offset, member.offset + 9, member.offset_data):
            path.write_bytes(content[:end])
            with pytest.raises(OciError, match=r"only a part|has no"), open_bundle(path):
                pass


@pytest.mark.parametrize("content", [b"", b"text" * 1000])
def test_another_file_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(OciError, match="is no bundle"), open_bundle(path):
        pass


def with_index(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A bundle of an index only, which is changed."""
    index: dict[str, Any] = {
        "manifests": [
            {
                **blob_of(b"content").document(),
                "annotations": {KIND: "image", NAME: "ghcr.io/a/b:1"},
            }
        ],
        "annotations": {VERSION: "2.0.0", FORMAT: "1"},
    }
    change(index)
    path = folder / "changed.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in ((INDEX, encode(index)), (SUMS, b"")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_an_index_of_this_format_is_read(tmp_path: Path) -> None:
    with open_bundle(with_index(tmp_path, lambda _: None)) as bundle:
        assert [entry.name for entry in bundle.entries] == ["ghcr.io/a/b:1"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda index: index["annotations"].update({FORMAT: "2"}), "its format is 2, not 1"),
        (
            lambda index: index["manifests"][0]["annotations"].update({KIND: "chart"}),
            "entries of the kind chart",
        ),
    ],
)
def test_a_newer_bundle_says_which_program_reads_it(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], why: str
) -> None:
    path = with_index(tmp_path, change)
    with pytest.raises(OciError, match=why) as caught, open_bundle(path):
        pass
    assert caught.value.what.endswith("is newer than this aichatctl")
    assert caught.value.fix.startswith("use aichatctl 2.0.0, of the bundle's release")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda index: index.pop("annotations"), f"has no {FORMAT}"),
        (lambda index: index.update(annotations=[]), f"has no {FORMAT}"),
        (lambda index: index["annotations"].update({FORMAT: "x"}), f"has no {FORMAT}"),
        (lambda index: index["manifests"][0]["annotations"].pop(KIND), f"without '{KIND}'"),
        (lambda index: index["manifests"][0]["annotations"].pop(NAME), f"without '{NAME}'"),
    ],
    ids=["none", "no annotations", "no number", "no kind", "no name"],
)
def test_another_layout_is_no_bundle(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], why: str
) -> None:
    path = with_index(tmp_path, change)
    with pytest.raises(OciError, match=f"is no bundle: .*{why}"), open_bundle(path):
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
