"""Bodies about workspaces. Spec and status are the custom resource's own models."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
)

from aichat_workspace.api.schemas.base import ApiModel, RequestBody, Team, with_example
from aichat_workspace.domain import names
from aichat_workspace.domain.reasons import Reason, Severity
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from aichat_workspace.domain.v1alpha1.workspace_status import ModelEntry, Phase, WorkspaceStatus

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
        "activity": {"usedAt": "2026-11-24T16:40:00Z", "askedAt": "2026-11-25T08:12:00Z"},
    },
}


def _parse_spec(value: object) -> WorkspaceSpec:
    return WorkspaceSpec.model_validate(value, by_alias=True, by_name=False)


Spec = Annotated[WorkspaceSpec, BeforeValidator(_parse_spec)]
"""A spec whose fields have their documented names only; Python's are for our own code."""


class WorkspaceCreate(RequestBody):
    """A workspace to create."""

    model_config = with_example({"team": names.SYSTEM_NAMESPACE, "spec": _SPEC_EXAMPLE})

    team: Team = Field(
        default=names.SYSTEM_NAMESPACE,
        min_length=1,
        description="The team it belongs to: the namespace of its resource.",
    )
    spec: Spec


class WorkspaceReplace(RequestBody):
    """The whole new spec: omitted fields return to their defaults."""

    model_config = with_example({"spec": _SPEC_EXAMPLE})

    spec: Spec


class WorkspacePatch(RequestBody):
    """A JSON Merge Patch (RFC 7396): null takes a field out, lists are replaced whole."""

    model_config = with_example({"spec": {"models": ["gemma2:2b", "llama3.2"], "quota": None}})

    spec: dict[str, Any] = Field(description="The fields to change.")


class WorkspaceDocument(ApiModel):
    """One workspace."""

    model_config = with_example(_WORKSPACE_EXAMPLE)

    name: str = Field(description="Its workspaceName.", examples=["team-a-aichat"])
    team: str = Field(description="The namespace of its resource.")
    resource: str = Field(description="The name of its AIChatWorkspace.")
    uid: str = Field(description="Changes when it is deleted and created again.")
    generation: int = Field(description="Grows with each change of the spec.")
    created: datetime = Field(description="When its resource was created.")
    deleting: bool = Field(description="Whether it is being deleted.")
    requested_by: str | None = Field(
        description="Who requested it by this API; null where that is unknown. It is an annotation "
        "that anyone with write access to the resource can change: a hint for people, no proof."
    )
    spec: WorkspaceSpec = Field(description="What the team asks for.")
    status: WorkspaceStatus = Field(description="What the operator reports.")


class WorkspaceList(ApiModel):
    """A page of workspaces, in the order of their names."""

    model_config = with_example(
        {
            "items": [_WORKSPACE_EXAMPLE],
            "nextPage": "WyJ0ZWFtLWEtYWljaGF0IiwidGVhbS1hIiwidGVhbS1hLWFpY2hhdCJd",
            "total": 2,
        }
    )

    items: tuple[WorkspaceDocument, ...] = Field(description="Whole workspaces.")
    next_page: str | None = Field(
        description="Send it as `page` for what follows; null on the last page."
    )
    total: int | None = Field(
        default=None, description="Workspaces on all pages together, with `count=true` only."
    )


class PartialWorkspaceList(ApiModel):
    """A page of workspaces with only the `fields` of the query."""

    model_config = with_example(
        {"items": [{"name": "team-a-aichat", "status": {"phase": "Ready"}}], "nextPage": None}
    )

    items: tuple[dict[str, Any], ...] = Field(description="What was asked for, of each workspace.")
    next_page: str | None = Field(
        description="Send it as `page` for what follows; null on the last page."
    )
    total: int | None = Field(
        default=None, description="Workspaces on all pages together, with `count=true` only."
    )


class EventDocument(ApiModel):
    """Something that happened to a workspace or to an object of it."""

    time: datetime = Field(description="When, the last time.")
    type: str = Field(description="Normal or Warning.")
    reason: str = Field(description="What, in one word for programs.")
    message: str = Field(description="What, for people.")
    object: str = Field(description="The object, as `Pod team-a-aichat-ollama-0`.")
    count: int = Field(description="How often.")


