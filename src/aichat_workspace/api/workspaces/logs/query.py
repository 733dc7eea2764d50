"""The query parameters of a log."""

from typing import Final

from pydantic import Field, field_validator, model_validator

from aichat_workspace.api.schemas.base import ClientModel
from aichat_workspace.api.workspaces.logs.lines import Moment

_TAIL: Final = 200
_MAX_LINES: Final = 10_000
_MAX_BYTES: Final = 4 * 1024 * 1024
_YEAR_SECONDS: Final = 31_536_000


class LogQuery(ClientModel):
    """Which part of a log, and whether to go on as it grows."""

    tail: int | None = Field(
        default=None,
        ge=1,
        le=_MAX_LINES,
        description=f"Lines from its end; when left out {_TAIL}, or all with `sinceSeconds` or "
        "`sinceTime`.",
    )
    limit_bytes: int | None = Field(
        default=None,
        ge=1,
        le=_MAX_BYTES,
        description="At most so much, then it ends. When left out, there is no end with `follow`, "
        f"else a log of more than {_MAX_BYTES} bytes breaks off.",
    )
    since_seconds: int | None = Field(
        default=None, ge=1, le=_YEAR_SECONDS, description="Only what is not older."
    )
    since_time: str | None = Field(
        default=None,
        max_length=64,
        description="Only lines after this moment, to the nanosecond, as "
        "`2026-11-24T09:00:00.123456789Z`. With the time of the last line a log goes on without "
        "gap or doubles.",
    )
    previous: bool = Field(default=False, description="Of the container before a restart.")
    timestamps: bool = Field(default=False, description="When each line was written.")
    follow: bool = Field(default=False, description="Go on as it grows.")

    @field_validator("since_time")
    @classmethod
    def _is_moment(cls, text: str | None) -> str | None:
        if text is not None:
            Moment.parse(text)
        return text

    @model_validator(mode="after")
    def _has_one_beginning(self) -> "LogQuery":
        if self.since_time is not None and self.since_seconds is not None:
            raise ValueError("give sinceSeconds or sinceTime, not both")
        return self

    def resumed_after(self, event_id: str | None) -> "LogQuery":
        """Return the query for what follows that event; the same for none or an unknown one."""
        try:
            Moment.parse(event_id or "")
        except ValueError:
            return self
        return self.model_copy(update={"since_time": event_id, "since_seconds": None})

    @property
    def since(self) -> Moment | None:
        """The moment after which lines are wanted."""
        return Moment.parse(self.since_time) if self.since_time else None

    @property
    def tail_lines(self) -> int | None:
        """Lines from the end; None for all."""
        is_bounded = self.since_seconds is not None or self.since_time is not None
        return self.tail or (None if is_bounded else _TAIL)

    @property
    def max_bytes(self) -> int | None:
        """The bytes above which a log breaks off; None where the caller has set an end."""
        return None if self.follow or self.limit_bytes else _MAX_BYTES

    def limits(self) -> str:
        """Return the limits in force, for people."""
        limits = {"tail": self.tail_lines, "limitBytes": self.limit_bytes or self.max_bytes}
        return ", ".join(f"{name}={value}" for name, value in limits.items() if value) or "none"

    def parameters(self, container: str, *, timestamps: bool) -> dict[str, str]:
        """Return the query parameters for the API server, with the time of each line or without."""
        limit = self.limit_bytes or (self.max_bytes + 1 if self.max_bytes else None)
        since = self.since
        parameters = {
            "container": container,
            "tailLines": str(self.tail_lines) if self.tail_lines else None,
            "limitBytes": str(limit) if limit else None,
            "sinceSeconds": str(self.since_seconds) if self.since_seconds else None,
            "sinceTime": since.in_whole_seconds() if since else None,
            "previous": "true" if self.previous else None,
            "timestamps": "true" if timestamps else None,
            "follow": "true" if self.follow else None,
        }
        return {key: value for key, value in parameters.items() if value is not None}
