"""What all bodies have in common."""

import re
from itertools import islice
from typing import Annotated, Any, Final

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
from aichat_workspace.domain.v1alpha1.platform_spec import DnsLabel

MAX_VALUES: Final = 2_000
MAX_DEPTH: Final = 32
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
Location = tuple[int | str, ...]


class ApiModel(BaseModel):
    """camelCase, and no field that nobody knows."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )


class RequestBody(ApiModel):
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


def with_example(example: dict[str, Any]) -> ConfigDict:
    """With this as the example in OpenAPI."""
    return ConfigDict(json_schema_extra={"examples": [example]})


Team = Annotated[DnsLabel, Field(examples=[names.SYSTEM_NAMESPACE])]
