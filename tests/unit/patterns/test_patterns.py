import re

from aichat_workspace.domain.models.status import desired_models
from aichat_workspace.domain.v1alpha1.workspace_spec import PATTERN_NAME_PATTERN
from aichat_workspace.patterns import builtin


def test_every_built_in_pattern_has_a_prompt() -> None:
    prompts = builtin()
    assert {
        "explain_code",
        "create_summary",
        "improve_writing",
        "write_commit_message",
        "review_code",
        "translate",
        "brainstorm",
        "extract_facts",
    } <= set(prompts)
    assert all(100 < len(text) < 4000 for text in prompts.values())


def test_every_built_in_pattern_can_be_named_in_a_spec() -> None:
    for name in builtin():
        assert re.fullmatch(PATTERN_NAME_PATTERN, name)
        assert desired_models(["m"], [name], builtin()).refused == ()
