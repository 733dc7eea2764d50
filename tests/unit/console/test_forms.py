import pytest

from aichat_workspace.console import forms
from aichat_workspace.console.api_client import Problem
from aichat_workspace.console.forms import NewWorkspace


def problem(*fields: tuple[str, str]) -> Problem:
    return Problem(422, "invalid", "All in one.", fields)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("name=a", {"spec": {"workspaceName": "a"}}),
        ("name=+a+&team=t", {"spec": {"workspaceName": "a"}, "team": "t"}),
        (
            "name=a&models=m%0D%0An,+o&model=n&model=p",
            {"spec": {"workspaceName": "a", "models": ("m", "n", "o", "p")}},
        ),
        (
            "name=a&pattern=x&pattern=y&pattern=x",
            {"spec": {"workspaceName": "a", "patterns": ("x", "y")}},
        ),
        ("", {"spec": {"workspaceName": ""}}),
    ],
)
def test_a_form_becomes_the_request_of_the_api(text: str, body: object) -> None:
    assert NewWorkspace.from_values(forms.parse_values(text)).body() == body


def test_a_form_with_far_too_many_fields_has_none() -> None:
    assert forms.parse_values("a=1&" * 501) == {}


@pytest.mark.parametrize(
    ("path", "field", "message"),
    [
        ("spec.workspaceName", "name", "bad"),
        ("spec.models[3]", "models", "bad"),
        ("spec.patterns", "patterns", "bad"),
        ("team", "team", "bad"),
        ("spec.modelsRegistry", "", "spec.modelsRegistry: bad"),
        ("", "", "bad"),
    ],
)
def test_a_message_stands_at_its_field(path: str, field: str, message: str) -> None:
    assert forms.errors_by_field(problem((path, "bad")), forms.NEW_FIELDS) == {field: [message]}


def test_the_same_message_stands_once_at_a_field() -> None:
    twice = problem(("spec.models[0]", "bad"), ("spec.models[1]", "bad"))
    assert forms.errors_by_field(twice, forms.NEW_FIELDS) == {"models": ["bad"]}


def test_a_problem_without_fields_is_told_as_a_whole() -> None:
    assert forms.errors_by_field(problem(), forms.NEW_FIELDS) == {"": ["All in one."]}
