"""values.yaml, its schema and the table of values, from the model of the values."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aichat_workspace.chart.values import Values
from aichat_workspace.documentation.markdown import escape
from aichat_workspace.documentation.reference import format_type
from aichat_workspace.domain.v1alpha1.crd import structural

_WIDTH: Final = 100


def defaults() -> dict[str, Any]:
    """Return the default of every value."""
    return Values().model_dump(mode="json", by_alias=True)


def values_yaml() -> str:
    """Return values.yaml, in which each value has its meaning as a comment."""
    return "\n".join(_lines(structural(Values), defaults(), ""))


def schema() -> dict[str, Any]:
    """Return the JSON Schema by which Helm checks values."""
    generated = Values.model_json_schema(by_alias=True)
    # Helm gives each chart the `global` of the chart that includes it.
    generated["properties"]["global"] = {"type": "object"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **generated}


def table() -> list[str]:
    """Return the table of values, as lines of Markdown."""
    head = ["| value | type | default | meaning |", "|---|---|---|---|"]
    return [*head, *_rows(structural(Values), defaults(), "")]


def _lines(node: Mapping[str, Any], values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, field in node["properties"].items():
        comment = textwrap.wrap(field["description"], _WIDTH - len(indent) - 2)
        yield from (f"{indent}# {line}" for line in comment)
        if "properties" in field:
            yield f"{indent}{name}:"
            yield from _lines(field, values[name], f"{indent}  ")
        else:
            yield f"{indent}{name}: {_flow(values[name])}"
        if not indent:
            yield ""


def _rows(node: Mapping[str, Any], values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, field in node["properties"].items():
        path, value = f"{prefix}{name}", values[name]
        if "properties" in field:
            yield from _rows(field, value, f"{path}.")
            continue
        default = "" if value in ("", [], {}) else f"`{_flow(value)}`"
        yield f"| `{path}` | {format_type(field)} | {default} | {escape(field['description'])} |"


def _flow(value: object) -> str:
    """Write a value on one line. JSON is YAML, too."""
    return json.dumps(value, ensure_ascii=False)
