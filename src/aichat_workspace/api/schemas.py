"""What goes over the wire. OpenAPI is generated from these models, and the workspace's part of them
is the custom resource's own."""

import re
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from aichat_workspace.domain import names
from aichat_workspace.domain.platform import DnsLabel
from aichat_workspace.domain.spec import WorkspaceSpec
from aichat_workspace.domain.workspace import Phase, WorkspaceStatus

MAX_VALUES: Final = 2_000
MAX_DEPTH: Final = 32
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
Location = tuple[int | str, ...]


class Wire(BaseModel):
    """camelCase, and no field that nobody knows."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )


class Asked(Wire):
    """A body that somebody sends. Of one that holds too much, too deep or what is no text nothing
    else is looked at: each value that is wrong costs more to tell than to send."""

    @model_validator(mode="before")
    @classmethod
    def _is_plain(cls, value: object) -> object:
        left: list[tuple[Location, object]] = [((), value)]
        for _ in range(MAX_VALUES):
            if not left:
                return value
            at, found = left.pop()
            if len(at) > MAX_DEPTH:
                raise ValueError(f"it is nested deeper than {MAX_DEPTH}; nothing here is so deep")
            if isinstance(found, dict):
                for key, each in islice(found.items(), MAX_VALUES):
                    _require_text(key, at)
                    left.append(((*at, key), each))
            elif isinstance(found, list):
                left.extend(((*at, index), each) for index, each in enumerate(found[:MAX_VALUES]))
            elif isinstance(found, str):
                _require_text(found, at)
        raise ValueError(f"it holds more than {MAX_VALUES} values; nothing here needs so many")


def _require_text(found: str, at: Location) -> None:
    """JSON can write half of a surrogate pair, which is no text and can't be written again. Raises
    ValidationError that names the place."""
    if _SURROGATE.search(found):
        kind = PydanticCustomError("no_text", "half of a surrogate pair is no text; write UTF-8")
        raise ValidationError.from_exception_data(
            "text", [InitErrorDetails(type=kind, loc=at, input=None)]
        )


def shows(example: dict[str, Any]) -> ConfigDict:
    """With this as the example in OpenAPI."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class FieldProblem(Wire):
    """A field that is wrong."""

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


_WORKSPACE_EXAMPLE: dict[str, Any] = {
    "name": "team-a-aichat",
    "team": names.SYSTEM_NAMESPACE,
    "resource": "team-a-aichat",
    "uid": "0b2d7f3c-5c0e-4c57-9d3c-0f5e8a2b6c11",
    "generation": 1,
    "created": "2026-11-24T09:00:00Z",
    "deleting": False,
    "requestedBy": "ann",
    "spec": _SPEC_EXAMPLE,
    "status": {
        "observedGeneration": 1,
        "phase": "Ready",
        "isCreated": True,
        "url": "https://team-a-aichat.example.org",
        "namespace": {"name": "team-a-aichat", "uid": "5e1f0c0a-7f0b-4b43-8f3e-2c9d1a7b4e22"},
        "modelsReady": "1/1",
    },
}


class WorkspaceCreate(Asked):
    """A workspace to be made."""

    model_config = shows({"team": names.SYSTEM_NAMESPACE, "spec": _SPEC_EXAMPLE})

    team: Team = Field(
        default=names.SYSTEM_NAMESPACE,
        min_length=1,
        description="The team it belongs to: the namespace of its resource.",
    )
    spec: WorkspaceSpec


class WorkspaceReplace(Asked):
    """The whole spec anew: what is left out goes back to its default."""

    model_config = shows({"spec": _SPEC_EXAMPLE})

    spec: WorkspaceSpec


class WorkspacePatch(Asked):
    """A JSON Merge Patch (RFC 7396): null takes a field out, lists are replaced whole."""

    model_config = shows({"spec": {"models": ["gemma2:2b", "llama3.2"], "quota": None}})

    spec: dict[str, Any] = Field(description="The fields to change.")


class WorkspaceDocument(Wire):
    """One workspace."""

    model_config = shows(_WORKSPACE_EXAMPLE)

    name: str = Field(description="Its workspaceName.", examples=["team-a-aichat"])
    team: str = Field(description="The namespace of its resource.")
    resource: str = Field(description="The name of its AIChatWorkspace.")
    uid: str = Field(description="Another one if it is deleted and made anew.")
    generation: int = Field(description="Grows with each change of the spec.")
    created: datetime = Field(description="When its resource was made.")
    deleting: bool = Field(description="Whether it is on its way out.")
    requested_by: str | None = Field(
        description="Who asked this API for it; null where nobody says. It is an annotation of the "
        "resource, so whoever may write that with kubectl may write anything here: a hint for "
        "people, no proof."
    )
    spec: WorkspaceSpec = Field(description="What the team asks for.")
    status: WorkspaceStatus = Field(description="What the operator says of it.")


