from typing import Any

import pytest

from aichat_workspace.api.web.responses import cluster_errors, field_errors, problems
from aichat_workspace.api.web.responses.field_errors import FieldError
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.kube.errors import UnreachableError, from_status

_OWN = (
    'secrets "a" is forbidden: User "system:serviceaccount:system:aichat-workspace-api" cannot '
    'get resource "secrets"'
)
_LAPTOP = (
    'pods "a" is forbidden: User "kubernetes-\\"admin\\"" cannot get resource "pods/log" in API '
    'group "" in the namespace "n"'
)
_CEL = [{"reason": "FieldValueInvalid", "field": "spec.a", "message": "Invalid value: x: no"}]


@pytest.mark.parametrize(
    ("status", "details", "answer", "code"),
    [
        (422, {"details": {"causes": _CEL}}, 422, "invalid"),
        (400, {"message": "bad"}, 422, "invalid"),
        (404, {"message": "gone"}, 404, "not-found"),
        (409, {"reason": "AlreadyExists", "message": "there"}, 409, "already-exists"),
        (409, {"reason": "Conflict", "message": "moved."}, 409, "conflict"),
        (403, {"message": "exceeded quota: few"}, 403, "refused"),
        (403, {"message": _OWN}, 500, "misconfigured"),
        (403, {"message": _LAPTOP}, 500, "misconfigured"),
        (403, {"message": "a policy denied it: forbidden: name a team"}, 403, "refused"),
        (401, {"message": "Unauthorized"}, 500, "misconfigured"),
        (429, {"message": "slow down"}, 503, "unavailable"),
        (500, {"message": "etcd"}, 503, "unavailable"),
        (503, {"message": "etcd"}, 503, "unavailable"),
    ],
)
def test_each_error_of_the_api_server_has_one_meaning_for_the_caller(
    status: int, details: dict[str, Any], answer: int, code: str
) -> None:
    problem = cluster_errors.from_cluster(from_status(status, details))
    assert (problem.status, problem.code) == (answer, code)
    assert problem.detail
    assert (problem.retry_after_seconds is not None) is (answer == 503)


def test_an_unreachable_api_server_is_503_with_retry_after() -> None:
    problem = cluster_errors.from_cluster(UnreachableError("GET /x: refused"))
    assert (problem.status, problem.all_headers()) == (503, {"Retry-After": "2"})
    assert "GET /x" not in problem.detail


def test_the_apis_own_account_is_not_named() -> None:
    problem = cluster_errors.from_cluster(from_status(403, {"message": _OWN}))
    assert "serviceaccount" not in problem.detail


def test_the_fields_that_the_api_server_refuses_are_named() -> None:
    problem = cluster_errors.from_cluster(from_status(422, {"details": {"causes": _CEL}}))
    assert problem.errors == (FieldError("spec.a", "Invalid value: x: no"),)


def test_unknown_fields_that_the_api_server_refuses_are_named() -> None:
    message = 'strict decoding error: unknown field "spec.modles", unknown field "spec.x"'
    problem = cluster_errors.from_cluster(from_status(400, {"message": message}))
    assert [error.field for error in problem.errors] == ["spec.modles", "spec.x"]


def test_a_problem_document_has_the_members_of_the_rfc() -> None:
    problem = ProblemError(409, "name-taken", "Taken.", errors=(FieldError("a", "b"),))
    assert problem.document("/path") == {
        "type": "urn:apps.aichatworkspaces.io:problem:name-taken",
        "title": "Conflict",
        "status": 409,
        "code": "name-taken",
        "detail": "Taken.",
        "instance": "/path",
        "requestId": "",
        "errors": [{"field": "a", "message": "b"}],
    }


def test_missing_and_hidden_workspaces_have_the_same_problem() -> None:
    missing, hidden = problems.not_found("missing"), problems.not_found("hidden")
    assert missing.detail.replace("missing", "hidden", 1) == hidden.detail


@pytest.mark.parametrize(
    ("location", "path"),
    [
        (("spec", "models", 0), "spec.models[0]"),
        ((0, "a"), "[0].a"),
        (("a", 1, 2, "b"), "a[1][2].b"),
        ((), ""),
    ],
)
def test_a_location_is_formatted_as_a_path(location: tuple[str | int, ...], path: str) -> None:
    assert field_errors.path_of(location) == path
