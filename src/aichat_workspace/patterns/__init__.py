"""The built-in patterns: named system prompts, one text file each."""

from collections.abc import Mapping
from importlib.resources import files


def builtin() -> Mapping[str, str]:
    """Return every built-in system prompt by its pattern's name."""
    prompts = (file for file in files(__name__).iterdir() if file.name.endswith(".md"))
    return {
        prompt.name.removesuffix(".md"): prompt.read_text(encoding="utf-8").strip()
        for prompt in sorted(prompts, key=lambda prompt: prompt.name)
    }
