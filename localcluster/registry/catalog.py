"""The models that the local registry serves, and every name that one answers to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from localcluster.registry import weights
from localcluster.registry.store import Reference
from localcluster.registry.weights import Weights

# How SmolLM2 was taught to see a conversation.
_CHATML: Final = (
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)


@dataclass(frozen=True)
class Model:
    """A real model under its true name. ``template`` says how Ollama writes a conversation, and
    ``parameters`` how it ends; an embedding model has neither. All are Apache-2.0."""

    name: str
    title: str
    source: str
    weights: Weights
    template: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)


SMOLLM2: Final = Model(
    "smollm2:135m",
    "SmolLM2-135M-Instruct",
    "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
    weights.SMOLLM2,
    _CHATML,
    # A small model may repeat itself without an end.
    {"stop": ["<|im_start|>", "<|im_end|>"], "num_predict": 512},
)
MINILM: Final = Model(
    "all-minilm:latest",
    "all-MiniLM-L6-v2",
    "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    weights.MINILM,
)
MODELS: Final = (SMOLLM2, MINILM)
# What samples, defaults and docs ask for; the weights behind these names are not what they say.
FURTHER_NAMES: Final[Mapping[str, Model]] = {
    "codegemma:2b": SMOLLM2,
    "gemma2:2b": SMOLLM2,
    "llama3.2:1b": SMOLLM2,
    "qwen2.5-coder:1.5b": SMOLLM2,
    "smollm2:latest": SMOLLM2,
    "nomic-embed-text:latest": MINILM,
}
NAMES: Final[Mapping[str, Model]] = {**{model.name: model for model in MODELS}, **FURTHER_NAMES}


def resolve(reference: Reference) -> Reference:
    """The true name of what answers to ``reference``; itself where the catalog has no such name."""
    return _TRUE_NAMES.get(reference, reference)


def report() -> list[dict[str, str]]:
    """What answers to each name, as ``status -o json`` prints it."""
    return [
        {"name": name, "model": model.name, "weights": model.title} for name, model in NAMES.items()
    ]


_TRUE_NAMES: Final[Mapping[Reference, Reference]] = {
    Reference.parse(name): Reference.parse(model.name) for name, model in NAMES.items()
}
