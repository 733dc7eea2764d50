"""The base of all models of custom resources: camelCase in JSON, frozen in memory."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict


class Schema(BaseModel):
    """A part of a custom resource.

    People's input may have no unknown fields. What the API server stores is read with
    `extra="ignore"`: an older operator must be able to read a newer resource.
    """

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )


S = TypeVar("S", bound=Schema)
_NOTHING: Final[Mapping[str, Any]] = {}


def read_leniently(
    model: type[S], document: Mapping[str, Any], fallback: Mapping[str, Any] = _NOTHING
) -> tuple[S, Mapping[str, str]]:
    """Read the document without the top-level fields that the model refuses.

    Returns also why fields are refused, by their names. `fallback` has the values that replace
    refused ones.
    """
    try:
        return model.model_validate(document, extra="ignore"), {}
    except ValidationError as error:
        refused = {
            str(detail["loc"][0]): format_field_error(detail["loc"], detail["msg"])
            for detail in error.errors()
        }
    accepted = {key: value for key, value in document.items() if key not in refused}
    replaced = {key: value for key, value in fallback.items() if key in refused}
    return model.model_validate({**accepted, **replaced}, extra="ignore"), refused


def read_record(model: type[S], document: Mapping[str, Any]) -> S:
    """Read what an operator of another version may have written: without the top-level fields that
    the model refuses, and of lists without the entries that it refuses."""
    try:
        return model.model_validate(document, extra="ignore")
    except ValidationError as error:
        places = [detail["loc"][:2] for detail in error.errors()]
    entries = {place for place in places if len(place) == 2 and isinstance(place[1], int)}
    fields = {place[0] for place in places if place not in entries}
    known = {
        key: [entry for number, entry in enumerate(value) if (key, number) not in entries]
        if isinstance(value, list)
        else value
        for key, value in document.items()
        if key not in fields
    }
    return model.model_validate(known, extra="ignore")


def format_refusal(error: ValidationError) -> str:
    """Write which fields are refused, and why."""
    details = error.errors()
    return "; ".join(format_field_error(detail["loc"], detail["msg"]) for detail in details)


def format_field_error(location: tuple[int | str, ...], message: str) -> str:
    """Write which field is refused, and why."""
    return f"{'.'.join(map(str, location))}: {message}"


def rule(expression: str, message: str) -> JsonDict:
    """Return a validation that the API server runs.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
    """
    return {"rule": expression, "message": message}
