"""The last thing that happens to a workspace, and to this one's neighbour nothing at all."""

import pytest

from tests.e2e.conftest import RESOURCE, SECOND, SYSTEM, TENANT, Node, wait_ready


@pytest.mark.usefixtures("chat")
def test_one_workspace_goes_and_the_other_stays(node: Node) -> None:
    node.kubectl("delete", "aiws", "aichatworkspace-team-b", "-n", SYSTEM, "--timeout=120s")
    assert SECOND not in node.kubectl("get", "namespaces", "-o", "name")
    wait_ready(node, RESOURCE, TENANT)
