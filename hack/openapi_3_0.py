"""Write the OpenAPI document in version 3.0, for generators that know no later one.

    python hack/openapi_3_0.py docs/openapi.json build/openapi-3.0.json

https://www.openapis.org/blog/2021/02/16/migrating-from-openapi-3-0-to-3-1-0 lists the differences.
"""

import json
import sys
from pathlib import Path
from typing import Any

NULL = {"type": "null"}


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    document = older(json.loads(source.read_text()))
    document["openapi"] = "3.0.3"
    del document["info"]["license"]["identifier"]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document))


def older(node: Any) -> Any:
    """Return the node in the words of version 3.0."""
    if isinstance(node, list):
        return [older(child) for child in node]
    if not isinstance(node, dict):
        return node
    words = {key: older(child) for key, child in node.items()}
    return _with_one_value(_without_patterns(_with_old_bounds(_with_one_example(_nullable(words)))))


def _nullable(words: dict[str, Any]) -> dict[str, Any]:
    kinds = words.get("anyOf")
    if not isinstance(kinds, list) or NULL not in kinds:
        return words
    rest = [kind for kind in kinds if kind != NULL]
    outer = {key: value for key, value in words.items() if key != "anyOf"}
    if len(rest) == 1 and "$ref" not in rest[0]:
        return {**rest[0], **outer, "nullable": True}
    return {**outer, "allOf" if len(rest) == 1 else "anyOf": rest, "nullable": True}


def _with_one_example(words: dict[str, Any]) -> dict[str, Any]:
    """Schemas had one example; those of media types and parameters are named, and stay."""
    if isinstance(words.get("examples"), list):
        first, *_ = words.pop("examples")
        words["example"] = first
    return words


def _with_old_bounds(words: dict[str, Any]) -> dict[str, Any]:
    for bound in ("Minimum", "Maximum"):
        value = words.get(f"exclusive{bound}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            words |= {bound.lower(): value, f"exclusive{bound}": True}
    return words


def _without_patterns(words: dict[str, Any]) -> dict[str, Any]:
    """Maps have values of one kind, whatever their keys."""
    patterns = words.pop("patternProperties", None)
    if isinstance(patterns, dict):
        (words["additionalProperties"],) = patterns.values()
    return words


def _with_one_value(words: dict[str, Any]) -> dict[str, Any]:
    if "const" in words and not isinstance(words["const"], dict):  # a field may have that name
        words["enum"] = [words.pop("const")]
    return words


if __name__ == "__main__":
    main()
