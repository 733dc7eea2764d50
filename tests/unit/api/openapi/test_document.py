"""What the API says of itself: every answer with an example, every field in words."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx2
import jsonschema
import pytest
from fastapi import FastAPI

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.runtime import servers
from tests.unit.api.workspaces.test_service import ApiServer

_EVERYWHERE = {"408", "413", "500"}
_OF_ROUTES = {"401", "403", "422", "429", "503"}
_HEADERS = {
    "401": {"WWW-Authenticate"},
    "415": {"Accept", "Accept-Patch"},
    "429": {"Retry-After"},
    "503": {"Retry-After"},
}


@pytest.fixture
def app() -> FastAPI:
    server = ApiServer()
    settings = Settings.read({}, in_cluster=False)
    services = Services.create(settings, server, servers.by_proxy(server), {})
    return build(services, Metrics(lambda: 0, lambda: 0))


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    found: Any = document
    if "$ref" not in node:
        return node
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    target: dict[str, Any] = found
    return target


def test_every_operation_documents_every_error_with_headers_and_an_example(
    document: dict[str, Any],
) -> None:
    for method, path, operation in operations(document):
        errors = {code for code in operation["responses"] if code >= "400"}
        expected = _EVERYWHERE | (_OF_ROUTES if path.startswith("/api/") else set())
        expected |= {"415"} if method in ("post", "put", "patch") else set()
        assert expected <= errors, (method, path)
        for code in errors:
            answer = operation["responses"][code]
            assert set(answer.get("headers", ())) == _HEADERS.get(code, set())
            assert set(answer["content"]) == {"application/problem+json"}
            ((_, example),) = answer["content"]["application/problem+json"]["examples"].items()
            shown = resolved(document, example)["value"]
            assert str(shown["status"]) == code
            assert all(resolved(document, each) for each in answer.get("headers", {}).values())


def test_every_answer_that_holds_something_has_an_example_of_it(document: dict[str, Any]) -> None:
    shown = 0
    for method, path, operation in operations(document):
        for code, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items():
                if code < "400":
                    shown += 1
                    schema = resolved(document, content["schema"])
                    assert "example" in content or schema["examples"], (method, path, code, kind)
    assert shown > 25


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    examples = [(each, at) for each in schemas.values() for at in each.get("examples", ())]
    problems = document["components"]["examples"].values()
    examples += [(schemas["ProblemDocument"], each["value"]) for each in problems]
    assert len(examples) > 25
    for schema, example in examples:
        jsonschema.validate(example, {**schema, "components": document["components"]})


def test_every_field_and_parameter_is_explained(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for each in operation.get("parameters", ()):
            assert each.get("description"), (method, path, each["name"])
    for name, schema in document["components"]["schemas"].items():
        for field, node in schema.get("properties", {}).items():
            target = resolved(document, node)
            assert node.get("description") or target.get("description"), (name, field)
        if schema["type"] == "object":
            assert schema.get("description"), name


def test_every_change_can_be_rehearsed(document: dict[str, Any]) -> None:
    changes = [
        {each["name"] for each in operation["parameters"]}
        for method, path, operation in operations(document)
        if method != "get" and "/workspaces" in path and not path.endswith(":prompt")
    ]
    assert len(changes) == 6
    assert all("dryRun" in each for each in changes)


async def test_the_document_is_made_once_and_not_sent_to_whom_has_it(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = count()
    openapi = app.openapi

    def counted() -> dict[str, Any]:
        next(times)
        return openapi()

    monkeypatch.setattr(app, "openapi", counted)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        first, second = await client.get("/openapi.json"), await client.get("/openapi.json")
        known = {"If-None-Match": first.headers["ETag"]}
        third = await client.get("/openapi.json", headers=known)
    assert first.json() == openapi()
    assert first.headers["Content-Type"] == "application/json"
    assert second.content == first.content
    assert (third.status_code, third.content) == (304, b"")
    assert next(times) == 1
