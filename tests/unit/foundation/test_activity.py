from datetime import UTC, datetime
from typing import Any

import pytest

from aichat_workspace.foundation import activity

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("document", "brief", "sentence"),
    [
        (None, "not known", "not known"),
        ({"askedAt": "2026-12-01T11:40:00Z"}, "never", "never, as of 20 min ago"),
        (
            {"usedAt": "2026-12-01T09:00:00Z", "askedAt": "2026-12-01T11:00:00Z"},
            "3h",
            "3 h ago, as of 1 h ago",
        ),
        (
            {"usedAt": "2026-12-01T11:30:00Z", "askedAt": "2026-12-01T11:00:00Z"},
            "30m",
            "30 min ago",
        ),
        (
            {"askedAt": "2026-11-29T12:00:00Z", "message": "it is away"},
            "never",
            "never; unknown for 2 d: it is away",
        ),
        ({"message": "it is away"}, "not known", "not known; it is away"),
    ],
)
def test_what_is_known_is_said_with_its_age_and_what_is_not_with_its_reason(
    document: dict[str, Any] | None, brief: str, sentence: str
) -> None:
    assert activity.brief(document, NOW) == brief
    assert activity.sentence(document, NOW) == sentence
