"""A bundle's models in a plain registry, and the real Ollama that pulls them from there."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.foundation.image_names import ImageName
from aichat_workspace.oci.address import parse_address
from aichat_workspace.oci.bundle import Kind, open_bundle
from aichat_workspace.oci.client import Registry, connect
from aichat_workspace.oci.documents import MANIFESTS
from localcluster.build.images.ollama import ensure_ollama
from localcluster.ports import free_port
from localcluster.progress import silent
from localcluster.registry.making import ensure_models
from localcluster.registry.server import application
from localcluster.registry.store import Store
from release.bundle.collection import collect
from release.bundle.sources import RegistrySource
from release.bundle.writing import write
from tests.command_line import run
from tests.contracts.registry import RegistryContract
from tests.plain_registry import LOCATION, download, running
from tests.served import served
from tests.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return download(tmp_path_factory.mktemp("registry") / "program")


class TestPlainRegistry(RegistryContract):
    """The fake and the local node's do the same: tests/unit/fakes."""

    @pytest.fixture
    def registry(self, program: Path, tmp_path: Path) -> Iterator[Registry]:
        address = f"127.0.0.1:{free_port()}"
        with (
            running(program, tmp_path / "registry", address, LOCATION),
            connect(parse_address(f"http://{address}")) as registry,
        ):
            yield registry


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of SmolLM2, taken from the local node's registry."""
    folder = tmp_path_factory.mktemp("bundle")
    store = Store(folder / "pushed", ensure_models(silent))
    target = folder / "bundle.tar"
    with (
        served(application(store, "localhost", "")) as port,
        connect(parse_address(f"http://127.0.0.1:{port}")) as registry,
    ):
        name = ImageName("registry.ollama.ai", "library/smollm2", "135m")
        item = collect(Kind.MODEL, str(name), RegistrySource(registry, name), ())
        write(target, "1.2.3", [item], {}, lambda _done, _total: None)
    return target


def test_the_bundle_has_the_models_manifest_as_ollamas_registry_has_it(bundle: Path) -> None:
    with open_bundle(bundle) as opened:
        (entry,) = opened.entries
        assert entry.descriptor.media_type in MANIFESTS
        types = {part.media_type for part in opened.blobs(entry).values()}
        assert "application/vnd.ollama.image.model" in types


@pytest.fixture
def ollama(tmp_path: Path) -> Iterator[str]:
    """An Ollama without models: what one has is not pulled for another."""
    folder = tmp_path / "ollama"
    folder.mkdir()
    address = f"127.0.0.1:{free_port()}"
    environment = {"OLLAMA_HOST": address, "OLLAMA_MODELS": str(folder), "HOME": str(folder)}
    with (folder / "log").open("wb") as out:
        server = subprocess.Popen(
            [ensure_ollama(silent) / "bin" / "ollama", "serve"],
            env={**os.environ, **environment},
            stdout=out,
            stderr=out,
        )
    try:
        eventually(lambda: _is_up(address), "Ollama answers", 120, (folder / "log").read_text)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(timeout=30)


def _is_up(address: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{address}/api/version", timeout=5).close()
    except OSError:
        return False
    return True


def post(url: str, body: object) -> list[Any]:
    request = urllib.request.Request(url, json.dumps(body).encode())  # noqa: S310
    with urllib.request.urlopen(request, timeout=240) as answer:  # noqa: S310
        return [json.loads(line) for line in answer]


def test_ollama_pulls_from_a_plain_registry_with_one_more_header_and_the_model_answers(
    bundle: Path, program: Path, ollama: str, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    model = f"{address}/library/smollm2:135m"
    with running(program, tmp_path / "with", address, LOCATION):
        loaded = run("bundle", "load", bundle, f"http://{address}")
        assert loaded.exit_code == 0, loaded.stderr
        events = post(f"{ollama}/api/pull", {"model": model, "insecure": True})
        assert events[-1] == {"status": "success"}
    question = [{"role": "user", "content": "What is the capital of France?"}]
    options = {"temperature": 0, "seed": 1, "num_predict": 60}
    body = {"model": model, "messages": question, "stream": False, "options": options}
    (reply,) = post(f"{ollama}/api/chat", body)
    assert "Paris" in reply["message"]["content"]


def test_without_it_the_load_says_what_ollama_will(
    bundle: Path, program: Path, ollama: str, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    model = f"{address}/library/smollm2:135m"
    with running(program, tmp_path / "without", address, {}):
        loaded = run("bundle", "load", bundle, f"http://{address}")
        assert loaded.exit_code == 1
        assert "without the header Location" in " ".join(loaded.stderr.split())
        events = post(f"{ollama}/api/pull", {"model": model, "insecure": True})
    assert "no Location header" in events[-1]["error"]
