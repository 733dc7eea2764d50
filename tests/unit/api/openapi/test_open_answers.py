"""What is sent is closed, what is answered is open."""

from collections.abc import Iterator
from typing import Any

from aichat_workspace.api.openapi.open_answers import open_answers

Json = dict[str, Any]


def reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def content(name: str) -> Json:
    return {"content": {"application/json": {"schema": reference(name)}}}


def model(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def sample() -> Json:
    colour = {"type": "string", "enum": ["Red", "Blue"], "description": "A colour."}
    return {
        "paths": {
            "/paint": {
                "get": {
                    "parameters": [{"name": "colour", "schema": reference("Colour")}],
                    "responses": {"200": content("Picture")},
                },
                "post": {"requestBody": content("Order"), "responses": {"201": content("Picture")}},
            }
        },
        "components": {
            "schemas": {
                "Colour": colour,
                "Order": model(frame=reference("Frame")),
                "Frame": model(colour=reference("Colour"), width={"type": "integer"}),
                "Picture": model(frame=reference("Frame"), history=reference("History")),
                "History": model(state={"type": "string", "enum": ["New"]}),
            }
        },
    }


def closed(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        if node.get("additionalProperties") is False or "enum" in node:
            yield node
        for child in node.values():
            yield from closed(child)


def test_requests_stay_closed_and_answers_are_open() -> None:
    document, before = sample(), sample()
    open_answers(document)
    schemas = document["components"]["schemas"]
    for name in ("Colour", "Order", "Frame"):
        assert schemas[name] == before["components"]["schemas"][name]
    for name in ("Picture", "History", "StoredFrame", "StoredColour"):
        assert not [*closed(schemas[name])], name


def test_answers_refer_to_open_copies_of_what_requests_have_too() -> None:
    document = sample()
    open_answers(document)
    schemas = document["components"]["schemas"]
    assert schemas["Order"]["properties"]["frame"] == reference("Frame")
    assert schemas["Picture"]["properties"]["frame"] == reference("StoredFrame")
    assert schemas["StoredFrame"]["properties"]["colour"] == reference("StoredColour")
    assert document["paths"]["/paint"]["get"]["responses"]["200"] == content("Picture")


def test_known_values_are_told_in_words() -> None:
    document = sample()
    open_answers(document)
    description = document["components"]["schemas"]["StoredColour"]["description"]
    assert description == "A colour. Known values: Red, Blue; there may be more."
