"""What goes over the wire. OpenAPI is generated from these models, and the workspace's part of them
is the custom resource's own."""

from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from aichat_workspace.domain import names
from aichat_workspace.domain.platform import DnsLabel
from aichat_workspace.domain.spec import WorkspaceSpec
from aichat_workspace.domain.workspace import Phase, WorkspaceStatus

MAX_VALUES: Final = 2_000


class Wire(BaseModel):
    """camelCase, and no field that nobody knows."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )


class Asked(Wire):
    """A body that somebody sends. Of one that holds too much nothing is looked at: each value that
    is wrong costs more to tell than to send."""

    @model_validator(mode="before")
    @classmethod
    def _holds_little(cls, value: object) -> object:
        left = [value]
        for _ in range(MAX_VALUES):
            if not left:
                return value
            found = left.pop()
            if isinstance(found, dict):
                left.extend(islice(found.values(), MAX_VALUES))
            elif isinstance(found, list):
                left.extend(islice(found, MAX_VALUES))
        raise ValueError(f"it holds more than {MAX_VALUES} values; nothing here needs so many")


class FieldProblem(Wire):
    field: str = Field(description="Path of the field, as `spec.models[0]`; empty for the whole.")
    message: str = Field(description="What is wrong and what to do.")


class ProblemDocument(Wire):
    """An answer that says no (RFC 9457)."""

    type: str = Field(description="The kind of problem, as a URN that ends with `code`.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="The kind of problem, for programs.")
    detail: str = Field(description="What is wrong and what to do, for people.")
    instance: str = Field(description="The path that was asked for.")
    errors: tuple[FieldProblem, ...] = Field(default=(), description="The fields that are wrong.")


Team = Annotated[DnsLabel, Field(examples=[names.SYSTEM_NAMESPACE])]
_SPEC_EXAMPLE: dict[str, Any] = {
    "workspaceName": "team-a-aichat",
    "models": ["gemma2:2b"],
    "patterns": ["explain_code"],
}


class WorkspaceCreate(Asked):
    """A workspace to be made."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"team": names.SYSTEM_NAMESPACE, "spec": _SPEC_EXAMPLE}]}
    )

    team: Team = Field(
        default=names.SYSTEM_NAMESPACE,
        min_length=1,
        description="The team it belongs to: the namespace of its resource.",
    )
    spec: WorkspaceSpec


class WorkspaceReplace(Asked):
    """The whole spec anew: what is left out goes back to its default."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"spec": _SPEC_EXAMPLE}]})

    spec: WorkspaceSpec


class WorkspacePatch(Asked):
    """A JSON Merge Patch (RFC 7396): null takes a field out, lists are replaced whole."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"spec": {"models": ["gemma2:2b", "llama3.2"], "quota": None}}]
        }
    )

    spec: dict[str, Any] = Field(description="The fields to change.")


class WorkspaceDocument(Wire):
    """One workspace."""

    name: str = Field(description="Its workspaceName.", examples=["team-a-aichat"])
    team: str = Field(description="The namespace of its resource.")
    resource: str = Field(description="The name of its AIChatWorkspace.")
    uid: str = Field(description="Another one if it is deleted and made anew.")
    generation: int = Field(description="Grows with each change of the spec.")
    created: datetime
    deleting: bool = Field(description="Whether it is on its way out.")
    requested_by: str | None = Field(description="Who asked this API for it; null for others.")
    spec: WorkspaceSpec
    status: WorkspaceStatus


class WorkspaceList(Wire):
    """A page of workspaces, in the order of their names."""

    items: tuple[WorkspaceDocument | dict[str, Any], ...] = Field(
        description="Whole workspaces, or with `fields` only what was asked for."
    )
    next_page: str | None = Field(
        description="Send it as `page` for what follows; null on the last page."
    )


class EventDocument(Wire):
    """Something that happened to a workspace or to an object of it."""

    time: datetime
    type: str = Field(description="Normal or Warning.")
    reason: str
    message: str
    object: str = Field(description="What it happened to, as `Pod team-a-aichat-ollama-0`.")
    count: int = Field(description="How often.")


