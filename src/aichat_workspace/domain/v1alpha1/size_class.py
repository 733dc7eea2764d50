"""Size classes: what a workspace gets that chooses one by name."""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import (
    ONE_LINE,
    SET,
    ByteSize,
    DnsLabel,
    ModelText,
)
from aichat_workspace.domain.v1alpha1.sizes import Resources, Storage, Volume

MAX_SIZE_CLASSES: Final = 16
_MAX_MODELS: Final = 8
# One that names a retired class would have to be followed again, and two could name each other.
SIZE_CLASS_RULES: Final[dict[str, Any]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "x-kubernetes-validations": [
        rule(
            "self.all(x, !has(x.successor) || "
            "self.exists(y, y.name == x.successor && !has(y.successor)))",
            "successor must name a class of this list that has no successor itself",
        )
    ],
}


class ClassVolume(Volume):
    """A volume of a class: what is made later may be smaller, so this may shrink."""

    size: ByteSize | None = Field(default=None, description="Its size.")


class ClassStorage(Storage):
    """The volumes of a class; the platform's where left out."""

    ollama: ClassVolume = Field(default=ClassVolume(), description="Models.")
    open_webui: ClassVolume = Field(
        default=ClassVolume(),
        alias="openWebUI",
        description="Chats, users and uploaded documents.",
    )


class SizeClass(Schema):
    """A size that workspaces choose by name. What it leaves out is the platform's."""

    name: Annotated[DnsLabel, StringConstraints(min_length=1)] = Field(
        description="Its name, for spec.className of a workspace.",
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    f"self != '{names.NO_SIZE_CLASS}'",
                    f"{names.NO_SIZE_CLASS!r} is what people answer who choose no class: give the "
                    "class another name, as 'tiny'",
                )
            ]
        },
    )
    description: Annotated[str, StringConstraints(max_length=256, pattern=ONE_LINE)] = Field(
        default="", description="What it is for, in one line, for people."
    )
    resources: Resources = Field(
        default=Resources(), description="What the workloads get of a node."
    )
    storage: ClassStorage = Field(
        default=ClassStorage(),
        description="The volumes. Those that are there can grow, and keep their StorageClass.",
    )
    models: tuple[ModelText, ...] = Field(
        default=(),
        max_length=_MAX_MODELS,
        description="Models of a workspace that names none, from any registry.",
        json_schema_extra=SET,
    )
    allowed_teams: tuple[DnsLabel, ...] = Field(
        default=(),
        max_length=256,
        description="Namespaces of the teams that may choose it; every team when empty.",
        json_schema_extra=SET,
    )
    successor: DnsLabel | None = Field(
        default=None,
        description="The class that replaces it. No new workspace may choose a class that has one, "
        "and those that have it get the successor's values: their pods a few at a time, their "
        "models, and volumes that grow, at once.",
    )
