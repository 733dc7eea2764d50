"""Model names in Ollama's grammar."""

import re
from dataclasses import dataclass
from typing import Final

# [host[:port]/][namespace/]name[:tag], as Ollama's types/model/name.go reads it.
_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HOST: Final = r"[A-Za-z0-9][A-Za-z0-9.-]*"
PORT_PATTERN: Final = (
    r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
)
MODEL_NAME_PATTERN: Final = rf"^({_HOST}(:({PORT_PATTERN}))?/)?({_PART}/)?{_PART}(:{_PART})?$"
MODEL_NAME_MAX_LENGTH: Final = 200

_DEFAULT_HOST: Final = "registry.ollama.ai"
_DEFAULT_NAMESPACE: Final = "library"
DEFAULT_TAG: Final = "latest"
_PARTS: Final = re.compile(
    rf"(?:(?P<host>{_HOST})(?::(?P<port>{PORT_PATTERN}))?/)??"
    rf"(?:(?P<namespace>{_PART})/)?(?P<name>{_PART})(?::(?P<tag>{_PART}))?"
)


class InvalidModelNameError(Exception):
    """A text is not a model name in Ollama's grammar. The message says how to write one."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model's full name; `str` gives it as Ollama lists it, without default parts."""

    name: str
    tag: str = DEFAULT_TAG
    namespace: str = _DEFAULT_NAMESPACE
    host: str = _DEFAULT_HOST
    port: int | None = None

    @property
    def registry(self) -> str:
        """The registry that it comes from, as host or host:port."""
        return f"{self.host}:{self.port}" if self.port else self.host

    def __str__(self) -> str:
        short = f"{self.name}:{self.tag}"
        if self.registry != _DEFAULT_HOST:
            return f"{self.registry}/{self.namespace}/{short}"
        return short if self.namespace == _DEFAULT_NAMESPACE else f"{self.namespace}/{short}"


def parse_model(text: str) -> ModelName:
    """Read a model's name. Raises InvalidModelNameError."""
    parts = _PARTS.fullmatch(text) if len(text) <= MODEL_NAME_MAX_LENGTH else None
    if parts is None:
        raise InvalidModelNameError(
            f"{text[:80]!r} is not a model name; write [host[:port]/][namespace/]name[:tag] with "
            "letters, digits, '.', '_' and '-', as in gemma2:2b"
        )
    return ModelName(
        name=parts["name"],
        tag=parts["tag"] or DEFAULT_TAG,
        namespace=parts["namespace"] or _DEFAULT_NAMESPACE,
        host=parts["host"] or _DEFAULT_HOST,
        port=int(parts["port"]) if parts["port"] else None,
    )
