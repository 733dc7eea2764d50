"""A bundle's parts are had from where its options say."""

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.platform_spec import Images
from aichat_workspace.oci.bundle import Kind, open_bundle
from aichat_workspace.oci.documents import DOCKER_MANIFEST
from localcluster.build.images.oci import Config, write_archive, write_layer
from localcluster.progress import silent
from release.bundle.assembling import Options, assemble
from release.cli import app
from release.errors import ReleaseError
from tests.fakes.registry import FakeRegistry
from tests.unit.oci.bundles import single

OPERATOR = f"docker.io/library/{names.OPERATOR}:v1.2.3"


class Serving(BaseHTTPRequestHandler):
    """A fake registry on loopback."""

    def __init__(self, fake: FakeRegistry, *arguments: Any) -> None:
        self.fake = fake
        super().__init__(*arguments)

    def do_GET(self) -> None:
        response = self.fake.handle_request(httpx2.Request("GET", f"http://any{self.path}"))
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.read())

    def log_message(self, *arguments: Any) -> None:
        del arguments


@pytest.fixture
def models() -> Iterator[tuple[str, FakeRegistry]]:
    """A registry of models by its URL."""
    fake = FakeRegistry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Serving, fake))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", fake
    server.shutdown()
    server.server_close()


def add_model(fake: FakeRegistry, repository: str, tag: str) -> str:
    model = single([b"weights"], b"config", DOCKER_MANIFEST)
    fake.manifests[repository, tag] = (DOCKER_MANIFEST, model.top.content)
    for digest, content in model.blobs.items():
        fake.blobs[repository, digest] = content
    return model.top.descriptor.digest


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "file").write_text("content")
    return write_layer(folder, tmp_path / "layer.tar")


@pytest.fixture
def release(tmp_path: Path, layer: Path) -> Path:
    folder = tmp_path / "release"
    folder.mkdir()
    write_archive(folder / "operator.oci.tar", OPERATOR, [layer], Config(command=("operator",)))
    (folder / "install.yaml").write_text("kind: List\n")
    (folder / "chart.tgz").write_bytes(b"chart")
    return folder


@pytest.fixture
def archives(tmp_path: Path, layer: Path) -> Path:
    folder = tmp_path / "archives"
    folder.mkdir()
    (folder / "other.tar").write_bytes(b"no archive")
    defaults = Images()
    for number, name in enumerate((defaults.ollama, defaults.open_webui)):
        write_archive(folder / f"{number}.tar", name, [layer], Config(command=(name,)))
    return folder


def options(release: Path, **changes: Any) -> Options:
    values: dict[str, Any] = {"version": "1.2.3", "release": release, "models": []}
    return Options(**{**values, "architectures": ["amd64"], **changes})


def test_a_bundle_has_a_release_images_of_a_folder_and_models_of_a_registry(
    release: Path, archives: Path, models: tuple[str, FakeRegistry], tmp_path: Path
) -> None:
    url, fake = models
    add_model(fake, "library/smollm2", "135m")
    add_model(fake, "team/own", "latest")
    wish = options(
        release, images=[str(archives)], models=["smollm2:135m", "team/own"], model_registry=url
    )
    target = tmp_path / "new" / "bundle.tar"
    first = assemble(wish, target, silent)
    with open_bundle(target) as bundle:
        assert [(entry.kind, entry.name) for entry in bundle.entries] == [
            (Kind.OPERATOR, OPERATOR),
            (Kind.IMAGE, Images().ollama),
            (Kind.IMAGE, Images().open_webui),
            (Kind.MODEL, "registry.ollama.ai/library/smollm2:135m"),
            (Kind.MODEL, "registry.ollama.ai/team/own:latest"),
        ]
        assert {*bundle.files} == {"chart.tgz", "install.yaml"}
    assert assemble(wish, target, silent) == first, "the same parts give the same bytes"


def test_images_are_had_from_a_registry_in_place_of_their_own(
    release: Path, models: tuple[str, FakeRegistry], tmp_path: Path
) -> None:
    url, fake = models
    image = single([b"layer"], json.dumps({"os": "linux", "architecture": "amd64"}).encode())
    for repository in ("upstream/ollama/ollama", "upstream/open-webui/open-webui"):
        fake.manifests |= {
            (repository, text.rpartition(":")[2]): (image.top.media_type, image.top.content)
            for text in (Images().ollama, Images().open_webui)
        }
        fake.blobs |= {(repository, digest): content for digest, content in image.blobs.items()}
    assemble(options(release, images=[f"{url}/upstream"]), tmp_path / "bundle.tar", silent)
    assert any("/v2/upstream/ollama/ollama/manifests/" in request for request in fake.requests)


