"""Forms of the pages, as browsers send them without a script."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from aichat_workspace.console.api_client import Problem

CSRF_FIELD: Final = "csrf"
_MAX_FIELDS: Final = 500
NEW_FIELDS: Final = {
    "spec.workspaceName": "name",
    "team": "team",
    "spec.className": "class",
    "spec.models": "models",
    "spec.patterns": "patterns",
    "spec.backup.destination": "destination",
    "spec.backup": "schedule",
}
"""The fields of a new workspace's form by the API's names."""

Values = dict[str, list[str]]


async def read_form(request: Request) -> Values:
    """Return the form's values by field; a body that is no form has none."""
    return parse_values((await request.body()).decode("utf-8", "replace"))


def parse_values(text: str) -> Values:
    """Return the values of `application/x-www-form-urlencoded` text by field."""
    values: Values = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:  # more fields than any of the forms has
        return values
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def first(values: Values, name: str) -> str:
    """Return the first value of a field; empty without one."""
    return next(iter(values.get(name, ())), "").strip()


@dataclass(frozen=True, slots=True)
class NewWorkspace:
    """The form of a new workspace."""

    name: str
    team: str
    models: tuple[str, ...]
    patterns: tuple[str, ...]
    class_name: str | None = None
    """Empty for no size class; None where nobody has chosen yet."""
    schedule: str = ""
    """When the chat is backed up; empty for never."""
    destination: str = ""
    """Where its backups go; empty for the first that the team may choose."""

    @classmethod
    def from_values(cls, values: Values) -> "NewWorkspace":
        """Read the form; models are separated by commas, spaces or lines, each named once."""
        written = " ".join(values.get("models", ())).replace(",", " ").split()
        return cls(
            name=first(values, "name"),
            team=first(values, "team"),
            models=tuple(dict.fromkeys([*written, *values.get("model", ())])),
            patterns=tuple(dict.fromkeys(values.get("pattern", ()))),
            class_name=first(values, "class") if "class" in values else None,
            schedule=first(values, "schedule"),
            destination=first(values, "destination"),
        )

    def body(self) -> dict[str, Any]:
        """Return the API's request; what is empty is left out."""
        spec: dict[str, Any] = {"workspaceName": self.name}
        spec |= {"className": self.class_name} if self.class_name else {}
        spec |= {"models": self.models} if self.models else {}
        spec |= {"patterns": self.patterns} if self.patterns else {}
        backup = {"schedule": self.schedule, "destination": self.destination}
        backup = {field: text for field, text in backup.items() if text}
        spec |= {"backup": backup} if self.schedule else {}
        return {"spec": spec, **({"team": self.team} if self.team else {})}


def errors_by_field(problem: Problem, fields: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """Return the problem's messages by the form's field; under "" what belongs to none.

    `fields` are the form's by the API's names.
    """
    messages: dict[str, list[str]] = {}
    for path, message in problem.fields:
        field = next((field for name, field in fields.items() if _is_within(path, name)), "")
        known = messages.setdefault(field, [])
        text = message if field or not path else f"{path}: {message}"
        if text not in known:
            known.append(text)
    return {**messages} if messages else {"": [problem.detail]}


def _is_within(path: str, name: str) -> bool:
    return path == name or path.startswith((f"{name}[", f"{name}."))


def encode_team(team: str) -> dict[str, str]:
    """Return the query that names a workspace's team."""
    return {"team": team} if team else {}


def join(texts: Iterable[str]) -> str:
    """Return texts as the form's text area shows them: one a line."""
    return "\n".join(texts)
