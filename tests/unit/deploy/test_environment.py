from pathlib import Path

import pytest

from deploy.environment import FILE, load
from deploy.errors import RefusedError

ROOT = Path(__file__).parents[3]
ENVIRONMENTS = ROOT / "config" / "environments"


@pytest.mark.parametrize("name", ["staging", "production"])
def test_each_environment_of_the_project_is_complete_and_has_its_own_context(name: str) -> None:
    environment = load(name, ENVIRONMENTS)
    assert environment.context == name
    assert environment.model
    assert (environment.folder / "kustomization.yaml").exists()


def test_an_unknown_environment_is_answered_with_those_that_exist() -> None:
    with pytest.raises(RefusedError, match="choose one of: production, staging"):
        load("prod", ENVIRONMENTS)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a", "needs fields"),
        ("a: [", "is not YAML"),
        ("model: m", "lacks context"),
        ("context: c\nmodel: m\ntimeout: 3", "unknown timeout"),
        ("context: ''\nmodel: m", "context is ''; write a text"),
        ("context: c\nmodel: 3", "model is 3; write a text"),
        ("context: c\nmodel: m\nrolloutSeconds: 5m", "rolloutSeconds is '5m'; write seconds"),
        ("context: c\nmodel: m\nrolloutSeconds: true", "rolloutSeconds is True"),
        ("context: c\nmodel: m\nsmokeTestSeconds: 0", "smokeTestSeconds is 0"),
    ],
)
def test_a_wrong_file_is_refused_with_the_field_and_the_fix(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / FILE).write_text(text)
    with pytest.raises(RefusedError, match=FILE.replace(".", "[.]")) as error:
        load("test", tmp_path)
    assert problem in str(error.value)


def test_times_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / FILE).write_text("context: c\nmodel: m\nrolloutSeconds: 7\n")
    assert load("test", tmp_path).rolloutSeconds == 7
