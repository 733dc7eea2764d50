"""Bodies about a team's members and the tokens of its scripts."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from aichat_workspace.api.schemas.base import ApiModel, RequestBody, with_example
from aichat_workspace.domain.v1alpha1.field_types import DnsLabel

RESERVED_PREFIX: Final = "system:"
"""Of the users and groups that are Kubernetes' own."""
ACCOUNT_PREFIX: Final = "aichat-token-"
"""Of the accounts of scripts; the admission policy keeps the API from the tokens of all others."""
TOKEN_NAME_MAX_LENGTH: Final = 40
MIN_TOKEN_SECONDS: Final = 600
MAX_TOKEN_SECONDS: Final = 90 * 86_400
_TOKEN_SECONDS: Final = 30 * 86_400
_ACCOUNT: Final = "aichat-token-ci"
_USERNAME: Final = f"system:serviceaccount:team-a:{_ACCOUNT}"
_CREATED: Final = "2026-11-24T09:00:00Z"
_EXPIRES: Final = "2026-12-24T09:00:00Z"
_MEMBER_EXAMPLE: Final = {
    "kind": "User",
    "name": "oidc:bob",
    "role": "editor",
    "roleBinding": "aichat-member-editor-0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "invited": True,
    "invitedBy": "ann",
    "since": _CREATED,
}
_TOKEN_EXAMPLE: Final = {
    "name": "ci",
    "role": "editor",
    "username": _USERNAME,
    "createdBy": "ann",
    "created": _CREATED,
    "expires": _EXPIRES,
}


class Role(StrEnum):
    """What a member may do with the team's workspaces; each role can do all that the one before
    can."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class SubjectKind(StrEnum):
    """What a member is, in Kubernetes' words."""

    USER = "User"
    GROUP = "Group"
    SERVICE_ACCOUNT = "ServiceAccount"


SubjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"),
]


class Invitation(RequestBody):
    """Who gets which role."""

    model_config = with_example({"kind": "User", "name": "oidc:bob", "role": "editor"})

    kind: SubjectKind = Field(
        default=SubjectKind.USER,
        description="What it is; a service account is one of the team's namespace.",
    )
    name: SubjectName = Field(
        description="The name in the cluster, as `GET /api/v1/me` tells a person their own."
    )
    role: Role = Field(
        description="`viewer` reads workspaces, `editor` runs and asks them, `admin` also reads "
        "the first administrators' credentials."
    )

    @model_validator(mode="after")
    def _is_no_scripts_account(self) -> Self:
        if self.kind is SubjectKind.SERVICE_ACCOUNT and self.name.startswith(ACCOUNT_PREFIX):
            message = (
                f"accounts that begin with {ACCOUNT_PREFIX} are those of tokens, which have one "
                "role each; make another token"
            )
            error = PydanticCustomError("reserved", message)
            details = [InitErrorDetails(type=error, loc=("name",), input=self.name)]
            raise ValidationError.from_exception_data("Invitation", details)
        return self

    @model_validator(mode="after")
    def _is_not_kubernetes_own(self) -> Self:
        if self.kind is not SubjectKind.SERVICE_ACCOUNT and self.name.startswith(RESERVED_PREFIX):
            message = (
                f"names that begin with {RESERVED_PREFIX} are Kubernetes' own; for a service "
                "account write its kind and its plain name"
            )
            error = PydanticCustomError("reserved", message)
            details = [InitErrorDetails(type=error, loc=("name",), input=self.name)]
            raise ValidationError.from_exception_data("invitation", details)
        return self


class Member(ApiModel):
    """Who has a role in the team, by one RoleBinding."""

    model_config = with_example(_MEMBER_EXAMPLE)

    kind: SubjectKind = Field(description="What it is.")
    name: str = Field(description="The name in the cluster.")
    namespace: str | None = Field(
        default=None, description="The namespace of a service account, else null."
    )
    role: Role = Field(
        description="What it may do with workspaces; Kubernetes' own roles `view`, `edit`, `admin` "
        "and `cluster-admin` include it."
    )
    role_binding: str = Field(description="The RoleBinding that gives the role.")
    invited: bool = Field(
        description="Whether it was invited here, and can be removed here. Other bindings are "
        "changed with kubectl."
    )
    invited_by: str | None = Field(description="Who has invited it; null where it is not known.")
    since: datetime = Field(description="When the RoleBinding was made.")


class MemberList(ApiModel):
    """The members of a team."""

    model_config = with_example({"items": [_MEMBER_EXAMPLE], "complete": True})

    items: tuple[Member, ...] = Field(description="In the order of kind and name.")
    complete: bool = Field(description="False where the team has more than these 1,000.")


class TokenCreate(RequestBody):
    """A token to make."""

    model_config = with_example({"name": "ci", "role": "editor", "expiresInSeconds": 2_592_000})

    name: Annotated[DnsLabel, StringConstraints(min_length=1)] = Field(
        max_length=TOKEN_NAME_MAX_LENGTH, description="What it is for, as `ci`."
    )
    role: Role = Field(description="What the script may do with the team's workspaces.")
    expires_in_seconds: int = Field(
        default=_TOKEN_SECONDS,
        ge=MIN_TOKEN_SECONDS,
        le=MAX_TOKEN_SECONDS,
        description="How long it is good; the API server may shorten it.",
    )


class TokenDocument(ApiModel):
    """A script's account, without its token."""

    model_config = with_example(_TOKEN_EXAMPLE)

    name: str = Field(description="What it is for.")
    role: Role | None = Field(
        description="What it may do with the team's workspaces; null where the note of it was "
        "changed."
    )
    username: str = Field(description="Who it is in the cluster, and in logs.")
    created_by: str | None = Field(
        description="Who has made it; null where the note of it was changed."
    )
    created: datetime = Field(description="When it was made.")
    expires: datetime = Field(
        description="When it ends at the latest; an expired one is deleted with the next that is "
        "made."
    )


class TokenList(ApiModel):
    """The tokens of a team's scripts."""

    model_config = with_example({"items": [_TOKEN_EXAMPLE]})

    items: tuple[TokenDocument, ...] = Field(description="In the order of their names.")


class NewToken(TokenDocument):
    """A token that was just made; it is shown this once."""

    model_config = with_example({**_TOKEN_EXAMPLE, "token": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"})

    token: str = Field(description="For `Authorization: Bearer`; its audience is this API's.")
