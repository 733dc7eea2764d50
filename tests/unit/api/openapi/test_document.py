"""The OpenAPI document: every response has an example, every field a description."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx2
import jsonschema_rs
import pytest
from fastapi import FastAPI

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.runtime import servers
from tests.fakes.workspace_client import FakeWorkspaceClient

_EVERYWHERE = {"408", "413", "431", "500"}
_CHANGED = ("/api/v1/workspaces", "/api/v1/teams")
_OF_ROUTES = {"401", "403", "422", "429", "503"}
_HEADERS = {
    "401": {"WWW-Authenticate"},
    "415": {"Accept", "Accept-Patch"},
    "429": {"Retry-After"},
    "503": {"Retry-After"},
}


@pytest.fixture
def app() -> FastAPI:
    client = FakeWorkspaceClient()
    settings = Settings.read({}, in_cluster=False)
    connections = servers.by_proxy(client), servers.chat_by_proxy(client)
    services = Services.create(settings, client, *connections, {})
    return build(services, Metrics(lambda: 0, lambda: 0))


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    target = document
    for part in node["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return target


def test_every_operation_documents_every_error_with_headers_and_an_example(
    document: dict[str, Any],
) -> None:
    for method, path, operation in operations(document):
        errors = {code for code in operation["responses"] if code >= "400"}
        expected = _EVERYWHERE | (_OF_ROUTES if operation.get("security") else {"422"})
        expected |= {"415"} if method in ("post", "put", "patch") else set()
        is_openai = "/v1/" in path.removeprefix("/api/v1/")
        expected = expected - {"422"} | {"400"} if is_openai else expected
        assert expected <= errors, (method, path)
        for code in errors:
            response = operation["responses"][code]
            assert set(response.get("headers", ())) == _HEADERS.get(code, set())
            if is_openai:
                content = response["content"]["application/json"]
                assert {"message", "type", "code"} <= set(content["example"]["error"])
                assert str(resolve(document, content["schema"])["title"]) == "OpenAIErrorDocument"
                continue
            assert set(response["content"]) == {"application/problem+json"}
            ((_, example),) = response["content"]["application/problem+json"]["examples"].items()
            problem = resolve(document, example)["value"]
            assert str(problem["status"]) == code
            assert all(resolve(document, header) for header in response.get("headers", {}).values())


def test_every_successful_response_with_content_has_an_example(document: dict[str, Any]) -> None:
    documented = 0
    for method, path, operation in operations(document):
        for code, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                if code < "400":
                    documented += 1
                    schema = resolve(document, content["schema"])
                    assert "example" in content or schema["examples"], (method, path, code, kind)
    assert documented > 25


def test_every_example_matches_its_schema(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    examples = [
        (schema, example) for schema in schemas.values() for example in schema.get("examples", ())
    ]
    problems = document["components"]["examples"].values()
    examples += [(schemas["ProblemDocument"], problem["value"]) for problem in problems]
    assert len(examples) > 25
    for schema, example in examples:
        jsonschema_rs.validate({**schema, "components": document["components"]}, example)


def test_every_field_and_parameter_is_explained(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (method, path, parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        for field, node in schema.get("properties", {}).items():
            target = resolve(document, node)
            assert node.get("description") or target.get("description"), (name, field)
        if schema["type"] == "object":
            assert schema.get("description"), name


def _is_question(path: str) -> bool:
    return path.endswith((":prompt", "/v1/chat/completions", "/v1/embeddings"))


def _is_credential(path: str) -> bool:
    """A token or an account is made or revoked, as a session is; there is no trial of it."""
    return "/tokens" in path or path.endswith(":inviteToChat")


def test_each_operation_says_which_credentials_it_takes(document: dict[str, Any]) -> None:
    either: list[dict[str, list[str]]] = [{"HTTPBearer": []}, {"Session": []}]
    exceptions: dict[str, Any] = {"read_session": [{"Session": []}]}
    exceptions |= dict.fromkeys(
        ("sign_in", "sign_out", "log_out", "begin_login", "finish_login", "read_provider")
    )
    for method, path, operation in operations(document):
        name = operation["operationId"]
        assert operation.get("security") == exceptions.get(name, either), (method, path)
        headers = {parameter["name"] for parameter in operation.get("parameters", ())}
        takes_session = {"Session": []} in operation.get("security", ())
        assert ("X-CSRF-Token" in headers) is (takes_session and method != "get"), (method, path)


def test_a_list_has_workspaces_and_one_of_fields_is_another_media_type(
    document: dict[str, Any],
) -> None:
    content = document["paths"]["/api/v1/workspaces"]["get"]["responses"]["200"]["content"]
    pages = {kind: resolve(document, page["schema"]) for kind, page in content.items()}
    items = pages["application/json"]["properties"]["items"]["items"]
    assert items == {"$ref": "#/components/schemas/WorkspaceDocument"}
    partial = pages["application/vnd.aichatworkspaces.partial+json"]["properties"]["items"]
    assert partial["items"]["type"] == "object"


def test_bodies_are_closed_and_answers_open(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["WorkspaceSpec"]["additionalProperties"] is False
    assert schemas["WorkspaceCreate"]["properties"]["spec"] == {
        "$ref": "#/components/schemas/WorkspaceSpec"
    }
    for name in ("WorkspaceDocument", "StoredWorkspaceSpec", "WorkspaceStatus", "ProblemDocument"):
        assert "additionalProperties" not in schemas[name], name
    assert "enum" in schemas["Phase"], "of the query"
    assert "enum" not in schemas["StoredPhase"]


def test_a_patch_takes_both_of_its_formats(document: dict[str, Any]) -> None:
    content = document["paths"]["/api/v1/workspaces/{name}"]["patch"]["requestBody"]["content"]
    assert set(content) == {"application/merge-patch+json", "application/json"}


def test_every_change_has_a_dry_run(document: dict[str, Any]) -> None:
    changes = [
        {parameter["name"] for parameter in operation["parameters"]}
        for method, path, operation in operations(document)
        if method != "get" and path.startswith(_CHANGED)
        if not _is_question(path) and not _is_credential(path)
    ]
    assert len(changes) == 21
    assert all("dryRun" in parameters for parameters in changes)


async def test_the_document_is_generated_once_and_is_304_for_its_etag(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count()
    openapi = app.openapi

    def counted() -> dict[str, Any]:
        next(calls)
        return openapi()

    monkeypatch.setattr(app, "openapi", counted)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        first, second = await client.get("/openapi.json"), await client.get("/openapi.json")
        headers = {"If-None-Match": first.headers["ETag"]}
        third = await client.get("/openapi.json", headers=headers)
    assert first.json() == openapi()
    assert first.headers["Content-Type"] == "application/json"
    assert second.content == first.content
    assert (third.status_code, third.content) == (304, b"")
    assert next(calls) == 1
