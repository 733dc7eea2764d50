"""Bodies in the shape of OpenAI's API.

A field that is not here is ignored and never reaches the model server: OpenAI's clients send many
that only their own service knows.

https://platform.openai.com/docs/api-reference
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    field_validator,
)

from aichat_workspace.api.schemas.base import ApiModel, ClientModel, RequestBody

_MAX_MESSAGES = 2_000
_MAX_INPUTS = 2_048
_MAX_TOOLS = 128
_MAX_STOPS = 16

_ModelName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Field(description="A model or pattern of the workspace.", examples=["gemma2:2b"]),
]
_Count = Annotated[StrictInt, Field(ge=0, lt=2**31)]
_Penalty = Annotated[StrictFloat, Field(ge=-2, le=2)]


class _OpenAIRequest(RequestBody):
    """A body that ignores unknown fields."""

    model_config = ConfigDict(extra="ignore", alias_generator=None)
    max_values: ClassVar[int] = 20_000  # tools are described by long schemas

    def forwarded(self) -> dict[str, Any]:
        """Return the given fields for the model server; null is as good as left out."""
        return self.model_dump(mode="json", exclude_none=True, exclude_unset=True)


class ChatMessage(ClientModel):
    """A message of a chat."""

    model_config = ConfigDict(extra="ignore", alias_generator=None)

    role: Annotated[
        Literal["system", "user", "assistant", "tool"],
        BeforeValidator(lambda role: "system" if role == "developer" else role),
    ] = Field(description="Who says it; `developer` is as good as `system`.")
    content: str | list[dict[str, Any]] | None = Field(
        default=None,
        description="The text; or parts of it: `text`, and `image_url` with a `data:` URL for "
        "models that see. Addresses of images are not fetched.",
    )
    name: str | None = Field(default=None, description="The name of the tool that it is from.")
    tool_calls: list[dict[str, Any]] | None = Field(
        default=None, description="What the assistant wants to call."
    )
    tool_call_id: str | None = Field(default=None, description="The call that a tool answers.")
    reasoning: str | None = Field(default=None, description="The assistant's thinking.")


class StreamOptions(ClientModel):
    """How to stream."""

    model_config = ConfigDict(extra="ignore", alias_generator=None)

    include_usage: StrictBool = Field(
        default=False, description="Whether a last event tells the counts of tokens."
    )


class ChatCompletionRequest(_OpenAIRequest):
    """A chat to continue. Unknown fields are ignored; what is left out has OpenAI's default."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "gemma2:2b",
                    "messages": [{"role": "user", "content": "Good morning"}],
                }
            ]
        }
    )

    model: _ModelName
    messages: Annotated[list[ChatMessage], FailFast()] = Field(
        min_length=1, max_length=_MAX_MESSAGES, description="The chat until now."
    )
    stream: StrictBool | None = Field(
        default=None, description="Whether the reply comes in pieces, as server-sent events."
    )
    stream_options: StreamOptions | None = Field(default=None, description="How to stream.")
    max_tokens: _Count | None = Field(default=None, description="Tokens of the reply at most.")
    max_completion_tokens: _Count | None = Field(
        default=None, description="The newer name of max_tokens, which it overrides."
    )
    temperature: Annotated[StrictFloat, Field(ge=0, le=2)] | None = Field(
        default=None, description="How freely words are chosen; 1 when left out."
    )
    top_p: Annotated[StrictFloat, Field(ge=0, le=1)] | None = Field(
        default=None, description="The share of likely words to choose from; 1 when left out."
    )
    seed: Annotated[StrictInt, Field(ge=0, lt=2**31)] | None = Field(
        default=None, description="The same seed and chat give the same reply."
    )
    stop: str | Annotated[list[str], Field(max_length=_MAX_STOPS)] | None = Field(
        default=None, description="Texts at which the reply ends."
    )
    frequency_penalty: _Penalty | None = Field(
        default=None, description="How much to avoid words that came often."
    )
    presence_penalty: _Penalty | None = Field(
        default=None, description="How much to avoid words that came at all."
    )
    response_format: dict[str, Any] | None = Field(
        default=None, description="`json_object`, or `json_schema` with the schema to fill."
    )
    tools: Annotated[list[dict[str, Any]], Field(max_length=_MAX_TOOLS)] | None = Field(
        default=None, description="Functions that the model may call, if it can call any."
    )
    tool_choice: str | dict[str, Any] | None = Field(
        default=None,
        description="`none` keeps the tools from the model; it chooses by itself for any other.",
    )
    reasoning_effort: Annotated[str, StringConstraints(max_length=16)] | None = Field(
        default=None, description="How long a model that reasons thinks; `none` for not at all."
    )
    logprobs: StrictBool | None = Field(
        default=None, description="Whether to tell how likely each token was."
    )
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = Field(
        default=None, description="For how many further tokens to tell that."
    )
    n: Literal[1] | None = Field(default=None, description="One reply; more are not offered.")

    @field_validator("n", mode="before")
    @classmethod
    def _is_single(cls, value: object) -> object:
        if value not in (None, 1):
            raise ValueError("a request has one reply here; leave n out, and ask n times")
        return value

    def forwarded(self) -> dict[str, Any]:
        """Return the given fields for the model server, by the names that it knows."""
        fields = super().forwarded()
        if (tokens := fields.pop("max_completion_tokens", None)) is not None:
            fields["max_tokens"] = tokens
        if fields.pop("tool_choice", None) == "none":
            fields.pop("tools", None)
        fields.pop("n", None)
        return fields


class EmbeddingRequest(_OpenAIRequest):
    """Texts to embed. Unknown fields are ignored."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "nomic-embed-text", "input": "Good morning"}]}
    )

    model: _ModelName
    input: str | Annotated[list[str], Field(min_length=1, max_length=_MAX_INPUTS)] = Field(
        description="A text or several; lists of tokens are not taken."
    )
    dimensions: Annotated[StrictInt, Field(ge=1, le=65_536)] | None = Field(
        default=None, description="The length of each vector, where the model offers a choice."
    )
    encoding_format: Literal["float", "base64"] | None = Field(
        default=None, description="Numbers, or base64 of 32-bit floats."
    )


class OpenAIModel(ApiModel):
    """A model of the workspace."""

    model_config = ConfigDict(alias_generator=None)

    id: str = Field(description="Its name, for `model`.")
    object: Literal["model"] = Field(default="model", description="Always `model`.")
    created: int = Field(description="When it was changed last, in seconds since 1970; 0 unknown.")
    owned_by: str = Field(description="The workspace.")


class OpenAIModelList(ApiModel):
    """The models of a workspace in OpenAI's shape."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "list",
                    "data": [
                        {
                            "id": "gemma2:2b",
                            "object": "model",
                            "created": 1_795_000_000,
                            "owned_by": "team-a-aichat",
                        }
                    ],
                }
            ]
        }
    )

    object: Literal["list"] = Field(default="list", description="Always `list`.")
    data: tuple[OpenAIModel, ...] = Field(description="In the order of their names.")


class OpenAIError(ApiModel):
    """What is wrong, in OpenAI's shape."""

    message: str = Field(description="What is wrong and what to do, for people.")
    type: str = Field(description="The kind of status, for programs.")
    param: str | None = Field(description="The field that is wrong, if it is one.")
    code: str = Field(description="The kind of problem, for programs.")


class OpenAIErrorDocument(ApiModel):
    """An error in OpenAI's shape."""

    error: OpenAIError = Field(description="The error.")
