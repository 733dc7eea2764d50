"""Which fields of a request are wrong, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.backup import BACKUP_NAME_PATTERN

_FORMS: Final = {
    names.WORKSPACE_NAME_PATTERN: "write lower-case letters, digits and hyphens; begin with a "
    "letter, and end with no hyphen",
    names.EMAIL_PATTERN: "write an address, as bo@example.org",
    f"^{BACKUP_NAME_PATTERN}$": "write a backup's name, as 20261201T023000Z-1a2b3c4d",
}
"""What texts with these patterns look like, for people."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong."""

    field: str
    """Its path, as `spec.models[0]`; empty for the whole body."""
    message: str
    """What is wrong and what to do."""


def path_of(location: Sequence[str | int]) -> str:
    """Format a location in a body or query as `spec.models[0]`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def plain_message(kind: str, message: str) -> str:
    """Return pydantic's message, or a clearer one for its kind."""
    if kind == "string_pattern_mismatch":
        forms = (form for pattern, form in _FORMS.items() if f"'{pattern}'" in message)
        return next(forms, message)
    return {
        "missing": "required",
        "extra_forbidden": "there is no such field; check its spelling",
        "json_invalid": "the body is not JSON",
        "model_attributes_type": "write a JSON object, with Content-Type: application/json",
    }.get(kind, message)
