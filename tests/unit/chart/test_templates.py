"""The templates are the manifests of config/, and use the values that there are."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from aichat_workspace.chart.templates import documents, manifests, reference, templates
from aichat_workspace.chart.treatments import TREATMENTS
from aichat_workspace.chart.values_files import defaults
from aichat_workspace.domain import names

ROOT: Final = Path(__file__).parents[3]
CONFIG: Final = ROOT / "config"
CHART: Final = ROOT / "charts" / names.OPERATOR
WRITTEN_BY_HAND: Final = {
    *("NOTES.txt", "_helpers.tpl", "checks.yaml"),
    *("api/http_route.yaml", "observability/dashboard.yaml", "tests/script.yaml"),
}


@pytest.fixture(scope="module")
def generated() -> Mapping[Path, str]:
    return templates(CONFIG)


def all_templates() -> str:
    return "".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))


def test_each_object_but_the_namespace_is_in_one_template(generated: Mapping[Path, str]) -> None:
    objects = [
        reference(document)
        for path in manifests(CONFIG)
        for document in documents(path.read_text())
        if reference(document) != ("Namespace", names.SYSTEM_NAMESPACE)
    ]
    pattern = r"^kind: (\w+)\nmetadata:\n(?:  .*\n)*?  name: (\S+)"
    rendered = re.findall(pattern, "".join(generated.values()), re.MULTILINE)
    assert len(objects) > 30
    assert sorted(rendered) == sorted(objects)


def test_each_template_is_generated_or_known(generated: Mapping[Path, str]) -> None:
    folder = CHART / "templates"
    files = {path.relative_to(CHART) for path in folder.rglob("*") if path.is_file()}
    assert files - generated.keys() == {Path("templates") / name for name in WRITTEN_BY_HAND}


def test_placeholders_of_alerts_are_no_actions_of_the_chart(generated: Mapping[Path, str]) -> None:
    alerts = generated[Path("templates/observability/alerts.yaml")]
    original = (CONFIG / "observability" / "alerts.yaml").read_text()
    assert alerts.count("{{`{{`}}") == original.count("{{") > 0


def test_an_object_that_values_decide_and_config_has_not_is_an_error(tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path / "config")
    ingress = tmp_path / "config" / "api" / "ingress.yaml"
    ingress.write_text(ingress.read_text().replace("kind: Ingress", "kind: Way"))
    with pytest.raises(ValueError, match=r"none of \[\('Ingress', 'aichat-workspace-api'\)\]"):
        templates(tmp_path / "config")


def test_templates_use_values_that_there_are() -> None:
    paths = set(re.findall(r"\.Values((?:\.\w+)+)", all_templates()))
    assert len(paths) > 20
    for path in paths:
        node: Any = defaults()
        for key in path.removeprefix(".").split("."):
            assert key in node, f".Values{path} is no value"
            node = node[key]


def test_each_value_is_used() -> None:
    keys = {key for key in _keys(defaults()) if not re.search(rf"\.{key}\b", all_templates())}
    assert keys == set()


def _keys(values: dict[str, Any]) -> set[str]:
    """Return the names of all values, without the keys of maps that people fill."""
    filled = {"resources", "labels", "env"}
    nested = (
        _keys(value)
        for key, value in values.items()
        if isinstance(value, dict) and key not in filled
    )
    return {*values}.union(*nested)


def test_each_helper_is_there_and_used() -> None:
    text = all_templates()
    defined = re.findall(r'define "([^"]+)"', text)
    assert sorted(defined) == sorted(set(re.findall(r'include "([^"]+)"', text)))


@pytest.mark.parametrize("path", sorted(WRITTEN_BY_HAND - {"_helpers.tpl"}))
def test_names_in_templates_written_by_hand_are_the_codes(path: str) -> None:
    text = (CHART / "templates" / path).read_text()
    known = {
        *(names.OPERATOR, names.API, names.SYSTEM_NAMESPACE),
        f"{names.OPERATOR}-dashboard",
    }
    assert set(re.findall(r"aichat-workspace-(?:operator|api)[\w-]*", text)) <= known


def test_the_dashboard_has_the_kustomizations_labels() -> None:
    kustomization = yaml.safe_load((CONFIG / "observability" / "kustomization.yaml").read_text())
    (generator,) = kustomization["configMapGenerator"]
    labels = generator["options"]["labels"]
    labels.pop("app.kubernetes.io/name")
    assert labels == defaults()["monitoring"]["dashboard"]["labels"]
    text = (CHART / "templates" / "observability" / "dashboard.yaml").read_text()
    assert f"name: {generator['name']}\n" in text


def test_helm_never_deletes_the_kinds_and_with_them_all_workspaces(
    generated: Mapping[Path, str],
) -> None:
    kinds = [text for path, text in generated.items() if "crd" in path.parts]
    assert len(kinds) == 2
    for text in kinds:
        before_spec = text.partition("\nspec:\n")[0]
        assert "\n  annotations: {helm.sh/resource-policy: keep}\n" in before_spec


def test_helms_test_is_that_of_deployments_and_goes_with_its_success(
    generated: Mapping[Path, str],
) -> None:
    assert (
        generated[Path("files/smoke_test.py")]
        == (CONFIG / "smoke-test" / "smoke_test.py").read_text()
    )
    texts = [text for path, text in generated.items() if "tests" in path.parts]
    hooks = re.findall(r'annotations: {{ include "\S+\.test-hook" "(-?\d+)" }}', "".join(texts))
    assert sorted(map(int, hooks)) == [-5, -4, -3, -2, 0], "the script's ConfigMap is the sixth"
    assert "".join(texts).count("\nkind: ") == len(hooks), "no object is there without a test"
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    assert '"before-hook-creation,hook-succeeded"' in helpers


def test_the_smoke_tests_policy_adds_to_others_only() -> None:
    """Alone it would keep everybody else from the API."""
    condition = TREATMENTS["NetworkPolicy", "aichat-smoke-test"].condition
    assert condition == TREATMENTS["NetworkPolicy", names.API].condition != ""


def test_a_gateway_serves_the_paths_of_the_ingress() -> None:
    (ingress,) = (
        document
        for document in yaml.safe_load_all((CONFIG / "api" / "ingress.yaml").read_text())
        if document["kind"] == "Ingress"
    )
    (rule,) = ingress["spec"]["rules"]
    paths = {(path["path"], path["pathType"]) for path in rule["http"]["paths"]}
    route = (CHART / "templates" / "api" / "http_route.yaml").read_text()
    matches = re.findall(r"type: (Exact|PathPrefix)\n +value: (/\S*)", route)
    assert {(path, kind.removeprefix("Path")) for kind, path in matches} == paths
