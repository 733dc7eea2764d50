"""Bodies about the caller and sign-in."""

from datetime import datetime
from typing import Annotated

from pydantic import (
    Field,
    StringConstraints,
)

from aichat_workspace.api.schemas.base import ApiModel, RequestBody, with_example


class TeamRights(ApiModel):
    """What the caller may do in one team."""

    model_config = with_example({"team": "team-a", "verbs": ["create", "get", "list", "watch"]})

    team: str = Field(description="The team's namespace.")
    verbs: tuple[str, ...] = Field(
        description="What the caller may do with the team's workspaces, as "
        "`create`, `get` or `get aichatworkspaces/credentials`."
    )


class AccessAnswer(ApiModel):
    """Whether the caller may do what they asked about."""

    model_config = with_example({"allowed": True})

    allowed: bool = Field(description="Whether Kubernetes allows it.")


class Identity(ApiModel):
    """Who the caller is, and which teams they belong to."""

    model_config = with_example(
        {
            "username": "ann",
            "groups": ["system:authenticated"],
            "everywhere": [],
            "teams": ["team-a"],
        }
    )

    username: str = Field(description="The name in the cluster.")
    groups: tuple[str, ...] = Field(description="The groups in the cluster.")
    everywhere: tuple[str, ...] = Field(description="What the caller may do in every team.")
    teams: tuple[str, ...] = Field(
        description="The teams whose workspaces the caller may list; "
        "`GET /api/v1/me/teams/{team}` tells what else is allowed there."
    )


class ProviderDocument(ApiModel):
    """How a program signs a person in with the identity provider, as a public client."""

    model_config = with_example(
        {"issuer": "https://id.example.org", "clientId": "aichat-cli", "scope": "openid email"}
    )

    issuer: str = Field(description="The provider; its discovery document says what it offers.")
    client_id: str = Field(description="The client to be there; it has no secret.")
    scope: str = Field(description="The scope to ask for.")


class SignIn(RequestBody):
    """A token to sign in with."""

    model_config = with_example({"token": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"})

    token: Annotated[
        str,
        StringConstraints(min_length=1, max_length=16_384, pattern=r"^[A-Za-z0-9._~+/-]+=*$"),
    ] = Field(description="One that the Kubernetes API server accepts for the API's audience.")


class SessionDocument(ApiModel):
    """A browser's session."""

    model_config = with_example(
        {
            "username": "ann",
            "csrfToken": "Zk1mY0x0b0ZtY0x0b0ZtY0x0b0ZtY0x0b0ZtY0x0b0Y=",
            "expires": "2026-11-24T17:00:00Z",
        }
    )

    username: str = Field(description="The person's name in the cluster.")
    csrf_token: str = Field(description="For the header X-CSRF-Token, in all that changes.")
    expires: datetime = Field(
        description="When the session ends, however often its token is renewed before."
    )
