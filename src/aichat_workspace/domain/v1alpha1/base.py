"""What every custom resource model shares: camelCase on the wire, frozen in memory."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict


class Schema(BaseModel):
    """A part of a custom resource.

    What a person writes may hold no unknown field. What the API server holds is read with
    `extra="ignore"`: an older operator must be able to read a newer resource.
    """

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )


def rule(expression: str, message: str) -> JsonDict:
    """A validation the API server runs itself.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
    """
    return {"rule": expression, "message": message}
