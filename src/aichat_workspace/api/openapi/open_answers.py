"""Closed requests and open answers, in the OpenAPI document.

What a client sends is checked, so its schemas are closed. Answers grow: a later version may add
fields and values, which a strict client would refuse if their schemas were closed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_PREFIX: Final = "#/components/schemas/"
_STORED: Final = "Stored"
Json = dict[str, Any]


def open_answers(document: Json) -> None:
    """Open the schemas of all answers. Of those that requests have too, answers get a copy."""
    schemas: Json = document["components"]["schemas"]
    operations = [what for methods in document["paths"].values() for what in methods.values()]
    requests = _closure(
        schemas, [[what.get("parameters"), what.get("requestBody")] for what in operations]
    )
    responses = [what["responses"] for what in operations]
    answers = _closure(schemas, responses)
    names = {name: f"{_STORED}{name}" if name in requests else name for name in answers}
    opened = {
        names[name]: {**_opened(schemas[name], names), "title": names[name]} for name in answers
    }
    document["components"]["schemas"] = dict(sorted({**schemas, **opened}.items()))
    for what in operations:
        what["responses"] = _opened(what["responses"], names)


def _closure(schemas: Mapping[str, Any], node: Any) -> set[str]:
    """Return the names of all schemas that a part of the document refers to, also by others."""
    names: set[str] = set()
    pending = [*_references(node)]
    while pending:
        name = pending.pop()
        if name not in names:
            names.add(name)
            pending += _references(schemas[name])
    return names


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith(_PREFIX):
            yield reference.removeprefix(_PREFIX)
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _opened(node: Any, names: Mapping[str, str]) -> Any:
    """Return a copy that allows more fields and values, and refers to schemas by new names."""
    if isinstance(node, list):
        return [_opened(child, names) for child in node]
    if not isinstance(node, dict):
        return node
    opened = {key: _opened(child, names) for key, child in node.items()}
    if opened.get("additionalProperties") is False:
        del opened["additionalProperties"]
    reference = opened.get("$ref")
    if isinstance(reference, str) and reference.startswith(_PREFIX):
        opened["$ref"] = f"{_PREFIX}{names[reference.removeprefix(_PREFIX)]}"
    if isinstance(opened.get("enum"), list) and opened.get("type") == "string":
        values = ", ".join(opened.pop("enum"))
        text = opened.get("description", "")
        opened["description"] = f"{text} Known values: {values}; there may be more.".strip()
    return opened
