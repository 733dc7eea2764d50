import sys
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import groups, run
from tests.e2e import machine
from tests.slowest import Slowest

# How long an example takes is up to the machine, which may be a slow one at work on other things.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Where one test, with what it needs first, starts a node or goes through every request.
_SLOW = frozenset({"e2e", "node_failures", "faults", "demo"})
_SLOW_SECONDS = 900


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden", action="store_true", help="write the files of golden folders again"
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        run.end()  # an earlier one of the same number may have been killed
    config.pluginmanager.register(Slowest())


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    return groups.GroupScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    groups.arrange(items)
    for item in items:
        if item.path.parent.name in _SLOW and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SLOW_SECONDS + groups.waits_seconds(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    result = yield
    groups.note_end(item, nextitem)
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What the processes of a run share ends with the one that a person has started."""
    if hasattr(session.config, "workerinput"):
        return
    if leftovers := machine.end_node():
        sys.stderr.write(f"the local cluster left something on the machine:\n{leftovers}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    run.end()
