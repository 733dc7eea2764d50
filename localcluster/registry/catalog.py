"""The models of the local registry, and all names of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from localcluster.registry import weights
from localcluster.registry.store import ImageReference
from localcluster.registry.weights import Weights

# The format of conversations that SmolLM2 was trained with.
_CHATML: Final = (
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)


@dataclass(frozen=True)
class Model:
    """A real model under its true name; all are Apache-2.0."""

    name: str
    """Its name in Ollama."""
    title: str
    """Its name at its makers'."""
    source: str
    """Its makers' page."""
    weights: Weights
    """Its files."""
    template: str = ""
    """How Ollama formats a conversation; empty for an embedding model."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """When Ollama ends an answer; empty for an embedding model."""


SMOLLM2: Final = Model(
    "smollm2:135m",
    "SmolLM2-135M-Instruct",
    "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
    weights.SMOLLM2,
    _CHATML,
    # A small model may repeat itself endlessly.
    {"stop": ["<|im_start|>", "<|im_end|>"], "num_predict": 512},
)
MINILM: Final = Model(
    "all-minilm:latest",
    "all-MiniLM-L6-v2",
    "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    weights.MINILM,
)
MODELS: Final = (SMOLLM2, MINILM)
# Names in samples, defaults and docs, which stand for other weights here.
FURTHER_NAMES: Final[Mapping[str, Model]] = {
    "codegemma:2b": SMOLLM2,
    "gemma2:2b": SMOLLM2,
    "llama3.2:1b": SMOLLM2,
    "qwen2.5-coder:1.5b": SMOLLM2,
    "smollm2:latest": SMOLLM2,
    "nomic-embed-text:latest": MINILM,
}
NAMES: Final[Mapping[str, Model]] = {**{model.name: model for model in MODELS}, **FURTHER_NAMES}


def resolve(reference: ImageReference) -> ImageReference:
    """Return the true name of a model, or ``reference`` itself if the catalog lacks it."""
    return _TRUE_NAMES.get(reference, reference)


def report() -> list[dict[str, str]]:
    """Return the model and weights of each name, as ``status -o json`` prints them."""
    return [
        {"name": name, "model": model.name, "weights": model.title} for name, model in NAMES.items()
    ]


_TRUE_NAMES: Final[Mapping[ImageReference, ImageReference]] = {
    ImageReference.parse(name): ImageReference.parse(model.name) for name, model in NAMES.items()
}
