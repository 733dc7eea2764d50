"""Types of single values, and rules of their schema."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints, WithJsonSchema
from pydantic.config import JsonDict

from aichat_workspace.domain.kubernetes.quantity import QUANTITY_PATTERN

Quantity = Annotated[
    str, WithJsonSchema({"type": ["string", "number"], "pattern": QUANTITY_PATTERN})
]
Port = Annotated[int, Field(ge=1, le=65535)]
Labels = dict[str, str]
OptionalName = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$")
]
Cidr = Annotated[str, StringConstraints(max_length=43, pattern=r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$")]


NOT_EMPTY: Final[JsonDict] = {"minLength": 1}


def requires(condition: str, needed: JsonDict) -> JsonDict:
    """Return the schema's rule for fields that are needed if another field is set."""
    is_unset: JsonDict = {"properties": {condition: {"enum": [False, ""]}}}
    return {"if": is_unset, "else": {"properties": needed}}


def variables(excluded: JsonDict) -> WithJsonSchema:
    """Return the schema of environment variables, whose values may be numbers."""
    values = {"type": ["string", "number", "boolean"]}
    names_ = {"pattern": r"^[A-Z_][A-Z0-9_]*$", **excluded}
    return WithJsonSchema(
        {"type": "object", "propertyNames": names_, "additionalProperties": values}
    )
