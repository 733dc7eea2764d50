"""The installed models of a server, as it lists them and shows one of them.

https://github.com/ollama/ollama/blob/main/docs/api.md#list-local-models
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

_MAX_LICENCE_CHARACTERS: Final = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """What a server states of an installed model; None where it does not.

    The list has capabilities, too, but calls models for embeddings ones for chats; `capabilities`
    has the right ones.
    """

    parameters: str | None = None
    quantization: str | None = None
    context_length: int | None = None


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """An installed model."""

    name: str
    digest: str
    size_bytes: int
    modified_seconds: int = 0
    """When it was changed last, in seconds since 1970; 0 where the server does not state it."""
    details: ModelDetails = ModelDetails()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a server states of one installed model when it is asked for it; None where it does not.

    https://github.com/ollama/ollama/blob/main/docs/api.md#show-model-information
    """

    context_length: int | None = None
    """Tokens of the longest context that it was made for."""
    licence: str | None = None
    """By the name in its file, as `apache-2.0`, or else the first line of the licence's text."""


def parse_facts(model: dict[str, Any]) -> ModelFacts:
    """Read a server's answer about one model."""
    info = model.get("model_info")
    known = info if isinstance(info, dict) else {}
    context = known.get(f"{known.get('general.architecture')}.context_length")
    text = _stated(model.get("license"), str) or ""
    lines = (" ".join(line.split()) for line in text.splitlines())
    licence = _stated(known.get("general.license"), str) or next(filter(None, lines), None)
    return ModelFacts(_stated(context, int), licence and licence[:_MAX_LICENCE_CHARACTERS])


def parse_installed_model(model: Any) -> InstalledModel | None:
    """Read an entry of the server's list; None for one that no list has."""
    match model:
        case {"name": str(name), "digest": str(digest), "size": int(size)} if 0 <= size < 2**63:
            modified = _seconds(model.get("modified_at"))
            return InstalledModel(name, digest, size, modified, _details(model))
    return None


def _details(model: dict[str, Any]) -> ModelDetails:
    details = model.get("details")
    known = details if isinstance(details, dict) else {}
    return ModelDetails(
        _stated(known.get("parameter_size"), str),
        _stated(known.get("quantization_level"), str),
        _stated(known.get("context_length"), int),
    )


def _stated(value: Any, kind: type[T]) -> T | None:
    return value if isinstance(value, kind) and value else None


def _seconds(moment: Any) -> int:
    try:
        return max(int(datetime.fromisoformat(moment).timestamp()), 0)
    except (TypeError, ValueError):
        return 0
