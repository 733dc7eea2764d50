from typing import Any

import pytest

from aichat_workspace.foundation.changes import change_words


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"action": "create"}, "created it"),
        ({"action": "resetPassword"}, "gave the administrator a new password"),
        (
            {"changed": ["spec.models"], "added": ["a", "b"], "removed": ["c"]},
            "added a, b; removed c",
        ),
        (
            {"changed": ["spec.models", "spec.quota"], "added": ["a"]},
            "added a; changed spec.quota",
        ),
        ({"changed": ["spec.models"]}, "changed spec.models"),
        ({"changed": ["spec.models"], "manager": "kubectl-edit"}, "set spec.models"),
        ({}, "changed"),
    ],
)
def test_what_was_done_is_told_in_words(parts: dict[str, Any], text: str) -> None:
    assert change_words({"action": "edit", **parts}) == text
