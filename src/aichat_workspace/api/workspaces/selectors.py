"""Which workspaces have labels and conditions, as `kubectl get -l` writes it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_KEY: Final = r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9][-A-Za-z0-9_.]{0,62}"
_VALUE: Final = r"[-A-Za-z0-9_.]{0,63}"
_LABEL: Final = rf"(!{_KEY}|{_KEY}((=|==|!=){_VALUE})?)"
_CONDITION: Final = r"[A-Za-z]{1,64}=(True|False|Unknown)"
LABELS_PATTERN: Final = rf"^{_LABEL}(,{_LABEL})*$"
CONDITIONS_PATTERN: Final = rf"^{_CONDITION}(,{_CONDITION})*$"
_OPERATOR: Final = re.compile("!=|==|=")


@dataclass(frozen=True, slots=True)
class LabelRequirement:
    """What one label has to be."""

    key: str
    value: str | None = None
    """The value; None for any."""
    is_negated: bool = False
    """Whether it must not be so. A workspace without the label has no value."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether these labels are so."""
        is_so = self.key in labels and self.value in (None, labels[self.key])
        return is_so is not self.is_negated


def parse_labels(text: str | None) -> tuple[LabelRequirement, ...]:
    """Return the requirements of a text of `LABELS_PATTERN`; none without a text."""
    return tuple(map(_parse_label, text.split(","))) if text else ()


def _parse_label(text: str) -> LabelRequirement:
    if text.startswith("!"):
        return LabelRequirement(text[1:], is_negated=True)
    key, *values = _OPERATOR.split(text)
    return LabelRequirement(key, values[0] if values else None, "!=" in text)


def parse_conditions(text: str | None) -> tuple[tuple[str, str], ...]:
    """Return types and statuses of a text of `CONDITIONS_PATTERN`; none without a text."""
    pairs = (part.partition("=") for part in text.split(",")) if text else ()
    return tuple((kind, status) for kind, _, status in pairs)


def has_conditions(
    conditions: Sequence[Mapping[str, Any]], required: Sequence[tuple[str, str]]
) -> bool:
    """Return whether there are all the required types, with their statuses."""
    present = {(condition.get("type"), condition.get("status")) for condition in conditions}
    return present.issuperset(required)
