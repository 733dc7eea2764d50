"""How a release is pushed and signed, with programs of our own in place of the real ones."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from localcluster.build.images.oci import (
    Config,
    PlatformImage,
    compress_layer,
    write_images,
    write_layer,
)

ROOT: Final = Path(__file__).parents[2]
NAME: Final = "aichat-workspace-operator"
IMAGE: Final = "registry.example.org/owner/aichat-workspace-operator"
CHART: Final = f"sha256:{'c' * 64}"


class Publication:
    """A copy of the script beside a release of a few files, and programs that write down calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "build" / "release"
        self.files.mkdir(parents=True)
        (folder / "hack").mkdir()
        shutil.copy(ROOT / "hack" / "publish", folder / "hack" / "publish")
        (folder / "root").mkdir()
        plain = write_layer(folder / "root", folder / "layer.tar")
        layer = compress_layer(plain, folder / "layer.tar.gz")
        images = {
            architecture: PlatformImage((layer,), Config(architecture=architecture))
            for architecture in ("amd64", "arm64")
        }
        name = f"{IMAGE}:v1.2.3"
        self.manifests = {
            architecture: write_images(folder / f"{architecture}.tar", name, [image]).digest
            for architecture, image in images.items()
        }
        archive = self.files / f"{NAME}-1.2.3.oci.tar"
        self.digest = write_images(archive, name, [*images.values()]).digest
        for name in (f"{NAME}-1.2.3.tgz", "CHANGES.md"):
            (self.files / name).write_text(name)
        (self.files / "provenance.intoto.json").write_text('{"_type": "", "predicate": {"a": 1}}')
        self.write_sums()
        self.git("init", "--quiet")
        self.commit()
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")
        self.chart_says = f"Digest: {CHART}"

    def write_sums(self) -> None:
        sums = (
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
            for path in sorted(self.files.iterdir())
        )
        (self.files / "SHA256SUMS").write_text("".join(sums))

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", self.folder, *identity, *arguments], check=True)

    def commit(self) -> None:
        self.git("commit", "--quiet", "--allow-empty", "--no-gpg-sign", "--message", "a change")

    def run(self) -> "subprocess.CompletedProcess[str]":
        programs = self.folder / "programs"
        programs.mkdir()
        for name in ("cosign", "skopeo", "helm", "gh"):
            says = f"echo 'Pushed: it'; echo '{self.chart_says}' >&2" if name == "helm" else "true"
            (programs / name).write_text(
                f'#!/bin/sh\necho "{name} $*" >>{self.folder}/log\n'
                f'case "$*" in\n  *--password-stdin*) cat >>{self.folder}/passwords ;;\n'
                f'  *"--predicate - "*) cat >>{self.folder}/predicates ;;\n'
                f"  push*) {says} ;;\nesac\n"
            )
            (programs / name).chmod(0o755)
        return subprocess.run(
            [self.folder / "hack" / "publish"],
            env={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "VERSION": "1.2.3",
                "IMAGE": IMAGE,
                "REGISTRY_USER": "someone",
                "REGISTRY_PASSWORD": "secret",
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def calls(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def publication(tmp_path: Path) -> Publication:
    return Publication(tmp_path)


def test_image_and_chart_are_pushed_before_they_are_signed_by_their_digests(
    publication: Publication,
) -> None:
    ran = publication.run()
    assert ran.returncode == 0, ran.stderr
    calls = publication.calls()
    signed = [call.split()[-1] for call in calls if call.startswith("cosign sign --yes")]
    chart = f"registry.example.org/owner/charts/{NAME}@{CHART}"
    assert signed == [f"{IMAGE}@{publication.digest}", chart]
    pushed = [call.split()[0] for call in calls if " copy " in call or " push " in call]
    assert pushed == ["skopeo", "helm"]
    order = [call.split()[0] for call in calls if "login" not in call]
    assert order.index("skopeo") < order.index("cosign") < order.index("helm") < order.index("gh")


def test_each_platform_has_its_own_bill_of_materials_and_the_image_its_provenance(
    publication: Publication,
) -> None:
    ran = publication.run()
    assert ran.returncode == 0, ran.stderr
    attested = [
        call.removeprefix("cosign attest --yes --type ")
        for call in publication.calls()
        if call.startswith("cosign attest ")
    ]
    assert attested == [
        *(
            f"cyclonedx --predicate {NAME}-1.2.3-{architecture}.cdx.json {IMAGE}@{manifest}"
            for architecture, manifest in publication.manifests.items()
        ),
        f"slsaprovenance1 --predicate - {IMAGE}@{publication.digest}",
    ]
    assert (publication.folder / "predicates").read_text() == '{"a": 1}\n'


def test_all_files_and_signatures_are_on_the_page_of_the_release(publication: Publication) -> None:
    publication.run()
    call = publication.calls()[-1]
    assert call.startswith("gh release create v1.2.3 --verify-tag")
    assert {"SHA256SUMS", f"{NAME}-1.2.3.tgz", "provenance.intoto.json"} <= {*call.split()}


def test_no_password_is_an_argument(publication: Publication) -> None:
    publication.run()
    assert not [call for call in publication.calls() if "secret" in call]
    assert (publication.folder / "passwords").read_text() == "secret\n" * 3


def test_nothing_is_pushed_of_a_release_that_was_changed(publication: Publication) -> None:
    (publication.files / "CHANGES.md").write_text("something else")
    ran = publication.run()
    assert ran.returncode != 0
    assert "CHANGES.md" in ran.stdout + ran.stderr
    assert publication.calls() == []


def test_nothing_is_pushed_of_a_commit_that_is_not_on_main(publication: Publication) -> None:
    publication.commit()
    ran = publication.run()
    assert ran.returncode == 1
    assert "is not on main: merge it" in ran.stderr
    assert publication.calls() == []


def test_a_commit_that_main_has_passed_is_released(publication: Publication) -> None:
    publication.commit()
    publication.git("update-ref", "refs/remotes/origin/main", "HEAD")
    publication.git("reset", "--quiet", "--soft", "HEAD~1")
    assert publication.run().returncode == 0


def test_a_chart_without_a_digest_is_not_taken_for_signed(publication: Publication) -> None:
    publication.chart_says = "Digest: none"
    ran = publication.run()
    assert ran.returncode == 1
    assert "can't be signed" in ran.stderr
    assert not [call for call in publication.calls() if call.startswith("gh ")]
