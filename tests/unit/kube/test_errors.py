"""Errors by what the API server says; tests/contracts/kubernetes.py has which it says when."""

import pytest

from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    InvalidError,
    from_status,
)


def causes(*fields: str) -> dict[str, object]:
    return {"causes": [{"field": field, "message": "no", "reason": "any"} for field in fields]}


@pytest.mark.parametrize(
    ("status", "details", "kind"),
    [
        (409, {"reason": "Conflict"}, ConflictError),
        (409, {"reason": "AlreadyExists"}, AlreadyExistsError),
        (422, {"reason": "Invalid", "details": causes("spec.replicas")}, InvalidError),
        (422, {"reason": "Invalid", "details": causes("metadata.uid")}, ConflictError),
        (422, {"reason": "Invalid"}, InvalidError),
        (418, {}, ApiError),
    ],
)
def test_an_error_of_another_object_is_a_conflict_and_one_of_a_field_is_not(
    status: int, details: dict[str, object], kind: type[ApiError]
) -> None:
    error = from_status(status, details)
    assert type(error) is kind
    assert error.status == status
    assert error.is_retryable is False
