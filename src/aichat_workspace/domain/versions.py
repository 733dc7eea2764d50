"""The versions that workspaces run by default, which are those that the tests run."""

import tomllib
from importlib.resources import files
from typing import Final

_VERSIONS: Final = tomllib.loads(files(__package__).joinpath("versions.toml").read_text("utf-8"))

OLLAMA: Final[str] = _VERSIONS["ollama"]
OPEN_WEBUI: Final[str] = _VERSIONS["open-webui"]
OLLAMA_IMAGE: Final = f"docker.io/ollama/ollama:{OLLAMA}"
OPEN_WEBUI_IMAGE: Final = f"ghcr.io/open-webui/open-webui:v{OPEN_WEBUI}"
