import pytest

from benchmarks.comparison.recording import Recording, record
from tests.unit.benchmarks.comparison.audit_events import EVENTS


@pytest.fixture
def recording() -> Recording:
    return record(EVENTS, "bench-9999", "uid-0")
