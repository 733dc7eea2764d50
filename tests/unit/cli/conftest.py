"""The API, served once for the tests of a file; each begins with an empty cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aichat_workspace.api.workspaces.cluster_view import ClusterView
from tests.unit.cli.world import World, served_world


@pytest.fixture(scope="module")
def served() -> Iterator[World]:
    # The API's own log would go to the standard output that commands write to.
    with pytest.MonkeyPatch.context() as patch, capture_logs():
        patch.setattr(ClusterView, "is_synced", True)
        with served_world() as world:
            yield world


@pytest.fixture
def world(served: World, tmp_path: Path) -> World:
    served.begin(tmp_path)
    return served
