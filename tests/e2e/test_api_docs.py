"""docs/api.md, whole: with real models that answer."""

import os
from pathlib import Path

import yaml

from tests.api import person, running_api, token_request
from tests.e2e.conftest import ROOT, Node
from tests.examples import assert_as_documented, examples, run

_PERSON = "reader"
_SECONDS = 170


def test_the_page_s_examples_do_what_it_says(node: Node, tmp_path: Path) -> None:
    for document in person(_PERSON):
        node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document))
    token = node.kubectl(*token_request(_PERSON)).strip()
    found = examples(ROOT / "docs" / "api.md")
    with running_api(Path(node.kubeconfig), tmp_path / "log") as address:
        environment = {**os.environ, "API": f"{address}/api/v1", "TOKEN": token}
        assert_as_documented(found, run(found, environment, tmp_path, _SECONDS))
