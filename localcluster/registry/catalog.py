"""The models that the registry offers: stand-ins under real names."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from localcluster.model import container, embedding
from localcluster.model.vocabulary import TEMPLATE
from localcluster.registry.store import Reference, Store

_TYPES: Final = "application/vnd.ollama.image"


@dataclass(frozen=True)
class Entry:
    """One model. ``padding_bytes`` of zeros make its download longer; with ``dimensions`` it is an
    embedding model whose vectors have that length."""

    name: str
    padding_bytes: int = 0
    dimensions: int = 0

    @property
    def reference(self) -> Reference:
        """Where a client finds it."""
        return Reference.parse(self.name)


CATALOG: Final = (
    Entry("gemma2:2b"),
    Entry("llama3.2:1b"),
    Entry("qwen2.5-coder:1.5b"),
    Entry("smollm2:latest"),
    Entry("codegemma:2b"),
    Entry("big:200m", padding_bytes=200_000_000),
    Entry("all-minilm:latest", dimensions=384),
    Entry("nomic-embed-text:latest", dimensions=768),
)


def fill(store: Store, say: Callable[[str], None], entries: tuple[Entry, ...] = CATALOG) -> None:
    """Write the models that the store lacks."""
    for entry in entries:
        manifest = store.manifest(entry.reference)
        if manifest is None or not _complete(store, manifest):
            say(f"writing the stand-in for {entry.name}")
            store.write_manifest(entry.reference, _publish(store, entry))


def _complete(store: Store, manifest: bytes) -> bool:
    content = json.loads(manifest)
    return all(store.blob(each["digest"]) for each in (content["config"], *content["layers"]))


def _publish(store: Store, entry: Entry) -> bytes:
    model: Path = store.upload(secrets.token_hex(8))
    if entry.dimensions:
        embedding.write(model, entry.name, dimensions=entry.dimensions)
    else:
        container.write(model, entry.name, padding_bytes=entry.padding_bytes)
    size = model.stat().st_size
    digest = store.commit(model, None)
    layers = [{"mediaType": f"{_TYPES}.model", "digest": digest, "size": size}]
    if not entry.dimensions:  # and no more: Ollama takes a second for each layer, however small
        layers.append(_layer(store, "template", TEMPLATE.encode()))

    config = _json(_config(layers))
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": store.add(config),
                "size": len(config),
            },
            "layers": layers,
        }
    )


def _layer(store: Store, kind: str, content: bytes) -> dict[str, Any]:
    return {
        "mediaType": f"{_TYPES}.{kind}",
        "digest": store.add(content),
        "size": len(content),
    }


def _config(layers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": "stand-in",
        "file_type": "F32",
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    }


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
