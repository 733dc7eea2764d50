"""The chart's generated files are current, and Artifact Hub can read its annotations."""

from pathlib import Path
from typing import Any, Final

import yaml

from aichat_workspace.chart.files import CHART, files
from aichat_workspace.domain.v1alpha1 import crd

ROOT: Final = Path(__file__).parents[3]


def metadata() -> Any:
    return yaml.safe_load((ROOT / CHART / "Chart.yaml").read_text())


def annotation(name: str) -> Any:
    return yaml.safe_load(metadata()["annotations"][f"artifacthub.io/{name}"])


def test_the_generated_files_are_current() -> None:
    stale = [str(path) for path, text in files(ROOT / "config").items() if _read(path) != text]
    assert stale == [], "run `make generate`"


def _read(path: Path) -> str:
    return (ROOT / path).read_text() if (ROOT / path).exists() else ""


def test_annotations_describe_each_kind_and_its_example() -> None:
    kinds = [(entry["kind"], entry["version"]) for entry in annotation("crds")]
    assert kinds == [
        (definition["spec"]["names"]["kind"], version["name"])
        for definition in (crd.workspace_crd(), crd.platform_crd())
        for version in definition["spec"]["versions"]
    ]
    assert all(entry["name"] and entry["description"] for entry in annotation("crds"))
    (example,) = annotation("crdsExamples")
    assert (example["kind"], example["apiVersion"].rpartition("/")[2]) in kinds


def test_annotations_are_texts_and_images_have_a_tag() -> None:
    assert all(isinstance(text, str) for text in metadata()["annotations"].values())
    images = [entry["image"] for entry in annotation("images")]
    assert len(images) == 3
    assert all(":" in image.rpartition("/")[2] for image in images)
