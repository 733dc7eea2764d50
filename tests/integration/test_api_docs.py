"""docs/api.md says what is so: its examples run against a running API and operator."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import create_and_ask, made_client, person, running_api, team, token_request
from tests.examples import NEEDS_MODEL_SERVER, assert_as_documented, examples, run
from tests.integration.conftest import ROOT, SYSTEM, Cluster
from tests.waiting import eventually

PAGE = ROOT / "docs" / "api.md"
_PERSON = "reader"
_TEAM = "team-of-reader"
_SECONDS = 120


@pytest.fixture(scope="module")
def environment(
    cluster: Cluster, operator: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """What the page asks of its reader: an API that runs, and a token for it."""
    assert operator.exists()
    for document in (*person(_PERSON), *team(_TEAM, _PERSON)):
        cluster.apply(document)
    token = cluster.kubectl(*token_request(_PERSON)).strip()
    log = tmp_path_factory.mktemp("api") / "log"
    with running_api(cluster.kubeconfig, log) as address:
        yield {**os.environ, "API": f"{address}/api/v1", "TOKEN": token, "TEAM": _TEAM}
    cluster.kubectl("delete", "namespace", _TEAM, "--wait=false")


def test_the_page_s_examples_do_what_it_says(environment: dict[str, str], tmp_path: Path) -> None:
    documented = examples(PAGE)
    without_models = [example for example in documented if example.mark != NEEDS_MODEL_SERVER]
    left_out = [example.line for example in documented if example.mark == NEEDS_MODEL_SERVER]
    print(f"not run, for they need a model server: the examples of lines {left_out}")
    assert_as_documented(without_models, run(without_models, environment, tmp_path, _SECONDS))


@pytest.fixture(scope="module")
def client() -> Path:
    return made_client()


@pytest.mark.slow
def test_a_generated_client_creates_a_workspace_and_says_why_no_model_answers(
    environment: dict[str, str], client: Path, cluster: Cluster
) -> None:
    name = "by-python"
    arguments = (name, "gemma2:2b", "Hello?", "--wait-seconds=3")
    ran = create_and_ask(client, environment, *arguments, seconds=_SECONDS)
    assert ran.returncode == 1, ran.stderr
    assert re.search(rf"^{name}: (Pending|Provisioning)", ran.stdout, re.MULTILINE)
    assert f"{name} is not ready" in ran.stderr
    resource = cluster.get("aichatworkspace", name, "-n", SYSTEM)
    assert (resource["spec"]["workspaceName"], resource["spec"]["models"]) == (name, ["gemma2:2b"])
    cluster.kubectl("delete", "aichatworkspace", name, "-n", SYSTEM)
    eventually(lambda: not cluster.kube.has("namespace", name), "it is gone")


def test_a_generated_client_tells_what_the_api_refuses(
    environment: dict[str, str], client: Path
) -> None:
    arguments = ("By-Python", "gemma2:2b", "Hello?")
    ran = create_and_ask(client, environment, *arguments, seconds=_SECONDS)
    assert ran.returncode == 1
    assert "spec.workspaceName" in ran.stderr
