"""The reference of fields, conditions and reasons."""

from typing import Any

import pytest

from aichat_workspace.documentation.markdown import GENERATED
from aichat_workspace.documentation.reference import format_type, page
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionType


def test_the_page_says_that_it_is_generated_and_ends_with_a_line() -> None:
    assert page().startswith(f"{GENERATED}\n# Reference\n")
    assert page().endswith("|\n")


def test_fields_are_listed_by_their_paths_and_those_of_lists_in_brackets() -> None:
    lines = page().splitlines()
    assert any(line.startswith("| `workspaceName` | string (required) |") for line in lines)
    assert any(line.startswith("| `conditions[].reason` | ") for line in lines)


def test_every_reason_has_an_anchor_of_its_code_and_every_condition_a_line() -> None:
    text = page()
    assert not [reason for reason in Reason if f'<a id="{reason.code.lower()}"></a>' not in text]
    assert not [condition for condition in ConditionType if f"| `{condition}` | " not in text]


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ({"type": "string"}, "string"),
        ({"type": "string", "enum": ["a", "b"]}, "one of `a`, `b`"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "integer, 1 to 9"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"x-kubernetes-int-or-string": True}, "integer or string"),
    ],
)
def test_a_type_is_written_with_what_it_allows(field: dict[str, Any], written: str) -> None:
    assert format_type(field) == written
