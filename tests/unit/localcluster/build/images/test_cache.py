"""Images and layers are made once."""

from pathlib import Path

import pytest

from localcluster.build.images import cache
from localcluster.build.images.oci import Config


def test_a_file_is_made_once_for_the_same_inputs() -> None:
    targets: list[Path] = []

    def make(target: Path) -> None:
        targets.append(target)
        target.write_text("x")

    first = cache.ensure("layers", "thing", cache.key("1"), make)
    assert cache.ensure("layers", "thing", cache.key("1"), make) == first
    assert len(targets) == 1


def test_a_new_version_replaces_the_old_one(cache_folder: Path) -> None:
    for inputs in ("1", "2"):
        cache.ensure("layers", "thing", cache.key(inputs), lambda target: target.write_text("x"))
    cache.ensure("layers", "thing-more", cache.key("1"), lambda target: target.write_text("x"))
    names = [path.name for path in (cache_folder / "layers").glob("*.tar")]
    assert sorted(names) == sorted(
        [f"thing-{cache.key('2')}.tar", f"thing-more-{cache.key('1')}.tar"]
    )


def test_a_failed_file_is_not_a_result() -> None:
    def fail(target: Path) -> None:
        target.write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.ensure("layers", "thing", "0" * 16, fail)
    whole = cache.ensure("layers", "thing", "0" * 16, lambda target: target.write_text("whole"))
    assert whole.read_text() == "whole"


def test_keys_depend_on_the_limits_between_inputs() -> None:
    assert cache.key("ab", "c") != cache.key("a", "bc")


def test_an_image_changes_with_its_configuration(tmp_path: Path) -> None:
    layer = tmp_path / "layer-0000.tar"
    layer.write_bytes(bytes(1024))
    plain = cache.ensure_image("docker.io/a/b:1", [layer], Config())
    other = cache.ensure_image("docker.io/a/b:1", [layer], Config(user="1"))
    assert plain.digest != other.digest
    assert plain.archive.name.startswith("a-b-1-")


def test_the_scratch_folder_is_removed(cache_folder: Path) -> None:
    with cache.scratch() as folder:
        (folder / "x").write_text("x")
    assert list(cache_folder.iterdir()) == []
