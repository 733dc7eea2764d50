"""A release from a clean clone: built twice, unpacked, run and verified."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from localcluster.build import binaries
from localcluster.progress import silent
from tests.examples import examples
from tests.release.container import blobs, index, run, unpack

ROOT: Final = Path(__file__).parents[2]
VERSION: Final[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
NAME: Final = "aichat-workspace-operator"
SMOKE_TEST: Final = ROOT / "config" / "smoke-test"
IMAGE: Final = "registry.example.org/platform/aichat-workspace-operator"
pytestmark = pytest.mark.timeout(1_200)  # a build takes three minutes of an idle machine
PROGRAMS: Final = (NAME, "aichat-workspace-api", "aichatctl", "kubectl-aichat")
_PATH: Final = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
_IDENTITY: Final = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (
        ("NAME", "A"),
        ("EMAIL", "a@example.org"),
        ("DATE", "2026-11-30T12:00:00Z"),
    )
}


def command(*arguments: str | Path, folder: Path, umask: int = -1) -> str:
    ran = subprocess.run(
        arguments,
        cwd=folder,
        env={**os.environ, **_IDENTITY, "PATH": _PATH, "PYTHONPATH": str(folder)},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{arguments}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def clone(folder: Path) -> Path:
    """The last commit, and one more in which the changelog has the version, with its contract."""
    command("git", "clone", "--quiet", ROOT, folder, folder=ROOT)
    changelog = folder / "CHANGELOG.md"
    text = changelog.read_text()
    changelog.write_text(text.replace("## Unreleased", f"## {VERSION} - 2026-11-30", 1))
    command(sys.executable, "-m", "release", "freeze", VERSION, folder=folder)
    command("git", "add", "tests/released", folder=folder)
    command("git", "commit", "--quiet", "--all", "--message", "release", folder=folder)
    return folder


def block(part: str) -> str:
    """A block of the page about verifying."""
    (script,) = (
        example.script for example in examples(ROOT / "docs" / "verify.md") if example.mark == part
    )
    return script


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(20)


def images_of(manifests: str) -> set[str]:
    return set(re.findall(r'^ +image: "?([^"\s]+)"?$', manifests, re.MULTILINE))


def release(folder: Path, umask: int) -> Path:
    build = (sys.executable, "-m", "release", "build", VERSION, "--image", IMAGE)
    command(*build, folder=folder, umask=umask)
    return folder / "build" / "release"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release(clone(tmp_path_factory.mktemp("first") / "clone"), umask=0o022)


@pytest.fixture(scope="module")
def container(built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    archive = built / f"{NAME}-{VERSION}-amd64.oci.tar"
    return unpack(archive, tmp_path_factory.mktemp("container"))


def test_a_release_has_all_its_files(built: Path) -> None:
    python = NAME.replace("-", "_")
    assert {path.name for path in built.iterdir()} == {
        *(f"{python}-{VERSION}-py3-none-any.whl", f"{python}-{VERSION}.tar.gz"),
        *(f"{NAME}-{VERSION}{part}.oci.tar" for part in ("", "-amd64", "-arm64")),
        *(f"{NAME}-{VERSION}-{part}.cdx.json" for part in ("amd64", "arm64")),
        *(f"{NAME}-{VERSION}.tgz", "install.yaml", "CHANGES.md", "LICENCES.md"),
        *("provenance.intoto.json", "SHA256SUMS"),
    }
    assert not [path for path in built.parent.iterdir() if path != built], "no scratch is left"


def test_another_folder_and_umask_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "deeper" / "clone"
    # Of the first clone, so that a commit to the project meanwhile is no difference.
    command("git", "clone", "--quiet", built.parents[1], folder, folder=ROOT)
    other = release(folder, umask=0o077)
    assert (other / "SHA256SUMS").read_text() == (built / "SHA256SUMS").read_text()


@pytest.mark.parametrize("part", ["checksums", "statement"])
def test_the_page_about_verifying_verifies_it(built: Path, part: str) -> None:
    printed = command("bash", "-euo", "pipefail", "-c", block(part), folder=built)
    assert f"{NAME}-{VERSION}.tgz: OK" in printed
    if part == "statement":
        commit = command("git", "rev-parse", "HEAD", folder=built.parents[1]).strip()
        assert printed.splitlines()[-1] == commit


def test_a_file_that_was_changed_is_no_more_verified(built: Path, tmp_path: Path) -> None:
    for name in ("SHA256SUMS", "install.yaml"):
        (tmp_path / name).write_bytes((built / name).read_bytes())
    with (tmp_path / "install.yaml").open("a") as file:
        file.write("# and one line more\n")
    ran = subprocess.run(
        ["bash", "-c", block("checksums")], cwd=tmp_path, capture_output=True, check=False
    )
    assert ran.returncode == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_of_the_image_runs_as_nobody_on_files_that_it_cannot_write(
    container: tuple[Path, dict[str, Any]], program: str
) -> None:
    ran = run(*container, [program, "--help"])
    assert ran.returncode == 0, ran.stderr
    assert "usage" in ran.stdout.lower()


def test_the_images_programs_are_of_the_released_version(
    container: tuple[Path, dict[str, Any]],
) -> None:
    assert run(*container, [NAME, "--version"]).stdout == f"{NAME} {VERSION}\n"


def test_the_image_has_certificate_authorities_and_no_shell(
    container: tuple[Path, dict[str, Any]],
) -> None:
    script = """
