"""What a workload gets: its share of a node, and its volume."""

from typing import Annotated, Any, Final

from pydantic import Field, StrictInt

from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import (
    ByteSize,
    DeviceName,
    DnsName,
    Positive,
    Quantity,
)

Size = Annotated[
    ByteSize,
    Field(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "quantity(self).compareTo(quantity(oldSelf)) >= 0",
                    "a volume can grow but not shrink: name the present size or a larger one",
                )
            ]
        }
    ),
]
_BOUNDS: Final = rule(
    "!has(self.cpuRequest) || !has(self.cpuLimit) || "
    "quantity(self.cpuRequest).compareTo(quantity(self.cpuLimit)) <= 0",
    "cpuRequest must not be more than cpuLimit",
)
_MEMORY_BOUNDS: Final = rule(
    "!has(self.memoryRequest) || !has(self.memoryLimit) || "
    "quantity(self.memoryRequest).compareTo(quantity(self.memoryLimit)) <= 0",
    "memoryRequest must not be more than memoryLimit",
)
_COMPUTE_RULES: Final[dict[str, Any]] = {"x-kubernetes-validations": [_BOUNDS, _MEMORY_BOUNDS]}


class Compute(Schema):
    """A workload's share of a node."""

    cpu_request: Quantity | None = Field(default=None, description="CPU set aside.")
    cpu_limit: Positive | None = Field(default=None, description="CPU it may use at most.")
    memory_request: Quantity | None = Field(default=None, description="Memory set aside.")
    memory_limit: ByteSize | None = Field(
        default=None, description="Memory at which it is stopped."
    )


class Gpu(Schema):
    """Graphics processors for the model server."""

    count: StrictInt = Field(ge=1, le=16, description="How many.")
    resource_name: DeviceName = Field(
        default="nvidia.com/gpu", description="The resource by which nodes offer them."
    )


class OllamaCompute(Compute):
    """The model server's share of a node."""

    gpu: Gpu | None = Field(default=None, description="Graphics processors; none when left out.")


class Resources(Schema):
    """Compute of the workloads; the platform's where left out."""

    ollama: OllamaCompute = Field(
        default=OllamaCompute(),
        description="The model server's share; weights live in its memory.",
        json_schema_extra=_COMPUTE_RULES,
    )
    open_webui: Compute = Field(
        default=Compute(),
        alias="openWebUI",
        description="The chat front-end's share.",
        json_schema_extra=_COMPUTE_RULES,
    )


class Volume(Schema):
    """A workload's volume."""

    size: Size | None = Field(default=None, description="Its size; it can grow, not shrink.")
    storage_class_name: DnsName | None = Field(
        default=None,
        description="Its StorageClass, read when the volume is made.",
    )


class Storage(Schema):
    """The workspace's volumes; the platform's where left out."""

    ollama: Volume = Field(default=Volume(), description="Models.")
    open_webui: Volume = Field(
        default=Volume(), alias="openWebUI", description="Chats, users and uploaded documents."
    )
