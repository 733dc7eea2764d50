"""Sample documents of the API."""

from datetime import UTC, datetime
from typing import Any

from tests.unit.api.samples import sample_view

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
DOING_WELL = {"summary": "People can chat.", "findings": ()}


def document(**parts: Any) -> Any:
    return sample_view(**parts).document


def condition(
    kind: str, status: str, time: str, message: str = "", reason: str = "Starting"
) -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "lastTransitionTime": time,
        "message": message,
    }
