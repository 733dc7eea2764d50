"""Well-known models, with what there is to know before a download.

Sizes and capabilities are those of the pages at https://ollama.com/library, as listed by
https://github.com/Jeffser/Alpaca/blob/d1577de/src/ollama_models.py; the sizes are rounded there.
Context lengths are those of the models' own configuration, as listed by
https://inference.readthedocs.io/en/latest/models/builtin/llm/index.html and, for embeddings, by
`ollama show`. Licences are those of the authors' model cards. All were looked up on CHECKED. A tag
may move: what a model server lists of a model that it has goes before what is written here.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aichat_workspace.domain.models.name import model_key, parse_model

CHECKED: Final = "2026-11-30"
_MB: Final = 10**6
_GB: Final = 10**9
_128K: Final = 131_072
_256K: Final = 262_144
_APACHE: Final = "Apache-2.0"
_GEMMA: Final = "Gemma Terms of Use"


class Capability(StrEnum):
    """What a model can do, in Ollama's words."""

    COMPLETION = "completion"
    TOOLS = "tools"
    VISION = "vision"
    THINKING = "thinking"
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A well-known model of Ollama's library."""

    name: str
    """As Ollama lists it."""
    size_bytes: int
    """About so many bytes to download."""
    context_length: int
    """Tokens of the longest context that it was made for."""
    licence: str
    """As SPDX names it, or else its own name."""
    capabilities: tuple[Capability, ...]

    @property
    def source(self) -> str:
        """Its page in Ollama's library."""
        return f"https://ollama.com/library/{parse_model(self.name).name}"


_CHAT: Final = (Capability.COMPLETION,)
_TOOLS: Final = (Capability.COMPLETION, Capability.TOOLS)
_VISION: Final = (Capability.COMPLETION, Capability.VISION)
_THINKS: Final = (Capability.COMPLETION, Capability.TOOLS, Capability.THINKING)
_ALL: Final = (Capability.COMPLETION, Capability.TOOLS, Capability.VISION, Capability.THINKING)
_EMBEDS: Final = (Capability.EMBEDDING,)

KNOWN_MODELS: Final = (
    KnownModel("all-minilm:latest", 46 * _MB, 512, _APACHE, _EMBEDS),
    KnownModel("bge-m3:latest", 1_200 * _MB, 8_192, "MIT", _EMBEDS),
    KnownModel("deepseek-r1:8b", 5_200 * _MB, _128K, "MIT", _THINKS),
    KnownModel("gemma2:2b", 1_600 * _MB, 8_192, _GEMMA, _CHAT),
    KnownModel("gemma3:1b", 815 * _MB, 32_768, _GEMMA, _CHAT),
    KnownModel("gemma3:4b", 3_300 * _MB, _128K, _GEMMA, _VISION),
    KnownModel("gemma3:12b", 8_100 * _MB, _128K, _GEMMA, _VISION),
    KnownModel("gemma3:27b", 17 * _GB, _128K, _GEMMA, _VISION),
    KnownModel("gpt-oss:20b", 14 * _GB, _128K, _APACHE, _THINKS),
    KnownModel("llama3.1:8b", 4_900 * _MB, _128K, "Llama 3.1 Community License", _TOOLS),
    KnownModel("llama3.2:1b", 1_300 * _MB, _128K, "Llama 3.2 Community License", _TOOLS),
    KnownModel("llama3.2:3b", 2 * _GB, _128K, "Llama 3.2 Community License", _TOOLS),
    KnownModel("llama3.3:70b", 43 * _GB, _128K, "Llama 3.3 Community License", _TOOLS),
    KnownModel("mistral:7b", 4_400 * _MB, 32_768, _APACHE, _TOOLS),
    KnownModel("mxbai-embed-large:latest", 670 * _MB, 512, _APACHE, _EMBEDS),
    KnownModel("nomic-embed-text:latest", 274 * _MB, 2_048, _APACHE, _EMBEDS),
    KnownModel("phi4:14b", 9_100 * _MB, 16_384, "MIT", _CHAT),
    KnownModel("qwen2.5-coder:1.5b", 986 * _MB, 32_768, _APACHE, _TOOLS),
    KnownModel("qwen2.5-coder:7b", 4_700 * _MB, 32_768, _APACHE, _TOOLS),
    KnownModel("qwen3:0.6b", 523 * _MB, 40_960, _APACHE, _THINKS),
    KnownModel("qwen3:1.7b", 1_400 * _MB, 40_960, _APACHE, _THINKS),
    KnownModel("qwen3:8b", 5_200 * _MB, 40_960, _APACHE, _THINKS),
    KnownModel("qwen3:14b", 9_300 * _MB, 40_960, _APACHE, _THINKS),
    KnownModel("qwen3:32b", 20 * _GB, 40_960, _APACHE, _THINKS),
    KnownModel("qwen3-coder:30b", 19 * _GB, _256K, _APACHE, _TOOLS),
    KnownModel("qwen3-vl:8b", 6_100 * _MB, _256K, _APACHE, _ALL),
)

KNOWN_BY_KEY: Final = {model_key(model.name): model for model in KNOWN_MODELS}
"""The well-known models by what Ollama takes for the same name."""
