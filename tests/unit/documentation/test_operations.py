"""The page of the API's operations has all of them."""

import json
from pathlib import Path
from typing import Any, Final

from aichat_workspace.documentation import operations

DOCUMENT: Final[Any] = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())
PAGE: Final = operations.page(DOCUMENT)


def test_every_operation_has_a_section_of_its_own() -> None:
    entries = [
        (method, path, operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(entries) > 40
    for method, path, operation in entries:
        heading = f"### {operation['summary']}\n\n`{method.upper()} {path}` "
        assert PAGE.count(heading) == 1, f"{method} {path}"


def test_parameters_are_listed_with_what_they_mean() -> None:
    document = {
        "paths": {
            "/a/{name}": {
                "parameters": [{"$ref": "#/components/parameters/Name"}],
                "get": {
                    "tags": ["one"],
                    "summary": "Read it",
                    "operationId": "read",
                    "description": "All of it.",
                    "parameters": [
                        {"name": "team", "in": "query", "required": True, "description": "A | b."}
                    ],
                    "requestBody": {"content": {"application/json": {}}},
                    "responses": {"404": {}, "200": {}},
                },
            }
        },
        "components": {"parameters": {"Name": {"name": "name", "in": "path", "required": True}}},
    }
    _, _, section = operations.page(document).partition("## One\n")
    assert section == (
        "\n### Read it\n\n`GET /a/{name}` (`read`)\n\nAll of it.\n\n"
        "| parameter | in | meaning |\n|---|---|---|\n"
        "| `name` | path |  |\n| `team` (required) | query | A \\| b. |\n\n"
        "Body: `application/json`.\n\nAnswers: 200, 404.\n"
    )
