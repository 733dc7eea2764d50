"""The measured operator is described by its arguments."""

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from benchmarks.comparison import subject
from benchmarks.comparison.subject import OURS, Condition, foreign

TEMPLATE = "{apiVersion: example.org/v1, kind: Proxy, metadata: {name: NAME}}"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("status.phase=Ready", True),
        ("status.isCreated=true", True),
        ("status.count=2", True),
        ("status.phase=Pending", False),
        ("status.none.at.all=x", False),
        ("status.phase.deeper=x", False),
    ],
)
def test_a_condition_is_a_field_with_a_value(text: str, holds: bool) -> None:
    resource = {"status": {"phase": "Ready", "isCreated": True, "count": 2}}
    assert Condition.parse(text).holds(resource) is holds


@pytest.mark.parametrize("text", ["", "Ready", "=Ready"])
def test_text_that_is_no_condition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write one as status\.phase=Ready"):
        Condition.parse(text)


def test_our_operator_is_described_as_it_is() -> None:
    assert OURS.resource == kinds.WORKSPACE
    assert OURS.command == (names.OPERATOR,)
    assert OURS.account == f"{names.SYSTEM_NAMESPACE}/{names.OPERATOR}"
    assert OURS.user == f"system:serviceaccount:{names.SYSTEM_NAMESPACE}:{names.OPERATOR}"
    assert OURS.body("bench-0001")["spec"]["workspaceName"] == "bench-0001"
    assert OURS.body("bench-0001")["apiVersion"] == names.API_VERSION
    assert all(path.exists() for path in OURS.manifests)


@pytest.mark.parametrize(
    ("template", "change"),
    [("{kind: Proxy}", "{}"), ("- NAME", "{}"), (TEMPLATE, "[]"), (TEMPLATE, "spec")],
)
def test_another_operator_that_is_described_wrongly_is_refused(template: str, change: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (json's own for what is no JSON)
        foreign(
            command="operator",
            manifests=(),
            template=template,
            plural="",
            ready="status.phase=Ready",
            created="",
            change=change,
        )


@pytest.mark.parametrize(
    ("kind", "plural"), [("Proxy", "proxies"), ("Redis", "redises"), ("Team", "teams")]
)
def test_a_plural_follows_from_the_kind(kind: str, plural: str) -> None:
    assert subject._plural(kind) == plural
