"""The archives that the container runtime imports."""

import gzip
import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from localcluster.build.images.oci import (
    Config,
    PlatformImage,
    compress_layer,
    pack_layout,
    read_archive,
    write_archive,
    write_images,
    write_layer,
)

NAME = "docker.io/localcluster/thing:1"


def layer(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "bin" / "thing").write_text("#!/bin/sh\n")
    (folder / "bin" / "thing").chmod(0o755)
    return write_layer(folder, tmp_path / "layer.tar")


def blobs(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as content:
        return {
            member.name: file.read()
            for member in content.getmembers()
            if (file := content.extractfile(member))
        }


def test_blobs_are_named_by_their_digests(tmp_path: Path) -> None:
    image = write_archive(tmp_path / "image.tar", NAME, [layer(tmp_path)], Config())
    contents = {
        name: content for name, content in blobs(image.archive).items() if name.startswith("blobs/")
    }
    assert len(contents) == 3
    for name, content in contents.items():
        assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def test_the_configuration_has_the_command_and_its_surroundings(tmp_path: Path) -> None:
    config = Config(("/bin/thing",), ("serve",), {"B": "2", "A": "1"}, "/app", "65535", ("80/tcp",))
    image = write_archive(tmp_path / "image.tar", NAME, [layer(tmp_path)], config)
    content = blobs(image.archive)
    manifest = _blob(content, image.digest)
    stored = _blob(content, manifest["config"]["digest"])
    assert stored["config"] == {
        "Entrypoint": ["/bin/thing"],
        "Cmd": ["serve"],
        "Env": ["A=1", "B=2"],
        "WorkingDir": "/app",
        "User": "65535",
        "ExposedPorts": {"80/tcp": {}},
    }
    assert len(stored["history"]) == len(stored["rootfs"]["diff_ids"]) == 1


def test_the_same_input_has_the_same_digest(tmp_path: Path) -> None:
    first = write_archive(tmp_path / "a.tar", NAME, [layer(tmp_path)], Config())
    (tmp_path / "root" / "bin" / "thing").touch()
    second = write_archive(tmp_path / "b.tar", NAME, [layer(tmp_path)], Config())
    assert first.digest == second.digest
    assert first.archive.read_bytes() == second.archive.read_bytes()


def test_a_compressed_layer_is_known_by_its_own_bytes_and_by_what_is_in_it(tmp_path: Path) -> None:
    plain = layer(tmp_path)
    compressed = compress_layer(plain, tmp_path / "layer.tar.gz")
    again = compress_layer(plain, tmp_path / "again.tar.gz")
    assert compressed.file.read_bytes() == again.file.read_bytes()
    image = write_images(
        tmp_path / "image.tar", NAME, [PlatformImage((compressed,), Config(labels={"a": "b"}))]
    )
    content = blobs(image.archive)
    manifest = _blob(content, image.digest)
    (described,) = manifest["layers"]
    assert described["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    stored = content[f"blobs/{described['digest'].replace(':', '/')}"]
    assert len(stored) == described["size"]
    assert gzip.decompress(stored) == plain.read_bytes()
    config = _blob(content, manifest["config"]["digest"])
    assert config["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(plain.read_bytes()).hexdigest()}"
    ]
    assert config["config"]["Labels"] == {"a": "b"}


def test_an_image_for_two_platforms_has_an_index_and_shares_equal_layers(tmp_path: Path) -> None:
    shared = compress_layer(layer(tmp_path), tmp_path / "layer.tar.gz")
    images = [
        PlatformImage((shared,), Config(architecture=architecture))
        for architecture in ("amd64", "arm64")
    ]
    both = write_images(tmp_path / "both.tar", NAME, images)
    single = write_images(tmp_path / "single.tar", NAME, images[1:])
    assert read_archive(both.archive) == both
    content = blobs(both.archive)
    amd64, arm64 = _blob(content, both.digest)["manifests"]
    assert amd64["platform"] == {"architecture": "amd64", "os": "linux"}
    assert arm64["digest"] == single.digest
    assert amd64["digest"] != arm64["digest"]
    assert len([name for name in content if name.startswith("blobs/")]) == 1 + 2 * 2 + 1


def test_files_of_a_layer_belong_to_root(tmp_path: Path) -> None:
    with tarfile.open(layer(tmp_path)) as content:
        thing = content.getmember("./bin/thing")
    assert (thing.uid, thing.gid, thing.mode) == (0, 0, 0o755)


def test_an_archive_has_its_images_name_and_digest(tmp_path: Path) -> None:
    image = write_archive(tmp_path / "image.tar", NAME, [layer(tmp_path)], Config())
    assert read_archive(image.archive) == image


def test_a_layout_gets_its_name_when_it_is_packed(tmp_path: Path) -> None:
    image = write_archive(tmp_path / "image.tar", NAME, [layer(tmp_path)], Config())
    for name, content in blobs(image.archive).items():
        path = tmp_path / "layout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    packed = pack_layout(tmp_path / "layout", "docker.io/other/name:2", tmp_path / "packed.tar")
    assert read_archive(packed.archive) == packed
    assert (packed.name, packed.digest) == ("docker.io/other/name:2", image.digest)


def _blob(content: dict[str, bytes], digest: str) -> Any:
    return json.loads(content[f"blobs/{digest.replace(':', '/')}"])
