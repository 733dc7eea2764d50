"""Generate the page of the API's operations from its OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aichat_workspace.documentation.markdown import GENERATED, table

_INTRODUCTION: Final = """# API: operations

Every operation with its parameters. [The API](api.md) has an example of each use, problems and
settings; [openapi.json](openapi.json) has the schemas, for programs that write clients."""
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def page(document: Mapping[str, Any]) -> str:
    """Return the page as Markdown; `document` is the API's OpenAPI document."""
    return "\n".join((*_lines(document), ""))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield from (GENERATED, _INTRODUCTION)
    operations = [
        (f"{method.upper()} {path}", {**operation, "shared": item.get("parameters", [])})
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    ]
    tags = list(dict.fromkeys(operation["tags"][0] for _, operation in operations))
    for tag in tags:
        yield from ("", f"## {tag[0].upper()}{tag[1:]}")
        for title, operation in operations:
            if operation["tags"][0] == tag:
                yield from _operation(title, operation, document)


def _operation(
    title: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[str]:
    yield from ("", f"### {operation['summary']}", "", f"`{title}` (`{operation['operationId']}`)")
    if description := operation.get("description"):
        yield from ("", description)
    parameters = [
        _resolved(parameter, document)
        for parameter in (*operation["shared"], *operation.get("parameters", []))
    ]
    if parameters:
        yield ""
        yield from table(("parameter", "in", "meaning"), map(_parameter, parameters))
    if body := operation.get("requestBody"):
        content = _resolved(body, document)["content"]
        yield from ("", f"Body: {', '.join(f'`{media}`' for media in content)}.")
    yield from ("", f"Answers: {', '.join(sorted(operation['responses']))}.")


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str]:
    required = " (required)" if parameter.get("required") and parameter["in"] != "path" else ""
    meaning = parameter.get("description") or parameter.get("schema", {}).get("description") or ""
    return f"`{parameter['name']}`{required}", parameter["in"], " ".join(meaning.split())


def _resolved(node: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    """Follow a reference within the document."""
    while reference := node.get("$ref"):
        node = document
        for part in str(reference).removeprefix("#/").split("/"):
            node = node[part]
    return node
