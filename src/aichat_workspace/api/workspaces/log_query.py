"""The query parameters of a log."""

from typing import Final

from pydantic import Field

from aichat_workspace.api.schemas.base import ClientModel

_MAX_LINES: Final = 10_000
_MAX_BYTES: Final = 4 * 1024 * 1024
_YEAR_SECONDS: Final = 31_536_000


class LogQuery(ClientModel):
    """Which part of a log, and whether to go on as it grows."""

    tail: int = Field(default=200, ge=1, le=_MAX_LINES, description="Lines from its end.")
    limit_bytes: int | None = Field(
        default=None,
        ge=1,
        le=_MAX_BYTES,
        description=f"At most so much; when left out {_MAX_BYTES}, or no end with `follow`.",
    )
    since_seconds: int | None = Field(
        default=None, ge=1, le=_YEAR_SECONDS, description="Only what is not older."
    )
    previous: bool = Field(default=False, description="Of the container before a restart.")
    timestamps: bool = Field(default=False, description="When each line was written.")
    follow: bool = Field(default=False, description="Go on as it grows.")

    def parameters(self, container: str) -> dict[str, str]:
        """Return the query parameters for the API server."""
        limit = self.limit_bytes or (None if self.follow else _MAX_BYTES)
        parameters = {
            "container": container,
            "tailLines": str(self.tail),
            "limitBytes": str(limit) if limit else None,
            "sinceSeconds": str(self.since_seconds) if self.since_seconds else None,
            "previous": "true" if self.previous else None,
            "timestamps": "true" if self.timestamps else None,
            "follow": "true" if self.follow else None,
        }
        return {key: value for key, value in parameters.items() if value is not None}