import os, ssl
print(os.getuid(), len(ssl.create_default_context().get_ca_certs()) > 100)
open("/tmp/x", "w")
"""
    ran = run(*container, ["python3", "-c", script])
    assert ran.stdout == "65532 True\n"
    assert "Read-only file system" in ran.stderr
    assert "executable file not found" in run(*container, ["sh"]).stderr


def test_the_smoke_tests_job_runs_in_the_image_until_it_finds_no_server(
    container: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """With the Job's command, variables and volumes. There is no network, so no server, either."""
    (job, _) = [*yaml.safe_load_all((SMOKE_TEST / "job.yaml").read_text())]
    (part,) = job["spec"]["template"]["spec"]["containers"]
    shutil.copytree(SMOKE_TEST, tmp_path / "script")
    (tmp_path / "token").mkdir()
    (tmp_path / "token" / "token").write_text("t")
    (tmp_path / "tmp").mkdir()
    mounts = [
        {
            "destination": mount["mountPath"],
            "type": "bind",
            "source": str(tmp_path / mount["name"]),
            "options": ["bind", "rw" if mount["name"] == "tmp" else "ro"],
        }
        for mount in part["volumeMounts"]
    ]
    os.chown(tmp_path / "tmp", 65532, 65532)
    variables = [f"{variable['name']}={variable['value']}" for variable in part["env"]]
    ran = run(*container, part["command"], variables=variables, mounts=mounts)
    assert ran.returncode == 6, ran.stdout + ran.stderr  # unreachable
    assert ran.stdout == "removing what interrupted runs have left\n"
    assert "Traceback" not in ran.stderr


def test_everything_that_the_programs_import_was_compiled(
    container: tuple[Path, dict[str, Any]],
) -> None:
    """Otherwise each start would compile it again."""
    script = """
import os, sys
import aichat_workspace.operator.main, aichat_workspace.api.server
files = [getattr(module, "__cached__", None) for module in sys.modules.values()]
print(len(files) > 500, [file for file in files if file and not os.path.exists(file)])
"""
    ran = run(*container, ["python3", "-c", script])
    assert ran.stdout == "True []\n", ran.stdout + ran.stderr


