"""docs/api.md, whole, and the generated client: with real models that answer."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.api import create_and_ask, made_client, person, running_api, team, token_request
from tests.e2e.conftest import ANSWER, QUESTION, ROOT, SYSTEM, Node
from tests.examples import assert_as_documented, examples, run

_PERSON = "reader"
_TEAM = "team-of-reader"
_SECONDS = 170
_MADE = "by-python-aichat"


@pytest.fixture(scope="module")
def environment(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the page asks of its reader: an API that runs, and a token for it."""
    for document in (*person(_PERSON), *team(_TEAM, _PERSON)):
        node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document))
    token = node.kubectl(*token_request(_PERSON)).strip()
    log = tmp_path_factory.mktemp("api") / "log"
    with running_api(Path(node.kubeconfig), log) as address:
        try:
            yield {**os.environ, "API": f"{address}/api/v1", "TOKEN": token, "TEAM": _TEAM}
        finally:
            gone = ("--ignore-not-found", "--wait=false")
            node.kubectl("delete", "aiws", "docs-chat", "docs-notes", "-n", SYSTEM, *gone)
            node.kubectl("delete", "namespace", _TEAM, *gone)


def test_the_page_s_examples_do_what_it_says(environment: dict[str, str], tmp_path: Path) -> None:
    documented = examples(ROOT / "docs" / "api.md")
    assert_as_documented(documented, run(documented, environment, tmp_path, _SECONDS))


def test_a_generated_client_makes_a_workspace_and_prints_what_its_model_says(
    environment: dict[str, str], node: Node
) -> None:
    arguments = (_MADE, "gemma2:2b", QUESTION, f"--wait-seconds={_SECONDS}")
    try:
        ran = create_and_ask(made_client(), environment, *arguments, seconds=_SECONDS + 30)
        assert ran.returncode == 0, f"{ran.stdout}{ran.stderr}\n{node.story(_MADE)}"
        assert f"{_MADE}: Ready" in ran.stdout
        assert ANSWER in ran.stdout.partition(": Ready")[2]
    finally:
        gone = ("delete", "aiws", _MADE, "-n", SYSTEM, "--ignore-not-found", "--timeout=120s")
        node.kubectl(*gone)
