"""docs/first-workspace.md on a cluster, as far as an API server shows it."""

import os
from pathlib import Path

import pytest

from tests.examples import NEEDS_MODEL_SERVER, assert_as_documented, examples, run
from tests.integration.conftest import ROOT, Cluster


@pytest.mark.usefixtures("operator")
def test_the_tutorial_does_what_it_says(cluster: Cluster, tmp_path: Path) -> None:
    """All but the wait for pods, which the end-to-end tests wait for, too."""
    documented = examples(ROOT / "docs" / "first-workspace.md")
    without_models = [example for example in documented if example.mark != NEEDS_MODEL_SERVER]
    assert len(documented) - len(without_models) == 1
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    assert_as_documented(without_models, run(without_models, environment, tmp_path, 120))
