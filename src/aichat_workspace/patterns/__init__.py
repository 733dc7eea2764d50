"""The built-in patterns: named system prompts, one text file each."""

from collections.abc import Mapping
from importlib.resources import files


def builtin() -> Mapping[str, str]:
    """Every built-in system prompt by its pattern's name."""
    prompts = (each for each in files(__name__).iterdir() if each.name.endswith(".md"))
    return {
        each.name.removesuffix(".md"): each.read_text(encoding="utf-8").strip()
        for each in sorted(prompts, key=lambda each: each.name)
    }
