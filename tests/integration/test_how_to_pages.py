"""The commands of the how-to pages on a cluster, as far as an API server shows them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.examples import Example, assert_as_documented, examples, run
from tests.integration.conftest import ROOT, Cluster, clear

NO_SETTINGS: Final = '[{"op": "replace", "path": "/spec", "value": {}}]'
"""What `kubectl patch` has set stays over an apply of an empty spec."""
PAGES: Final = ("troubleshooting", "platforms", "gpu", "tls", "oidc", "mirror", "capacity", "teams")
TEAMS_WORKSPACE: Final = {
    "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
    "kind": "AIChatWorkspace",
    "metadata": {"name": "chat", "namespace": "team-red"},
    "spec": {"workspaceName": "red-chat"},
}

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture
def cleared(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster; what a page makes and sets is taken back for the next."""
    yield cluster
    cluster.kubectl("patch", "aichatplatform", "default", "--type=json", "-p", NO_SETTINGS)
    clear(cluster)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_does_what_it_says(cleared: Cluster, tmp_path: Path, page: str) -> None:
    """All blocks of shell, in the page's order, with what they print where the page says it."""
    documented = examples(ROOT / "docs" / f"{page}.md")
    assert documented
    if page == "teams":  # a team has a workspace, which the page speaks of and does not make
        manifest = json.dumps(TEAMS_WORKSPACE)
        workspace = Example(0, f"kubectl apply -f - <<'J'\n{manifest}\nJ\n", "", ())
        # Once there is a quota, Kubernetes refuses workspaces until it counts them.
        (quota,) = (example for example in documented if example.mark == "quota")
        documented.insert(documented.index(quota), workspace)
    environment = {**os.environ, "KUBECONFIG": str(cleared.kubeconfig), "KEY": "sk-red"}
    assert_as_documented(documented, run(documented, environment, tmp_path, 60))