def test_the_other_architectures_image_has_programs_for_it_only(
    built: Path, tmp_path: Path
) -> None:
    root, config = unpack(built / f"{NAME}-{VERSION}-arm64.oci.tar", tmp_path / "arm64")
    assert config["architecture"] == "arm64"
    heads = [head_of(path) for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    heads = [head for head in heads if head.startswith(b"\x7fELF")]
    assert len(heads) > 50
    assert {int.from_bytes(head[18:20], "little") for head in heads} == {0xB7}


def test_the_archive_for_pushing_has_both_platforms(built: Path) -> None:
    archive = built / f"{NAME}-{VERSION}.oci.tar"
    entry = index(archive)
    assert entry["annotations"]["io.containerd.image.name"] == f"{IMAGE}:v{VERSION}"
    content = blobs(archive)
    manifests = json.loads(content[entry["digest"]])["manifests"]
    assert [manifest["platform"]["architecture"] for manifest in manifests] == ["amd64", "arm64"]
    for manifest in manifests:
        architecture = manifest["platform"]["architecture"]
        single = index(built / f"{NAME}-{VERSION}-{architecture}.oci.tar")
        assert single["digest"] == manifest["digest"]
        bill = json.loads((built / f"{NAME}-{VERSION}-{architecture}.cdx.json").read_text())
        (digest,) = bill["metadata"]["component"]["hashes"]
        assert f"sha256:{digest['content']}" == manifest["digest"]
        for layer in json.loads(content[manifest["digest"]])["layers"]:
            assert len(content[layer["digest"]]) == layer["size"]


def test_install_yaml_has_all_objects_and_names_the_image_by_digest(built: Path) -> None:
    objects = [*yaml.safe_load_all((built / "install.yaml").read_text())]
    rendered = command("kubectl", "kustomize", "config/default", folder=ROOT)
    kinds = [(entry["kind"], entry["metadata"]["name"]) for entry in objects]
    assert kinds == [
        (entry["kind"], entry["metadata"]["name"]) for entry in yaml.safe_load_all(rendered)
    ]
    digest = index(built / f"{NAME}-{VERSION}.oci.tar")["digest"]
    images = set(
        re.findall(r"^ +image: (\S+)$", (built / "install.yaml").read_text(), re.MULTILINE)
    )
    assert images == {f"{IMAGE}@{digest}"}


def test_helm_accepts_the_chart_and_gets_the_same_image_from_it(built: Path) -> None:
    helm = binaries.ensure(binaries.HELM, silent) / "helm"
    chart = built / f"{NAME}-{VERSION}.tgz"
    command(helm, "lint", "--strict", chart, folder=built)
    namespace = "aichat-workspace-operator-system"
    rendered = command(helm, "template", "x", chart, "--namespace", namespace, folder=built)
    digest = index(built / f"{NAME}-{VERSION}.oci.tar")["digest"]
    assert set(re.findall(r'^ +image: "?([^"\s]+)"?$', rendered, re.MULTILINE)) == {
        f"{IMAGE}@{digest}"
    }


def test_the_bill_of_materials_names_what_is_in_the_image(
    built: Path, container: tuple[Path, dict[str, Any]]
) -> None:
    root, _ = container
    content = json.loads((built / f"{NAME}-{VERSION}-amd64.cdx.json").read_text())
    names = {component["name"] for component in content["components"]}
    debian = {path.name for path in (root / "var/lib/dpkg/status.d").iterdir()}
    python = {
        path.name.partition("-")[0].replace("_", "-").replace(".", "-").lower()
        for path in root.rglob("*.dist-info")
    }
    assert len(debian) > 10
    assert len(python) > 40
    assert debian | python == names


def test_a_refused_release_leaves_nothing(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    (folder / "new").touch()
    ran = subprocess.run(
        ["make", "release", f"VERSION={VERSION}", "-o", "setup"],
        cwd=folder,
        env={**os.environ, "PATH": _PATH, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert "commit or remove them" in ran.stderr
    assert not (folder / "build").exists()
