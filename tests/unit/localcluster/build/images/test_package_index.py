"""A build can use the machine's package index, of which the image has no trace."""

import stat
from pathlib import Path

import pytest

from localcluster.build.images.package_index import CERTIFICATES, PIP_CONF, UV_TOML, mounts

SECRET = "https://user:secret@index.invalid/simple"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    root = tmp_path / "machine"
    (root / "etc").mkdir(parents=True)
    (root / "root").mkdir()
    return root


def lend(machine: Path, tmp_path: Path, **environment: str) -> dict[str, str]:
    """Return the contents of mounted files, by their paths in the build."""
    folder = tmp_path / "private"
    folder.mkdir()
    volumes = [mount.split(":") for mount in mounts(environment, folder, machine)]
    assert all(options == "ro" for _, _, options in volumes)
    return {target: Path(source).read_text() for source, target, _ in volumes}


def test_a_plain_machine_lends_no_index(machine: Path, tmp_path: Path) -> None:
    assert lend(machine, tmp_path) == {UV_TOML: "system-certs = true\n"}


def test_pips_file_is_merged_under_the_environment(machine: Path, tmp_path: Path) -> None:
    (machine / "etc/pip.conf").write_text("[global]\nindex-url = https://x.invalid\ntimeout = 9\n")
    lent = lend(machine, tmp_path, PIP_INDEX_URL=SECRET)
    assert lent[PIP_CONF] == f"[global]\nindex-url = {SECRET}\ntimeout = 9\n"


def test_folders_of_this_machine_are_not_lent(machine: Path, tmp_path: Path) -> None:
    (machine / "etc/pip.conf").write_text("[global]\nfind-links = /somewhere\n")
    assert PIP_CONF not in lend(machine, tmp_path)


def test_uvs_variable_becomes_its_file(machine: Path, tmp_path: Path) -> None:
    lent = lend(machine, tmp_path, UV_DEFAULT_INDEX=SECRET)
    assert f'url = "{SECRET}"' in lent[UV_TOML]
    assert lent[UV_TOML].startswith("system-certs = true\n")


def test_uvs_own_choice_of_certificates_stays(machine: Path, tmp_path: Path) -> None:
    (machine / "etc/uv").mkdir()
    (machine / "etc/uv/uv.toml").write_text("system-certs = false\n")
    assert lend(machine, tmp_path)[UV_TOML] == "system-certs = false\n"


def test_the_machines_certificates_are_lent(machine: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("certificates")
    assert lend(machine, tmp_path, SSL_CERT_FILE=str(bundle))[CERTIFICATES] == "certificates"


def test_written_settings_are_private(machine: Path, tmp_path: Path) -> None:
    lend(machine, tmp_path, PIP_INDEX_URL=SECRET)
    for path in (tmp_path / "private").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
