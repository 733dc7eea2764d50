"""What may stand behind the `?`. A parameter that nobody knows is refused: a mistyped `dryRun` must
not change anything."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from aichat_workspace.api.listing import MAX_LIMIT, Filter
from aichat_workspace.api.schemas import Wire
from aichat_workspace.domain import names
from aichat_workspace.domain.platform import DnsLabel
from aichat_workspace.domain.workspace import Phase

_MAX_LINES: Final = 10_000
_MAX_BYTES: Final = 4 * 1024 * 1024
_YEAR_SECONDS: Final = 31_536_000

Team = Annotated[DnsLabel, StringConstraints(min_length=1)]


class Nothing(Wire):
    """Not a single parameter."""


class OfOne(Wire):
    team: Team | None = Field(
        default=None,
        description="The team, where several resources name the workspace; the one that counts "
        "when left out.",
    )


class Creation(Wire):
    dry_run: bool = Field(default=False, description="Check everything, and change nothing.")


class Change(Creation, OfOne):
    pass


class Listing(Wire):
    team: Team | None = Field(default=None, description="Only this team's.")
    phase: Phase | None = Field(default=None, description="Only in this phase.")
    owner: str | None = Field(
        default=None, max_length=512, description="Only those whose `requestedBy` this user is."
    )
    q: str | None = Field(
        default=None, max_length=128, description="Only with this text in name, team or URL."
    )
    fields: str | None = Field(
        default=None,
        max_length=512,
        pattern=r"^[A-Za-z][A-Za-z0-9]*([.,][A-Za-z][A-Za-z0-9]*)*$",
        description="Only these fields, by dotted paths, as `name,status.phase`. The items then "
        "hold nothing else.",
    )
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT, description="Workspaces on a page.")
    page: str | None = Field(
        default=None, max_length=1024, description="`nextPage` of the answer before."
    )

    @property
    def filter(self) -> Filter:
        return Filter(self.team, self.phase, self.owner, self.q)

    @property
    def paths(self) -> list[str]:
        return self.fields.split(",") if self.fields else []


class Watching(Wire):
    team: Team | None = Field(default=None, description="Only this team's.")
    name: str | None = Field(
        default=None,
        max_length=names.WORKSPACE_NAME_MAX_LENGTH,
        description="Only the workspace of this name.",
    )


class LogWish(OfOne):
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
        """As the API server takes them."""
        most = self.limit_bytes or (None if self.follow else _MAX_BYTES)
        asked = {
            "container": container,
            "tailLines": str(self.tail),
            "limitBytes": str(most) if most else None,
            "sinceSeconds": str(self.since_seconds) if self.since_seconds else None,
            "previous": "true" if self.previous else None,
            "timestamps": "true" if self.timestamps else None,
            "follow": "true" if self.follow else None,
        }
        return {key: each for key, each in asked.items() if each is not None}
