"""Bodies about accounts in a workspace's chat."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from aichat_workspace.api.schemas.base import ApiModel, RequestBody, with_example
from aichat_workspace.domain import names

_EMAIL: Final = "bo@example.org"
_INVITATION: Final = {"email": _EMAIL, "name": "Bo", "role": "user"}


class ChatRole(StrEnum):
    """What an account may do in the chat."""

    USER = "user"
    ADMIN = "admin"


class ChatInvitation(RequestBody):
    """Who gets an account in the chat."""

    model_config = with_example(_INVITATION)

    email: Annotated[str, StringConstraints(to_lower=True)] = Field(
        max_length=254,
        pattern=names.EMAIL_PATTERN,
        description="The address to sign in with, stored in lower case. Nothing is sent there.",
    )
    name: str = Field(
        default="",
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*$",
        description="What the chat calls the person; the address when left out.",
    )
    role: ChatRole = Field(
        default=ChatRole.USER,
        description="`user` chats; `admin` also administers the chat and its accounts.",
    )


class ChatAccount(ApiModel):
    """An account that was just made; its password is shown this once."""

    model_config = with_example(
        {
            **_INVITATION,
            "url": "https://team-a-aichat.example.org",
            "password": "correct-horse-battery-staple",
        }
    )

    url: str | None = Field(description="Where the chat is; null while it has no address.")
    email: str = Field(description="The address to sign in with.")
    name: str = Field(description="What the chat calls the person.")
    role: ChatRole = Field(description="What the account may do in the chat.")
    password: str = Field(
        description="The password to sign in with; the person can change it in the chat."
    )