def test_a_folder_that_lacks_an_image_is_named(
    release: Path, archives: Path, tmp_path: Path
) -> None:
    (archives / "1.tar").unlink()
    with pytest.raises(
        ReleaseError, match=rf"no archive of {Images().open_webui}, but of .*ollama"
    ):
        assemble(options(release, images=[str(archives)]), tmp_path / "bundle.tar", silent)


def test_a_release_that_is_missing_or_of_another_version_is_named(
    release: Path, tmp_path: Path
) -> None:
    with pytest.raises(ReleaseError, match=r"run `make release VERSION=1.2.3` first"):
        assemble(options(tmp_path / "nothing"), tmp_path / "bundle.tar", silent)
    with pytest.raises(ReleaseError, match=r"no image .*:v2.0.0, but .*:v1.2.3"):
        assemble(options(release, version="2.0.0"), tmp_path / "bundle.tar", silent)


def test_two_registries_for_images_are_refused(release: Path, tmp_path: Path) -> None:
    wish = options(release, images=["a.example.org", "b.example.org/x"])
    with pytest.raises(ReleaseError, match=r"2 registries \(a.example.org, b.example.org/x\)"):
        assemble(wish, tmp_path / "bundle.tar", silent)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("a b", "MODELS: 'a b' is not a model name"),
        ("absent:1b", "library/absent:1b was not read"),
        (f"smollm2:135m@sha256:{'0' * 64}", "with the digest"),
    ],
)
def test_a_model_that_can_not_be_had_is_named(
    model: str,
    message: str,
    release: Path,
    archives: Path,
    models: tuple[str, FakeRegistry],
    tmp_path: Path,
) -> None:
    url, fake = models
    add_model(fake, "library/smollm2", "135m")
    wish = options(release, images=[str(archives)], models=[model], model_registry=url)
    with pytest.raises(ReleaseError, match=message):
        assemble(wish, tmp_path / "bundle.tar", silent)


def test_a_password_in_a_credential_helper_hinders_nothing_that_is_public(
    release: Path,
    archives: Path,
    models: tuple[str, FakeRegistry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, fake = models
    add_model(fake, "library/smollm2", "135m")
    config = {"auths": {url.removeprefix("http://"): {}}, "credsStore": "desktop"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    reports: list[str] = []
    wish = options(release, images=[str(archives)], models=["smollm2:135m"], model_registry=url)
    assemble(wish, tmp_path / "bundle.tar", lambda _, text: reports.append(text))
    assert any("helper desktop; going on without a login" in text for text in reports)
    fake.refuse = lambda _: httpx2.Response(401)
    with pytest.raises(ReleaseError, match=r"status 401; log in with `docker login 127.0.0.1:"):
        assemble(wish, tmp_path / "bundle.tar", silent)


def test_a_model_with_its_digest_is_taken(
    release: Path, archives: Path, models: tuple[str, FakeRegistry], tmp_path: Path
) -> None:
    url, fake = models
    digest = add_model(fake, "library/smollm2", "135m")
    wish = options(
        release, images=[str(archives)], models=[f"smollm2:135m@{digest}"], model_registry=url
    )
    assemble(wish, tmp_path / "bundle.tar", silent)


def test_the_command_writes_the_bundle_and_its_checksum(
    release: Path, archives: Path, models: tuple[str, FakeRegistry], tmp_path: Path
) -> None:
    url, fake = models
    add_model(fake, "library/smollm2", "135m")
    command = ["bundle", "1.2.3", "--models", "smollm2:135m,", "--model-registry", url]
    command += ["--images", str(archives), "--architectures", "amd64"]
    command += ["--release", str(release), "--target", str(tmp_path / "bundle")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    name = "aichat-workspace-bundle-1.2.3.tar"
    checksum = (tmp_path / "bundle" / f"{name}.sha256").read_text()
    content = (tmp_path / "bundle" / name).read_bytes()
    assert checksum == f"{hashlib.sha256(content).hexdigest()}  {name}\n"
