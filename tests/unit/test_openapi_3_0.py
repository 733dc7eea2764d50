"""The document in the words of OpenAPI 3.0, for the generator of the Go client."""

import json
from pathlib import Path
from typing import Any

import pytest

from hack.openapi_3_0 import older

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
REFERENCE = {"$ref": "#/components/schemas/Gpu"}
NULL = {"type": "null"}


@pytest.mark.parametrize(
    ("words", "older_words"),
    [
        (
            {"anyOf": [{"type": "string", "maxLength": 9}, NULL], "description": "d"},
            {"type": "string", "maxLength": 9, "description": "d", "nullable": True},
        ),
        ({"anyOf": [REFERENCE, NULL]}, {"allOf": [REFERENCE], "nullable": True}),
        (
            {"anyOf": [{"type": "string"}, REFERENCE, NULL]},
            {"anyOf": [{"type": "string"}, REFERENCE], "nullable": True},
        ),
        ({"anyOf": [{"type": "string"}, REFERENCE]}, {"anyOf": [{"type": "string"}, REFERENCE]}),
        ({"exclusiveMaximum": 8}, {"maximum": 8, "exclusiveMaximum": True}),
        (
            {"patternProperties": {"^a": {"type": "string"}}, "additionalProperties": False},
            {"additionalProperties": {"type": "string"}},
        ),
        ({"type": "string", "const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"properties": {"const": {"type": "string"}}},) * 2,
        (
            {"anyOf": [{"type": "integer", "const": 1}, NULL]},
            {"type": "integer", "enum": [1], "nullable": True},
        ),
        ({"examples": ["a", "b"]}, {"example": "a"}),
        ({"examples": {"named": {"value": 1}}}, {"examples": {"named": {"value": 1}}}),
        ([{"properties": {"a": {"examples": [0]}}}], [{"properties": {"a": {"example": 0}}}]),
    ],
)
def test_words_of_later_versions_become_older_ones(words: Any, older_words: Any) -> None:
    assert older(words) == older_words


def test_the_whole_document_has_no_word_that_version_3_0_lacks() -> None:
    text = json.dumps(older(json.loads(DOCUMENT.read_text())))
    for word in ('"null"', '"const"', '"prefixItems"', '"$defs"', '"patternProperties"'):
        assert word not in text, word
