"""Query parameters. Unknown ones are refused: a mistyped `dryRun` must not change anything."""

from typing import Annotated, Final, Literal, LiteralString, Self

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from aichat_workspace.api.schemas.base import ClientModel
from aichat_workspace.api.workspaces.logs.query import LogQuery
from aichat_workspace.api.workspaces.logs.reader import Workload
from aichat_workspace.api.workspaces.pages import MAX_LIMIT, Filter
from aichat_workspace.api.workspaces.selectors import (
    CONDITIONS_PATTERN,
    LABELS_PATTERN,
    parse_conditions,
    parse_labels,
)
from aichat_workspace.api.workspaces.writing.service import ChangeOptions
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.models.fit import Room
from aichat_workspace.domain.v1alpha1.field_types import ByteSize, DnsLabel, LabelValue
from aichat_workspace.domain.v1alpha1.workspace_status import Phase

WAIT_SECONDS: Final = 60
MAX_WAIT_SECONDS: Final = 300


def _written_out(value: object) -> object:
    """Pydantic takes a number for seconds since 1970; the document promises a time as RFC 3339."""
    if isinstance(value, str) and not value.partition("T")[2]:
        raise ValueError("write a time as 2026-11-01T00:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
Team = Annotated[DnsLabel, StringConstraints(min_length=1)]


class NoQuery(ClientModel):
    """No parameters."""


class WorkspaceQuery(ClientModel):
    """Which workspace of a name."""

    team: Team | None = Field(
        default=None,
        description="The team, where several resources name the workspace; the one that counts "
        "when left out.",
    )


class ReadQuery(WorkspaceQuery):
    """How to read a workspace."""

    wait: Phase | None = Field(
        default=None,
        description="Answer once it is in this phase, as `Ready`; 504 if that takes longer than "
        "`timeout`.",
    )
    timeout: int | None = Field(
        default=None,
        ge=1,
        le=MAX_WAIT_SECONDS,
        description=f"Seconds to `wait`; {WAIT_SECONDS} when left out.",
    )

    @model_validator(mode="after")
    def _has_use(self) -> Self:
        if self.timeout is not None and self.wait is None:
            raise _query_error("timeout", self.timeout, "it needs `wait`; name a phase there")
        return self


class WorkspaceLogQuery(LogQuery, WorkspaceQuery):
    """The parameters of a log."""


class AccessQuery(ClientModel):
    """What the caller wants to do."""

    verb: Literal["create", "get", "list", "watch", "update", "patch", "delete"] = Field(
        description="The verb, as in a Role."
    )
    subresource: Literal["log", "prompt", "credentials"] | None = Field(
        default=None, description="The part of a workspace; the whole when left out."
    )
    team: Team | None = Field(default=None, description="The team; every one when left out.")


class CatalogueQuery(WorkspaceQuery):
    """What a model is to fit."""

    workspace: str | None = Field(
        default=None,
        min_length=1,
        max_length=names.WORKSPACE_NAME_MAX_LENGTH,
        pattern=names.WORKSPACE_NAME_PATTERN,
        description="Say whether each model fits this workspace.",
    )
    memory: ByteSize | None = Field(
        default=None, description="Say whether each model fits this memory limit, as 8Gi."
    )
    storage: ByteSize | None = Field(
        default=None, description="Say whether each model fits an empty volume of this size."
    )

    @model_validator(mode="after")
    def _is_of_one_thing(self) -> Self:
        if self.workspace is None and self.team is not None:
            raise _query_error("team", self.team, "it needs `workspace`; name one there")
        for name in ("memory", "storage") if self.workspace is not None else ():
            if (value := getattr(self, name)) is not None:
                raise _query_error(name, value, "the workspace has its own; leave out one of both")
        return self

    @property
    def room(self) -> Room | None:
        """The room that the query names; None without one."""
        if self.memory is None and self.storage is None:
            return None
        return Room(_bytes(self.memory), _bytes(self.storage))


class OptionsQuery(ClientModel):
    """Whose choices."""

    team: Team | None = Field(default=None, description="Say how many more this team may have.")


class CreateQuery(ClientModel):
    """How to create a workspace."""

    dry_run: bool = Field(default=False, description="Check everything, and change nothing.")


class ChangeQuery(CreateQuery, WorkspaceQuery):
    """How to change a workspace."""

    def options(self, if_match: str | None) -> ChangeOptions:
        """Return the options of a change with this If-Match."""
        return ChangeOptions(self.team, if_match, self.dry_run)


def _bytes(size: str | None) -> int:
    """Return the bytes; 0 for a size that is not given, and 1 for a part of one."""
    return max(int(quantity.parse(size)), 1) if size else 0


def _query_error(name: str, value: object, message: LiteralString) -> ValidationError:
    """Return the error of a parameter that means nothing beside the others."""
    details = InitErrorDetails(
        type=PydanticCustomError("no_use", message), loc=(name,), input=value
    )
    return ValidationError.from_exception_data("query", [details])


class RestartQuery(ChangeQuery):
    """How to restart a workspace."""

    workload: Literal["ollama", "openwebui", "all"] = Field(
        default="all", description="Whose pod: the model server's, the chat's or both."
    )

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """The workloads to restart."""
        return tuple(Workload) if self.workload == "all" else (Workload(self.workload),)


class FieldsQuery(ClientModel):
    """What of each workspace to send."""

    fields: str | None = Field(
        default=None,
        max_length=512,
        pattern=r"^[A-Za-z][A-Za-z0-9]*([.,][A-Za-z][A-Za-z0-9]*)*$",
        description="Only these fields, by dotted paths, as `name,status.phase`. The workspaces "
        "then hold nothing else.",
    )

    @property
    def paths(self) -> list[str]:
        """The dotted paths of `fields`; empty for whole workspaces."""
        return self.fields.split(",") if self.fields else []


class ListQuery(FieldsQuery):
    """Which workspaces to list, and how."""

    team: Team | None = Field(default=None, description="Only this team's.")
    phase: Phase | None = Field(default=None, description="Only in this phase.")
    owner: str | None = Field(
        default=None, max_length=512, description="Only those whose `requestedBy` this user is."
    )
    q: str | None = Field(
        default=None,
        max_length=128,
        description="Only with this text in name, display name, team or URL.",
    )
    label: str | None = Field(
        default=None,
        max_length=1024,
        pattern=LABELS_PATTERN,
        description="Only with such `spec.labels`, as `stage=prod,purpose!=test,!old,owner`: all "
        "of it has to be so.",
    )
    cost_centre: LabelValue | None = Field(
        default=None, description="Only with this `spec.costCentre`; empty for those without one."
    )
    condition: str | None = Field(
        default=None,
        max_length=512,
        pattern=CONDITIONS_PATTERN,
        description="Only with these conditions, as `Ready=False,UpToDate=True`. A condition that "
        "a workspace does not have is none of the three.",
    )
    idle_since: Moment | None = Field(
        default=None,
        description="Only those that were there at this time and that nobody has used since, as "
        "`2026-11-01T00:00:00Z`: neither the chat nor, by this API, a model. Where that is not "
        "known, since the chat could not be asked after that time, a workspace is left out; a "
        "suspended one has no users.",
    )
    sort: Literal[
        "name",
        "-name",
        "team",
        "-team",
        "created",
        "-created",
        "phase",
        "-phase",
        "usedAt",
        "-usedAt",
    ] = Field(
        default="name",
        description="The order; a minus turns it round, as `-created` for the youngest first. By "
        "`usedAt` those that nobody has used come first. By `phase` or `usedAt`, a "
        "workspace that changes it between two pages may be on both or on none.",
    )
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT, description="Workspaces on a page.")
    count: bool = Field(default=False, description="Tell in `total` how many all pages have.")
    page: str | None = Field(
        default=None, max_length=1024, description="`nextPage` of the answer before."
    )

    @property
    def filter(self) -> Filter:
        """Which workspaces to list."""
        return Filter(
            self.team,
            self.phase,
            self.owner,
            self.q,
            self.cost_centre,
            parse_labels(self.label),
            parse_conditions(self.condition),
            self.idle_since,
        )


class WatchQuery(FieldsQuery):
    """Which workspaces to watch."""

    team: Team | None = Field(default=None, description="Only this team's.")
    name: str | None = Field(
        default=None,
        max_length=names.WORKSPACE_NAME_MAX_LENGTH,
        description="Only the workspace of this name.",
    )
