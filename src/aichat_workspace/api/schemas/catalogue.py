"""Bodies about the models that people can pick."""

from pydantic import Field

from aichat_workspace.api.schemas.base import ApiModel, with_example
from aichat_workspace.domain.models.catalogue import CHECKED, Capability


class Raise(ApiModel):
    """A field of the workspace to raise."""

    field: str = Field(description="Its path, as spec.resources.ollama.memoryLimit.")
    to: str = Field(description="The least value that is enough, as 14Gi.")
    message: str = Field(description="Why.")


class CatalogueModel(ApiModel):
    """A model that a workspace may name. What is not known of it is null."""

    name: str = Field(description="For spec.models.")
    workspaces: int = Field(description="How many that the caller may see ask for it.")
    size_bytes: int | None = Field(description="Bytes to download.")
    is_size_measured: bool = Field(
        description="Whether a workspace that the caller may see has it, so its size is exact."
    )
    memory_bytes: int | None = Field(
        description="Bytes of memory that are enough at the default context, without graphics "
        "processors."
    )
    context_length: int | None = Field(
        description="Tokens of the longest context that it was made for."
    )
    capabilities: tuple[Capability, ...] | None = Field(
        description="What it can do: completion, tools, vision, thinking, embedding."
    )
    licence: str | None = Field(description="Its licence, by SPDX or its own name.")
    source: str | None = Field(description="Where more is said of it.")
    fits: bool | None = Field(
        description="Whether it fits the workspace or the sizes of the query; null without them, "
        "and where the size is not known."
    )
    to_raise: tuple[Raise, ...] = Field(
        description="What has to be raised so that it fits or, where it fits, should be.",
    )


class ModelCatalogue(ApiModel):
    """Models to pick from, with what is known before a download."""

    model_config = with_example(
        {
            "checked": CHECKED,
            "items": [
                {
                    "name": "gemma3:12b",
                    "workspaces": 0,
                    "sizeBytes": 8_100_000_000,
                    "isSizeMeasured": False,
                    "memoryBytes": 10_737_418_240,
                    "contextLength": 131_072,
                    "capabilities": ["completion", "vision"],
                    "licence": "Gemma Terms of Use",
                    "source": "https://ollama.com/library/gemma3",
                    "fits": True,
                    "toRaise": [
                        {
                            "field": "spec.resources.ollama.memoryLimit",
                            "to": "10Gi",
                            "message": "gemma3:12b fits, with little memory for its context; raise "
                            "spec.resources.ollama.memoryLimit to 10Gi for long prompts",
                        }
                    ],
                }
            ],
        }
    )

    checked: str = Field(description="The day on which the well-known models were looked up.")
    items: tuple[CatalogueModel, ...] = Field(
        description="Well-known ones, and those that workspaces that the caller may see ask for, "
        "by name; only such as the platform allows."
    )