class WorkspaceList(Wire):
    """A page of workspaces, in the order of their names."""

    model_config = shows(
        {
            "items": [_WORKSPACE_EXAMPLE],
            "nextPage": "WyJ0ZWFtLWEtYWljaGF0IiwidGVhbS1hIiwidGVhbS1hLWFpY2hhdCJd",
        }
    )

    items: tuple[WorkspaceDocument | dict[str, Any], ...] = Field(
        description="Whole workspaces, or with `fields` only what was asked for."
    )
    next_page: str | None = Field(
        description="Send it as `page` for what follows; null on the last page."
    )


class EventDocument(Wire):
    """Something that happened to a workspace or to an object of it."""

    time: datetime = Field(description="When, the last time.")
    type: str = Field(description="Normal or Warning.")
    reason: str = Field(description="What, in one word for programs.")
    message: str = Field(description="What, for people.")
    object: str = Field(description="What it happened to, as `Pod team-a-aichat-ollama-0`.")
    count: int = Field(description="How often.")


class EventList(Wire):
    """What happened to a workspace."""

    model_config = shows(
        {
            "items": [
                {
                    "time": "2026-11-24T09:01:30Z",
                    "type": "Normal",
                    "reason": "Created",
                    "message": "Created container: ollama",
                    "object": "Pod team-a-aichat-ollama-0",
                    "count": 1,
                }
            ]
        }
    )

    items: tuple[EventDocument, ...] = Field(description="The newest first.")


class Finding(Wire):
    """One thing that is not as it should be, and what to do."""

    condition: str = Field(description="The condition, model or pattern that says so.")
    reason: str = Field(description="Why, in one word for programs.")
    message: str = Field(description="What is wrong here.")
    advice: str = Field(description="What to do about this kind of trouble.")


class Diagnosis(Wire):
    """Why a workspace is not ready, in one place."""

    model_config = shows(
        {
            "phase": "Degraded",
            "summary": "gemma2:2bb: the registry has no such model",
            "findings": [
                {
                    "condition": "model gemma2:2bb",
                    "reason": "Failed",
                    "message": "the registry has no such model",
                    "advice": "Correct the name in spec.models.",
                }
            ],
        }
    )

    phase: Phase = Field(description="Where the workspace is, in one word.")
    summary: str = Field(description="One sentence.")
    findings: tuple[Finding, ...] = Field(description="The most important first.")


class InstalledModel(Wire):
    """A model that the workspace's server has."""

    name: str = Field(description="As the server lists it.")
    size_bytes: int = Field(description="How much room it takes.")
    origin: Literal["model", "pattern", "person"] = Field(
        description="From spec.models, from spec.patterns, or made by a person in the chat."
    )


class InstalledModels(Wire):
    """What a workspace's server has."""

    model_config = shows(
        {"items": [{"name": "gemma2:2b", "sizeBytes": 1_629_518_495, "origin": "model"}]}
    )

    items: tuple[InstalledModel, ...] = Field(description="In the order of their names.")


class PatternDocument(Wire):
    """A system prompt that a workspace can offer as a model."""

    name: str = Field(description="For spec.patterns.")
    prompt: str = Field(description="The system prompt.")
    origin: str = Field(description="Built in, or the ConfigMap that has it.")


class PatternList(Wire):
    """Patterns to choose from."""

    model_config = shows(
        {
            "items": [
                {
                    "name": "explain_code",
                    "prompt": "You explain code to whoever reads it first.",
                    "origin": "built in",
                }
            ]
        }
    )

    items: tuple[PatternDocument, ...] = Field(description="In the order of their names.")


class ModelUse(Wire):
    """A model that workspaces which the caller may see have chosen."""

    name: str = Field(description="For spec.models.")
    workspaces: int = Field(description="How many of them.")


class ModelList(Wire):
    """Models to choose from."""

    model_config = shows(
        {
            "allowedRegistries": ["registry.ollama.ai"],
            "embeddingModel": "nomic-embed-text",
            "inUse": [{"name": "gemma2:2b", "workspaces": 3}],
        }
    )

    allowed_registries: tuple[str, ...] = Field(
        description="Registries that models may come from; any when empty."
    )
    embedding_model: str | None = Field(description="The platform's, for documents.")
    in_use: tuple[ModelUse, ...] = Field(description="The most chosen first.")


class Prompt(Asked):
    """A question to a workspace's model."""

    model_config = shows({"prompt": "Good morning", "model": "gemma2:2b"})

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=32_768)] = Field(
        description="What to ask."
    )
    model: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="A model or pattern of it; the spec's first model when left out."
    )
    system: Annotated[str, StringConstraints(max_length=32_768)] | None = Field(
        default=None, description="A system prompt in place of the model's own."
    )
    temperature: Annotated[StrictFloat, Field(ge=0, le=2)] | None = Field(
        default=None,
        description="How freely words are chosen: 0 for the likeliest; the model's own when left "
        "out.",
    )
    seed: Annotated[StrictInt, Field(ge=0, lt=2**31)] | None = Field(
        default=None,
        description="The same seed and prompt give the same reply, but for rounding in a long one; "
        "by chance when left out.",
    )
    stream: StrictBool = Field(
        default=True,
        description="Whether the reply comes word by word, as server-sent events, or whole.",
    )


