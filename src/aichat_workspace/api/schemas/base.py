"""Base models of bodies and query parameters."""

import re
from itertools import islice
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.field_types import DnsLabel

_MAX_INTEGER: Final = 2**63
MAX_VALUES: Final = 2_000
MAX_DEPTH: Final = 32
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
Location = tuple[int | str, ...]


class ApiModel(BaseModel):
    """A frozen model in camelCase that rejects unknown fields."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )


class ClientModel(ApiModel):
    """What a client sends: its fields have their documented names only."""

    model_config = ConfigDict(populate_by_name=False)


class RequestBody(ClientModel):
    """A body that a client sends.

    It is rejected before validation if it has too many values, is nested too deeply or has invalid
    text: reporting each wrong value would cost more than sending it.
    """

    max_values: ClassVar[int] = MAX_VALUES
    """How many values it may hold."""

    @model_validator(mode="before")
    @classmethod
    def _is_plain(cls, value: object) -> object:
        pending: list[tuple[Location, object]] = [((), value)]
        limit = cls.max_values
        for _ in range(limit):
            if not pending:
                return value
            location, node = pending.pop()
            if len(location) > MAX_DEPTH:
                raise ValueError(f"it is nested deeper than {MAX_DEPTH}; nothing here is so deep")
            if isinstance(node, dict):
                for key, child in islice(node.items(), limit):
                    _require_text(key, location)
                    pending.append(((*location, key), child))
            elif isinstance(node, list):
                pending.extend(
                    ((*location, index), child) for index, child in enumerate(node[:limit])
                )
            elif isinstance(node, str):
                _require_text(node, location)
            elif isinstance(node, int) and not -_MAX_INTEGER <= node < _MAX_INTEGER:
                raise ValueError("it holds a number beyond 64 bits; nothing here is so large")
        raise ValueError(f"it holds more than {limit} values; nothing here needs so many")


def _require_text(text: str, location: Location) -> None:
    """Raise ValidationError for half of a surrogate pair: JSON allows it, UTF-8 does not."""
    if _SURROGATE.search(text):
        kind = PydanticCustomError("no_text", "half of a surrogate pair is no text; write UTF-8")
        raise ValidationError.from_exception_data(
            "text", [InitErrorDetails(type=kind, loc=location, input=None)]
        )


def with_example(example: dict[str, Any]) -> ConfigDict:
    """Return the model's configuration with an example for OpenAPI."""
    return ConfigDict(json_schema_extra={"examples": [example]})


Team = Annotated[DnsLabel, Field(examples=[names.SYSTEM_NAMESPACE])]
