"""The settings of a workspace as a form: the fields that people change, or the whole spec as YAML.

A form carries what each field had when it was shown. Only what a person has changed is written, so
that nothing is lost that others changed meanwhile.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson
import yaml

from aichat_workspace.console import forms
from aichat_workspace.console.forms import Values
from aichat_workspace.domain.v1alpha1.workspace_spec import DeletionPolicy, Expiry, ModelPullPolicy

Spec = Mapping[str, Any]
ETAG_FIELD: Final = "etag"
YAML_FIELD: Final = "yaml"
_WAS: Final = "was."
_MAX_YAML_LENGTH: Final = 65_536
_MAX_DEPTH: Final = 20
_MAX_EVENTS: Final = 4_000
# YAML reads 1:30 as a number of base 60, so a long one takes seconds.
_LONG_NUMBER: Final = re.compile(r"[0-9:._+-]{65,}")


class Kind(StrEnum):
    """How a field is entered."""

    TEXT = "text"
    NUMBER = "number"
    LINES = "lines"
    PATTERNS = "patterns"
    CHOICE = "choice"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form."""

    path: str
    """Dotted, within the spec."""
    kind: Kind = Kind.TEXT
    options: tuple[str, ...] = ()
    """Of a choice; the first one is the default."""
    whole: str = ""
    """The object that goes with the field when it is emptied."""


GROUPS: Final[Mapping[str, tuple[Field, ...]]] = {
    "about": (Field("displayName"), Field("costCentre")),
    "models": (
        Field("models", Kind.LINES),
        Field("patterns", Kind.PATTERNS),
        Field("embeddingModel"),
        Field("modelPullPolicy", Kind.CHOICE, tuple(ModelPullPolicy)),
    ),
    "resources": (
        Field("resources.ollama.cpuRequest"),
        Field("resources.ollama.cpuLimit"),
        Field("resources.ollama.memoryRequest"),
        Field("resources.ollama.memoryLimit"),
        Field("resources.ollama.gpu.count", Kind.NUMBER, whole="resources.ollama.gpu"),
        Field("resources.openWebUI.cpuLimit"),
        Field("resources.openWebUI.memoryLimit"),
    ),
    "storage": (
        Field("storage.ollama.size"),
        Field("storage.openWebUI.size"),
    ),
    "quota": (Field("quota.cpu"), Field("quota.memory"), Field("quota.storage")),
    "serving": (
        Field("ollama.contextLength", Kind.NUMBER),
        Field("ollama.keepAlive"),
        Field("ollama.parallelRequests", Kind.NUMBER),
        Field("ollama.loadedModels", Kind.NUMBER),
    ),
    "reach": (Field("ingress.host"), Field("access.signUp", Kind.FLAG)),
    "backup": (
        Field("backup.schedule"),
        Field("backup.timeZone"),
        Field("backup.destination"),
        Field("backup.keep", Kind.NUMBER),
    ),
    "lifetime": (
        Field("expiresAfter"),
        Field("expiry", Kind.CHOICE, tuple(Expiry)),
        Field("deletionPolicy", Kind.CHOICE, tuple(DeletionPolicy)),
    ),
}
FIELDS: Final = tuple(field for group in GROUPS.values() for field in group)
PATHS: Final = frozenset(field.path for field in FIELDS)
ERROR_FIELDS: Final = {f"spec.{field.path}": field.path for field in FIELDS}
"""The fields of the form by the API's names."""


class InvalidYamlError(Exception):
    """The text is no spec. The message says why, for people."""


def texts(spec: Spec) -> dict[str, str]:
    """Return each field of a spec as the form shows it."""
    return {field.path: _text(spec, field) for field in FIELDS}


