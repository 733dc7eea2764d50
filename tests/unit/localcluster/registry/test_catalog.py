"""The models of the registry, and their names."""

from pathlib import Path

import pytest
import yaml

from localcluster.registry.catalog import MINILM, MODELS, NAMES, SMOLLM2, report, resolve
from localcluster.registry.store import ImageReference

PROJECT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gemma2:2b", ImageReference("library/gemma2", "2b")),
        ("smollm2", ImageReference("library/smollm2", "latest")),
        ("me/mine:v1", ImageReference("me/mine", "v1")),
    ],
)
def test_names_have_ollamas_defaults(name: str, expected: ImageReference) -> None:
    assert ImageReference.parse(name) == expected


def test_all_models_of_the_samples_and_the_platforms_embedding_model_are_served() -> None:
    samples = PROJECT.glob("config/samples/*_aichatworkspace*.yaml")
    names = {
        model
        for sample in samples
        for model in yaml.safe_load(sample.read_text())["spec"]["models"]
    }
    crd = PROJECT / "config/crd/bases/apps.aichatworkspaces.io_aichatplatforms.yaml"
    assert "Default: nomic-embed-text." in crd.read_text()
    served = {ImageReference.parse(name) for name in NAMES}
    assert names
    assert {ImageReference.parse(name) for name in (*names, "nomic-embed-text")} <= served


def test_further_names_resolve_to_their_model_and_others_to_themselves() -> None:
    assert resolve(ImageReference.parse("gemma2:2b")) == ImageReference.parse(SMOLLM2.name)
    assert resolve(ImageReference.parse("nomic-embed-text")) == ImageReference.parse(MINILM.name)
    for name in (*(model.name for model in MODELS), "qwen3:0.6b"):
        assert resolve(ImageReference.parse(name)) == ImageReference.parse(name)


def test_the_docs_name_all_models_with_licence_sources_and_large_file() -> None:
    page = (PROJECT / "docs" / "models.md").read_text()
    table, sources = (
        [line for line in page.splitlines() if line.startswith("|") and text in line]
        for text in ("`", "Apache-2.0")
    )
    for name, model in NAMES.items():
        cell = f"`{name.removesuffix(':latest')}`"
        assert any(cell in line and model.title in line for line in table), name
    lock = (PROJECT / "requirements" / "models.in").read_text()
    versions = dict(line.split("==") for line in lock.splitlines() if "==" in line)
    for model in MODELS:
        weights = model.weights.files[0]
        row = next(line for line in sources if model.title in line)
        assert f"`{weights.sha256}`" in row
        assert f"({model.source})" in row
        assert f"({model.weights.source})" in row
        package = model.weights.package.replace("_", "-")
        assert f"`{package}` {versions[package]}" in row, (
            "the page and requirements/models.in differ"
        )


def test_the_report_has_the_model_and_weights_of_each_name() -> None:
    answers = {entry["name"]: (entry["model"], entry["weights"]) for entry in report()}
    assert answers.keys() == NAMES.keys()
    assert answers["gemma2:2b"] == ("smollm2:135m", "SmolLM2-135M-Instruct")
    assert answers["all-minilm:latest"] == ("all-minilm:latest", "all-MiniLM-L6-v2")
