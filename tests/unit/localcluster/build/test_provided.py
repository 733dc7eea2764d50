"""The machine's own programs are used if their versions fit."""

from pathlib import Path

import pytest

from localcluster.build import binaries
from localcluster.build.provided import Program, provided_folder

ETCD = Program("etcd", "3.6")
SERVER = Program("kube-apiserver", "1.36")


def write_program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder as envtest makes it, which envtest's variable names."""
    write_program(tmp_path, "etcd", "echo 'etcd Version: 3.6.8'")
    write_program(tmp_path, "kube-apiserver", "echo 'Kubernetes v1.36.11'")
    monkeypatch.delenv("LOCALCLUSTER_PROGRAMS", raising=False)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    return tmp_path


@pytest.fixture
def messages() -> list[str]:
    return []


def test_a_folder_whose_programs_all_fit_is_used(folder: Path, messages: list[str]) -> None:
    assert (
        provided_folder((ETCD, SERVER), lambda *parts: messages.append(": ".join(parts))) == folder
    )
    assert messages == [f"etcd: used from {folder}, not compiled"]


@pytest.mark.parametrize(
    ("name", "script", "problem"),
    [
        ("kube-apiserver", "echo Kubernetes v1.35.1", "it is 1.35.1, and 1.36 is needed"),
        ("kube-apiserver", "echo Kubernetes v1.3.6", "it is 1.3.6, and 1.36 is needed"),
        ("etcd", "echo unknown flag", "it says no version when it is called with --version"),
    ],
    ids=["another-release", "a-release-that-begins-alike", "no-version"],
)
def test_a_program_that_does_not_fit_is_named_and_none_is_used(
    folder: Path, messages: list[str], name: str, script: str, problem: str
) -> None:
    write_program(folder, name, script)
    assert provided_folder((ETCD, SERVER), lambda *parts: messages.append(": ".join(parts))) is None
    assert messages == [f"{name}: not used from {folder}: {problem}"]


def test_a_program_that_is_missing_is_named(folder: Path, messages: list[str]) -> None:
    programs = (ETCD, Program("kubelet", "1.36"))
    assert provided_folder(programs, lambda *parts: messages.append(": ".join(parts))) is None
    assert messages == [f"kubelet: not used from {folder}: it is not there"]


def test_a_program_of_another_machine_is_named(folder: Path, messages: list[str]) -> None:
    (folder / "etcd").write_bytes(b"\x7fELF")
    assert provided_folder((ETCD,), lambda *parts: messages.append(": ".join(parts))) is None
    assert messages == [f"etcd: not used from {folder}: it does not run: Exec format error"]


def test_our_own_variable_has_precedence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_program(other, "etcd", "echo 'etcd Version: 3.6.9'")
    monkeypatch.setenv("LOCALCLUSTER_PROGRAMS", str(other))
    assert provided_folder((ETCD,), lambda *_: None) == other
    assert folder != other


def test_without_a_folder_nothing_is_reported(
    messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCALCLUSTER_PROGRAMS", raising=False)
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    assert provided_folder((ETCD,), lambda *parts: messages.append(": ".join(parts))) is None
    assert messages == []


def test_a_control_plane_is_not_compiled_if_its_three_programs_fit(folder: Path) -> None:
    write_program(folder, "kube-controller-manager", "echo 'Kubernetes v1.36.0'")
    assert binaries.ensure_kubernetes(lambda *_: None, full=False) == folder
