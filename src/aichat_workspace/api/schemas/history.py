"""Bodies about the history of a workspace."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from aichat_workspace.api.schemas.base import ApiModel, with_example


class Action(StrEnum):
    """What was done, in one word."""

    CREATE = "create"
    CLONE = "clone"
    EDIT = "edit"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESTART = "restart"
    RESET_PASSWORD = "resetPassword"  # noqa: S105  (an action)
    BACKUP = "backup"
    RESTORE = "restore"
    DELETE = "delete"


class HistoryEntry(ApiModel):
    """One change of a workspace. Long lists and names are cut, with a … in their place."""

    time: AwareDatetime = Field(description="When.")
    action: Action = Field(description="What was done.")
    user: str | None = Field(
        default=None, description="Who did it by this API; null for what came another way."
    )
    manager: str | None = Field(
        default=None,
        description="The field manager that Kubernetes recorded, as `kubectl-edit`, for what came "
        "another way; null for this API's.",
    )
    changed: tuple[str, ...] = Field(
        default=(),
        description="The paths of changed fields, as `spec.models`, without their values. Of a "
        "field manager, those that it was the last to set.",
    )
    added: tuple[str, ...] = Field(
        default=(), description="The models, patterns and connections that were added."
    )
    removed: tuple[str, ...] = Field(
        default=(), description="The models, patterns and connections that were removed."
    )
    request_id: str | None = Field(
        default=None, description="The request's id, as in the audit log; null for others."
    )


class History(ApiModel):
    """Who changed what of a workspace, and when."""

    model_config = with_example(
        {
            "items": [
                {
                    "time": "2026-11-24T14:01:00Z",
                    "action": "edit",
                    "user": "ann",
                    "manager": None,
                    "changed": ["spec.models"],
                    "added": ["gemma3:27b"],
                    "removed": [],
                    "requestId": "5f0c8f1e2d3b4a59687786a5b4c3d2e1",
                }
            ]
        }
    )

    items: tuple[HistoryEntry, ...] = Field(
        description="The newest first: the last changes by this API, and the last of each field "
        "manager."
    )
