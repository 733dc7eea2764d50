"""Query parameters mean what the document says, and nothing else."""

import pytest
from pydantic import TypeAdapter, ValidationError

from aichat_workspace.api.routes.queries import Moment

MOMENT = TypeAdapter(Moment)


@pytest.mark.parametrize("text", ["2026-11-01T00:00:00Z", "2026-11-01T02:00:00+02:00"])
def test_a_time_is_written_as_rfc_3339(text: str) -> None:
    assert MOMENT.validate_python(text).isoformat() in (text, text.replace("Z", "+00:00"))


@pytest.mark.parametrize("text", ["0.5", "1790000000", "2026-11-01", "T", "2026-11-01T00:00:00"])
def test_a_number_a_day_and_a_time_without_its_zone_are_no_times(text: str) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(text)