class Reply(Wire):
    """A model's whole reply."""

    model_config = shows({"model": "gemma2:2b", "reply": "Good morning! How can I help?"})

    model: str = Field(description="Who answers.")
    reply: str = Field(description="The answer.")


class Credentials(Wire):
    """How the first administrator signs in to the chat. It holds as long as nobody has changed the
    password there."""

    model_config = shows(
        {
            "url": "https://team-a-aichat.example.org",
            "email": "admin@team-a-aichat.example.org",
            "password": "correct-horse-battery-staple",
        }
    )

    url: str | None = Field(description="Where the chat is; null while it has no address.")
    email: str = Field(description="Whom to sign in as.")
    password: str = Field(description="With what.")


class TeamRights(Wire):
    """What the caller may do in one team."""

    team: str = Field(description="The team's namespace.")
    verbs: tuple[str, ...] = Field(
        description="What the caller may do with the team's workspaces, as "
        "`create`, `get` or `get aichatworkspaces/credentials`."
    )


class Identity(Wire):
    """Who the caller is, and what Kubernetes lets him do."""

    model_config = shows(
        {
            "username": "ann",
            "groups": ["system:authenticated"],
            "everywhere": [],
            "teams": [{"team": "team-a", "verbs": ["create", "get", "list", "watch"]}],
        }
    )

    username: str = Field(description="As the cluster calls him.")
    groups: tuple[str, ...] = Field(description="His groups there.")
    everywhere: tuple[str, ...] = Field(description="What he may do in every team.")
    teams: tuple[TeamRights, ...] = Field(description="What more he may do in which team.")


class Defaults(Wire):
    """What a workspace gets that does not choose for itself."""

    cpu_request: str = Field(description="CPU set aside.")
    cpu_limit: str = Field(description="CPU it may use at most.")
    memory_request: str = Field(description="Memory set aside.")
    memory_limit: str = Field(description="Memory at which it is stopped.")
    storage: str = Field(description="Size of its volume.")


class Ceilings(Wire):
    """What one workspace may have at most."""

    cpu: str = Field(description="Sum of all CPU limits.")
    memory: str = Field(description="Sum of all memory limits.")
    storage: str = Field(description="Sum of all volumes.")
    gpus: int = Field(description="Graphics processors.")


class PlatformDocument(Wire):
    """The platform's settings that matter to whoever makes a workspace."""

    model_config = shows(
        {
            "domain": "example.org",
            "allowedDomains": [],
            "ceiling": {"cpu": "64", "memory": "256Gi", "storage": "1Ti", "gpus": 8},
            "ollama": {
                "cpuRequest": "500m",
                "cpuLimit": "4",
                "memoryRequest": "1Gi",
                "memoryLimit": "8Gi",
                "storage": "20Gi",
            },
            "openWebUI": {
                "cpuRequest": "100m",
                "cpuLimit": "2",
                "memoryRequest": "512Mi",
                "memoryLimit": "2Gi",
                "storage": "2Gi",
            },
            "embeddingModel": "nomic-embed-text",
            "allowedRegistries": [],
            "tls": True,
            "version": "1.0.0",
        }
    )

    domain: str = Field(description="Workspaces are served at <workspaceName>.<domain>.")
    allowed_domains: tuple[str, ...] = Field(
        description="Further domains under which a workspace may name its own host."
    )
    ceiling: Ceilings = Field(description="What one workspace may have at most.")
    ollama: Defaults = Field(description="The model server's share.")
    open_webui: Defaults = Field(alias="openWebUI", description="The chat front-end's share.")
    embedding_model: str | None = Field(
        description="Model that reads uploaded documents; null for none."
    )
    allowed_registries: tuple[str, ...] = Field(
        description="Registries that models may come from; any when empty."
    )
    tls: bool = Field(description="Whether workspaces are served by TLS.")
    version: str = Field(description="This API's.")


class SignIn(Asked):
    """A token to sign in with."""

    model_config = shows({"token": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"})

    token: Annotated[
        str,
        StringConstraints(min_length=1, max_length=16_384, pattern=r"^[A-Za-z0-9._~+/-]+=*$"),
    ] = Field(description="One that the Kubernetes API server accepts for the API's audience.")


class SessionDocument(Wire):
    """A browser's session."""

    model_config = shows(
        {
            "username": "ann",
            "csrfToken": "Zk1mY0x0b0ZtY0x0b0ZtY0x0b0ZtY0x0b0ZtY0x0b0Y=",
            "expires": "2026-11-24T17:00:00Z",
        }
    )

    username: str = Field(description="As the cluster calls the person.")
    csrf_token: str = Field(description="For the header X-CSRF-Token, in all that changes.")
    expires: datetime = Field(description="When the session ends, or its token expires.")
