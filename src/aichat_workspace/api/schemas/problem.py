"""Problem documents (RFC 9457)."""

from pydantic import (
    Field,
)

from aichat_workspace.api.schemas.base import ApiModel


class FieldProblem(ApiModel):
    """A field that is wrong."""

    field: str = Field(description="Path of the field, as `spec.models[0]`; empty for the whole.")
    message: str = Field(description="What is wrong and what to do.")


class ProblemDocument(ApiModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="The kind of problem, as a URN that ends with `code`.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="The kind of problem, for programs.")
    detail: str = Field(description="What is wrong and what to do, for people.")
    instance: str = Field(description="The path of the request.")
    request_id: str = Field(
        description="The request's id, as in X-Request-ID and in every log line."
    )
    login: str | None = Field(
        default=None,
        description="Where a browser signs in, and comes back from: with 401, if there is an "
        "identity provider.",
    )
    errors: tuple[FieldProblem, ...] = Field(default=(), description="The fields that are wrong.")
