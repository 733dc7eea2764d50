"""A build may use the machine's package index; the image must not know it."""

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
    """What is mounted, by the place in the build: the content of the file."""
    folder = tmp_path / "private"
    folder.mkdir()
    found = [each.split(":") for each in mounts(environment, folder, machine)]
    assert all(options == "ro" for _, _, options in found)
    return {target: Path(source).read_text() for source, target, _ in found}


def test_a_plain_machine_lends_no_index(machine: Path, tmp_path: Path) -> None:
    assert lend(machine, tmp_path) == {UV_TOML: "system-certs = true\n"}


def test_pip_s_file_is_merged_under_the_environment(machine: Path, tmp_path: Path) -> None:
    (machine / "etc/pip.conf").write_text("[global]\nindex-url = https://x.invalid\ntimeout = 9\n")
    lent = lend(machine, tmp_path, PIP_INDEX_URL=SECRET)
    assert lent[PIP_CONF] == f"[global]\nindex-url = {SECRET}\ntimeout = 9\n"


def test_folders_of_this_machine_are_not_lent(machine: Path, tmp_path: Path) -> None:
    (machine / "etc/pip.conf").write_text("[global]\nfind-links = /somewhere\n")
    assert PIP_CONF not in lend(machine, tmp_path)


def test_uv_s_variable_becomes_its_file(machine: Path, tmp_path: Path) -> None:
    lent = lend(machine, tmp_path, UV_DEFAULT_INDEX=SECRET)
    assert f'url = "{SECRET}"' in lent[UV_TOML]
    assert lent[UV_TOML].startswith("system-certs = true\n")


def test_uv_s_own_choice_of_certificates_stays(machine: Path, tmp_path: Path) -> None:
    (machine / "etc/uv").mkdir()
    (machine / "etc/uv/uv.toml").write_text("system-certs = false\n")
    assert lend(machine, tmp_path)[UV_TOML] == "system-certs = false\n"


def test_the_machine_s_certificates_are_lent(machine: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("certificates")
    assert lend(machine, tmp_path, SSL_CERT_FILE=str(bundle))[CERTIFICATES] == "certificates"


def test_written_settings_are_private(machine: Path, tmp_path: Path) -> None:
    lend(machine, tmp_path, PIP_INDEX_URL=SECRET)
    for path in (tmp_path / "private").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