class EventList(ApiModel):
    """What happened to a workspace."""

    model_config = with_example(
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


class Finding(ApiModel):
    """One problem, and what to do."""

    condition: str = Field(description="The condition, model or pattern with the problem.")
    reason: str = Field(description="Why, in one word for programs.")
    code: str = Field(
        description="The reason's code, which never changes its meaning; empty for an unknown one."
    )
    severity: Severity = Field(
        description="Waiting: time is enough. Warning: it works, and not as asked. Error: a person "
        "has to act."
    )
    message: str = Field(description="What is wrong here.")
    advice: str = Field(description="What to do about this kind of trouble.")
    reference: str = Field(description="Where the documentation explains it.")


class Diagnosis(ApiModel):
    """What keeps a workspace from being as it was asked, the most urgent first."""

    model_config = with_example(
        {
            "phase": "Degraded",
            "summary": "gemma2:2bb: the registry has no such model",
            "findings": [
                {
                    "condition": "model gemma2:2bb",
                    "reason": Reason.MODEL_NOT_FOUND,
                    "code": Reason.MODEL_NOT_FOUND.code,
                    "severity": Reason.MODEL_NOT_FOUND.severity,
                    "message": "the registry has no such model",
                    "advice": Reason.MODEL_NOT_FOUND.fix,
                    "reference": Reason.MODEL_NOT_FOUND.reference,
                }
            ],
        }
    )

    phase: Phase = Field(description="Where the workspace is, in one word.")
    summary: str = Field(description="One sentence.")
    findings: tuple[Finding, ...] = Field(description="The most important first.")


class InstalledModel(ApiModel):
    """A model that the workspace's server has."""

    name: str = Field(description="As the server lists it.")
    size_bytes: int = Field(description="Its size on disk.")
    origin: Literal["model", "pattern", "person"] = Field(
        description="From spec.models, from spec.patterns, or made by a person in the chat."
    )
    parameters: str | None = Field(
        description="How many it has, as `2.6B`; null where the server does not state it."
    )
    quantization: str | None = Field(
        description="How exactly they are stored, as `Q4_0`; null where that is unknown."
    )
    context_length: int | None = Field(
        description="Tokens that it can keep in view; null where that is unknown. The server may "
        "offer fewer, for want of memory."
    )
    licence: str | None = Field(
        description="Its licence: as its file or its author names it, or else the first line of "
        "its text; null where none is stated."
    )


class InstalledModels(ApiModel):
    """What a workspace's server has."""

    model_config = with_example(
        {
            "items": [
                {
                    "name": "gemma2:2b",
                    "sizeBytes": 1_629_518_495,
                    "origin": "model",
                    "parameters": "2.6B",
                    "quantization": "Q4_0",
                    "contextLength": 8192,
                    "licence": "Gemma Terms of Use",
                }
            ]
        }
    )

    items: tuple[InstalledModel, ...] = Field(description="In the order of their names.")


class ModelProgress(ModelEntry):
    """How far one model of the workspace is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "gemma2:2b",
                    "state": "Pulling",
                    "completedBytes": 400_000_000,
                    "totalBytes": 1_629_518_495,
                    "percent": 24,
                    "bytesPerSecond": 40_000_000,
                    "etaSeconds": 31,
                }
            ]
        }
    )


class EntryAdd(RequestBody):
    """A model or pattern to add."""

    model_config = with_example({"name": "gemma2:2b"})

    name: str = Field(description="Its name, as in the spec.")


class ConnectionAdd(RequestBody):
    """A connection to add."""

    model_config = with_example(
        {"name": "example", "url": "https://api.example.org/v1", "secretName": "example-key"}
    )

    name: str = Field(description="Its name in the list.")
    url: str = Field(description="Its base URL, as https://api.example.org/v1.")
    secret_name: str = Field(
        description="A Secret in the system namespace with the key apiKey, for this workspace."
    )


class Prompt(RequestBody):
    """A question to a workspace's model."""

    model_config = with_example({"prompt": "Good morning", "model": "gemma2:2b"})

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
        default=False,
        description="Whether the reply comes word by word, as server-sent events; as with "
        "`Accept: text/event-stream`. Else it comes whole, as JSON.",
    )


class ReplyEnd(ApiModel):
    """How a reply ended. What the model server does not state is null."""

    model: str = Field(description="The model that answers.")
    done_reason: str | None = Field(
        description="`stop` for a complete reply, `length` for one that the model's limit of "
        "tokens cut."
    )
    prompt_tokens: int | None = Field(description="Tokens of the prompt.")
    reply_tokens: int | None = Field(description="Tokens of the reply, with its thinking.")
    seconds: float | None = Field(description="How long it took, with loading the model.")


class Reply(ReplyEnd):
    """A model's whole reply."""

    model_config = with_example(
        {
            "model": "gemma2:2b",
            "doneReason": "stop",
            "promptTokens": 11,
            "replyTokens": 9,
            "seconds": 0.8,
            "reply": "Good morning! How can I help?",
            "thinking": "",
        }
    )

    reply: str = Field(description="The answer.")
    thinking: str = Field(
        description="What a model that reasons said to itself; empty for another."
    )


class Credentials(ApiModel):
    """How the first administrator signs in to the chat, unless the password was changed there."""

    model_config = with_example(
        {
            "url": "https://team-a-aichat.example.org",
            "email": "admin@team-a-aichat.example.org",
            "password": "correct-horse-battery-staple",
        }
    )

    url: str | None = Field(description="Where the chat is; null while it has no address.")
    email: str = Field(description="The name to sign in with.")
    password: str = Field(description="The password to sign in with.")
