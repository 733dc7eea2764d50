"""Answers about all workspaces of a team."""

from pydantic import Field

from aichat_workspace.api.schemas.base import ApiModel, with_example


class TeamChange(ApiModel):
    """What became of one workspace of a team."""

    name: str = Field(description="Its workspaceName.")
    status: int = Field(
        description="As if it had been asked for alone: 202 written, 200 so already, else why not."
    )
    code: str | None = Field(
        default=None, description="The kind of problem, for programs; null without one."
    )
    detail: str | None = Field(
        default=None, description="What is wrong and what to do; null without a problem."
    )


class TeamChanges(ApiModel):
    """What became of the workspaces of a team."""

    model_config = with_example(
        {
            "items": [
                {"name": "team-a-aichat", "status": 202, "code": None, "detail": None},
                {"name": "team-a-notes", "status": 200, "code": None, "detail": None},
            ],
            "remaining": 0,
        }
    )

    items: tuple[TeamChange, ...] = Field(description="In the order of their names.")
    remaining: int = Field(
        description="How many were not tried yet; send the request again for them."
    )