def changes(values: Values) -> dict[str, str]:
    """Return what a person has changed: new texts by field.

    Browsers send nothing of an unchecked box; any other field that is missing is unchanged.
    """
    changed = {}
    for field in FIELDS:
        known = values.get(f"{_WAS}{field.path}")
        is_sent = field.path in values or field.kind in (Kind.FLAG, Kind.PATTERNS)
        text = _normal(field, values.get(field.path, []))
        if known is not None and is_sent and text != _normal(field, known):
            changed[field.path] = text
    return changed


def with_changes(spec: Spec, changed: Mapping[str, str]) -> dict[str, Any]:
    """Return the spec with changed fields; an empty one is left out, for the platform's value."""
    result = dict(spec)
    for field in FIELDS:
        if field.path in changed:
            value = _value(field, changed[field.path])
            path = field.whole if value is None and field.whole else field.path
            result = _with_value(result, path.split("."), value)
    return result


def dump(spec: Spec) -> str:
    """Return a spec as YAML."""
    return str(yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True, width=100))


def load(text: str) -> dict[str, Any]:
    """Return the spec of a YAML text. Raises InvalidYamlError."""
    if len(text) > _MAX_YAML_LENGTH:
        raise InvalidYamlError(f"the text is longer than {_MAX_YAML_LENGTH} characters")
    try:
        _require_plain(text)
        spec = yaml.load(text, yaml.CSafeLoader)
        # What JSON has not, no spec has: dates, sets, infinity, integers beyond 64 bits.
        plain = orjson.loads(orjson.dumps(json.loads(json.dumps(spec, allow_nan=False))))
    except (yaml.YAMLError, TypeError, ValueError, OverflowError) as error:
        raise InvalidYamlError(" ".join(str(error).split())) from None
    if not isinstance(spec, dict) or not all(isinstance(key, str) for key in spec):
        raise InvalidYamlError("write the fields of the spec, as `models: [gemma2:2b]`")
    return dict(plain)


def _require_plain(text: str) -> None:
    """Raise InvalidYamlError for what makes a short text huge or deep, which no spec needs.

    The parser reads events one by one; the loader would follow depth until its stack ends.
    """
    depth = 0
    for number, event in enumerate(yaml.parse(text, yaml.CSafeLoader)):
        if number > _MAX_EVENTS:
            raise InvalidYamlError(f"there are more than {_MAX_EVENTS} names, values and brackets")
        if isinstance(event, yaml.AliasEvent):
            raise InvalidYamlError("anchors and aliases are not taken: write the value out")
        if isinstance(event, yaml.ScalarEvent) and _LONG_NUMBER.fullmatch(event.value):
            raise InvalidYamlError("a number has more than 64 digits")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise InvalidYamlError(f"fields are nested more than {_MAX_DEPTH} deep")


def _text(spec: Spec, field: Field) -> str:
    value: Any = spec
    for part in field.path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if field.kind is Kind.FLAG:
        return "true" if value else ""
    if value is None:
        return next(iter(field.options), "")
    return forms.join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _normal(field: Field, entered: list[str]) -> str:
    text = "\n".join(entered)
    if field.kind in (Kind.LINES, Kind.PATTERNS):
        return forms.join(dict.fromkeys(text.replace(",", " ").split()))
    return text.strip()


def _value(field: Field, text: str) -> Any:
    """Return the spec's value; None for none. What is no number is left for the API to refuse."""
    if field.kind in (Kind.LINES, Kind.PATTERNS):
        return text.split() or None
    if field.kind is Kind.FLAG:
        return text == "true"
    is_number = field.kind is Kind.NUMBER and text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if is_number else text or None


def _with_value(spec: Mapping[str, Any], parts: list[str], value: Any) -> dict[str, Any]:
    """Return the spec with a value; None takes the field out, with an object left empty."""
    first, *rest = parts
    inner = spec.get(first)
    if rest:
        value = _with_value(inner if isinstance(inner, Mapping) else {}, rest, value) or None
    if value is not None:
        return {**spec, first: value}
    return {name: field for name, field in spec.items() if name != first}
