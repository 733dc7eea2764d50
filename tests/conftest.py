import pytest
from hypothesis import HealthCheck, settings

# How long an example takes is up to the machine, which may be a slow one at work on other things.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write what is in golden folders anew")
