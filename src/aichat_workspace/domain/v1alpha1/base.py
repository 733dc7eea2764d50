"""The base of all models of custom resources: camelCase in JSON, frozen in memory."""

from pydantic import BaseModel, ConfigDict
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


def rule(expression: str, message: str) -> JsonDict:
    """Return a validation that the API server runs.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
    """
    return {"rule": expression, "message": message}
