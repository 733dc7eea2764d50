"""Model names in Ollama's grammar."""

import re
from dataclasses import dataclass
from typing import Final

# [host[:port]/][namespace/]name[:tag], as Ollama's types/model/name.go reads it, and a digest.
_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
_NAMESPACE: Final = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"
_DIGEST: Final = "sha256:[a-f0-9]{64}"
_HOST: Final = r"[A-Za-z0-9][A-Za-z0-9.-]*"
PORT_PATTERN: Final = (
    r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
)
MODEL_NAME_PATTERN: Final = (
    rf"^(({_HOST}(:({PORT_PATTERN}))?/)?{_NAMESPACE}/)?{_PART}(:{_PART})?(@{_DIGEST})?$"
)
MODEL_NAME_MAX_LENGTH: Final = 272

DEFAULT_REGISTRY: Final = "registry.ollama.ai"
_DEFAULT_NAMESPACE: Final = "library"
DEFAULT_TAG: Final = "latest"
_PARTS: Final = re.compile(
    rf"(?:(?:(?P<host>{_HOST})(?::(?P<port>{PORT_PATTERN}))?/)?(?P<namespace>{_NAMESPACE})/)?"
    rf"(?P<name>{_PART})(?::(?P<tag>{_PART}))?"
    rf"(?:@(?P<digest>{_DIGEST}))?"
)


class InvalidModelNameError(Exception):
    """A text is not a model name in Ollama's grammar. The message says how to write one."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model's full name; `str` gives it as Ollama lists it, without default parts.

    Ollama compares names without case, the default parts too; compare their keys.
    """

    name: str
    tag: str = DEFAULT_TAG
    namespace: str = _DEFAULT_NAMESPACE
    host: str = DEFAULT_REGISTRY
    port: int | None = None
    digest: str = ""
    """The digest that the model must have, as Ollama lists it; empty for any."""

    @property
    def is_hosted(self) -> bool:
        """Whether Ollama sends its prompts to ollama.com instead of running it."""
        tag = self.tag.lower()
        return tag == "cloud" or tag.endswith("-cloud")

    @property
    def registry(self) -> str:
        """The registry that it comes from, as host or host:port, in lower case."""
        return self._registry.lower()

    @property
    def _registry(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host

    def __str__(self) -> str:
        short = f"{self.name}:{self.tag}"
        if self.registry != DEFAULT_REGISTRY:
            return f"{self._registry}/{self.namespace}/{short}"
        if self.namespace.lower() != _DEFAULT_NAMESPACE:
            return f"{self.namespace}/{short}"
        return short


def model_key(listed: str) -> str:
    """Return what two listed names have in common if Ollama takes them for the same model."""
    return listed.lower()


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
        host=parts["host"] or DEFAULT_REGISTRY,
        port=int(parts["port"]) if parts["port"] else None,
        digest=(parts["digest"] or "").removeprefix("sha256:"),
    )
