"""The versions that the local node runs: the defaults in the product's file."""

import tomllib
from typing import Final

from localcluster.paths import PROJECT

FILE: Final = PROJECT / "src" / "aichat_workspace" / "domain" / "versions.toml"
_VERSIONS: Final = tomllib.loads(FILE.read_text("utf-8"))

OLLAMA: Final[str] = _VERSIONS["ollama"]
OPEN_WEBUI: Final[str] = _VERSIONS["open-webui"]
LLAMA_CPP: Final[str] = _VERSIONS["llama-cpp"]
