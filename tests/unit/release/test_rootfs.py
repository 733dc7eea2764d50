"""The base of the image."""

from pathlib import Path

from release.rootfs import set_modes


def test_only_their_owner_may_write_files_and_tmp_is_everyones(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir(mode=0o777)
    for name, mode in (("program", 0o4775), ("text", 0o660)):
        (tmp_path / "bin" / name).touch()
        (tmp_path / "bin" / name).chmod(mode)
    (tmp_path / "bin" / "link").symlink_to("program")
    set_modes(tmp_path)
    modes = {
        path.name: path.stat().st_mode & 0o7777
        for path in tmp_path.rglob("*")
        if not path.is_symlink()
    }
    assert modes == {"bin": 0o755, "program": 0o755, "text": 0o644, "tmp": 0o1777}


def test_the_root_itself_is_open_whatever_the_umask_here(tmp_path: Path) -> None:
    """It is an entry of its layer: closed, no user but root could start anything."""
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    set_modes(root)
    assert root.stat().st_mode & 0o777 == 0o755
