"""Which program is built of which sources."""

import re
from pathlib import Path
from typing import Final

import pytest

from localcluster.build import binaries
from localcluster.build.binaries import KUBERNETES, OTHER_CONTROL_PLANES, GoBinary
from localcluster.errors import CommandFailedError
from localcluster.paths import GO_MODULES

OLDEST: Final = "1.30"
"""By docs/versions.md and the chart."""


@pytest.fixture(autouse=True)
def no_installed_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOCALCLUSTER_PROGRAMS", "KUBEBUILDER_ASSETS", "LOCALCLUSTER_KUBERNETES"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[GoBinary]:
    """What would be built."""
    programs: list[GoBinary] = []

    def ensure_built(binary: GoBinary, _: object) -> Path:
        programs.append(binary)
        return Path()

    monkeypatch.setattr(binaries, "_ensure_built", ensure_built)
    return programs


def test_a_variable_names_the_release_of_control_planes(
    built: list[GoBinary], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_KUBERNETES", OLDEST)
    binaries.ensure_kubernetes(lambda *_: None, full=False)
    binaries.ensure_kubernetes(lambda *_: None, full=True)
    assert built == [OTHER_CONTROL_PLANES[OLDEST], KUBERNETES], "nodes have one release"


@pytest.mark.parametrize("release", ["", "1.36"])
def test_without_it_control_planes_have_the_nodes_release(
    built: list[GoBinary], monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_KUBERNETES", release)
    binaries.ensure_kubernetes(lambda *_: None, full=False)
    assert built == [KUBERNETES]


def test_a_release_that_cannot_be_built_is_an_error_with_those_that_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_KUBERNETES", "1.29")
    with pytest.raises(CommandFailedError, match=r"is '1\.29'; there are: 1\.30.*1\.36"):
        binaries.ensure_kubernetes(lambda *_: None, full=False)


@pytest.mark.parametrize("release", OTHER_CONTROL_PLANES)
def test_a_control_plane_says_the_version_of_its_sources(release: str) -> None:
    binary = OTHER_CONTROL_PLANES[release]
    sources = (GO_MODULES / binary.module / "go.mod").read_text()
    (version,) = re.findall(r"^\tk8s\.io/kubernetes (v\S+)$", sources, re.MULTILINE)
    assert f"gitVersion={version} " in binary.ldflags
    assert version.startswith(f"v{release}.")
    assert f"gitMinor={release.partition('.')[2]}" in binary.ldflags