class EventList(Wire):
    items: tuple[EventDocument, ...] = Field(description="The newest first.")


class Finding(Wire):
    """One thing that is not as it should be, and what to do."""

    condition: str = Field(description="The condition, model or pattern that says so.")
    reason: str
    message: str = Field(description="What is wrong here.")
    advice: str = Field(description="What to do about this kind of trouble.")


class Diagnosis(Wire):
    """Why a workspace is not ready, in one place."""

    phase: Phase
    summary: str = Field(description="One sentence.")
    findings: tuple[Finding, ...] = Field(description="The most important first.")


class InstalledModel(Wire):
    """A model that the workspace's server has."""

    name: str
    size_bytes: int
    origin: Literal["model", "pattern", "person"] = Field(
        description="From spec.models, from spec.patterns, or made by a person in the chat."
    )


class InstalledModels(Wire):
    items: tuple[InstalledModel, ...]


class PatternDocument(Wire):
    """A system prompt that a workspace can offer as a model."""

    name: str
    prompt: str
    origin: str = Field(description="Built in, or the ConfigMap that has it.")


class PatternList(Wire):
    items: tuple[PatternDocument, ...]


class ModelUse(Wire):
    """A model that workspaces which the caller may see have chosen."""

    name: str
    workspaces: int = Field(description="How many of them.")


class ModelList(Wire):
    allowed_registries: tuple[str, ...] = Field(
        description="Registries that models may come from; any when empty."
    )
    embedding_model: str | None = Field(description="The platform's, for documents.")
    in_use: tuple[ModelUse, ...]


class Prompt(Asked):
    """A question to a workspace's model."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "Good morning", "model": "gemma2:2b"}]}
    )

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=32_768)]
    model: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="A model or pattern of it; the spec's first model when left out."
    )
    system: Annotated[str, StringConstraints(max_length=32_768)] | None = Field(
        default=None, description="A system prompt in place of the model's own."
    )
    stream: StrictBool = Field(
        default=True,
        description="Whether the reply comes word by word, as server-sent events, or whole.",
    )


class Reply(Wire):
    model: str
    reply: str


class Credentials(Wire):
    """How the first administrator signs in to the chat. It holds as long as nobody has changed the
    password there."""

    url: str | None
    email: str
    password: str


class TeamRights(Wire):
    team: str
    verbs: tuple[str, ...] = Field(
        description="What the caller may do with the team's workspaces, as "
        "`create`, `get` or `get aichatworkspaces/credentials`."
    )


class Identity(Wire):
    """Who the caller is, and what Kubernetes lets him do."""

    username: str
    groups: tuple[str, ...]
    everywhere: tuple[str, ...] = Field(description="What he may do in every team.")
    teams: tuple[TeamRights, ...] = Field(description="What more he may do in which team.")


class Defaults(Wire):
    """What a workspace gets that does not choose for itself."""

    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str
    storage: str


class Ceilings(Wire):
    cpu: str
    memory: str
    storage: str
    gpus: int


class PlatformDocument(Wire):
    """The platform's settings that matter to whoever makes a workspace."""

    domain: str
    allowed_domains: tuple[str, ...]
    ceiling: Ceilings
    ollama: Defaults
    open_webui: Defaults = Field(alias="openWebUI")
    embedding_model: str | None
    allowed_registries: tuple[str, ...]
    tls: bool = Field(description="Whether workspaces are served by TLS.")
    version: str = Field(description="This API's.")


class SignIn(Asked):
    """A token to sign in with."""

    token: Annotated[
        str,
        StringConstraints(min_length=1, max_length=16_384, pattern=r"^[A-Za-z0-9._~+/-]+=*$"),
    ] = Field(description="One that the Kubernetes API server accepts for the API's audience.")


class SessionDocument(Wire):
    """A browser's session."""

    username: str
    csrf_token: str = Field(description="For the header X-CSRF-Token, in all that changes.")
    expires: datetime = Field(description="When the session ends, or its token expires.")
