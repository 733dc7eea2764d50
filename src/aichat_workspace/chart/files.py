"""Every generated file of the chart: its templates, values, schema, metadata and page."""

import json
from collections.abc import Mapping
from importlib.metadata import metadata, version
from pathlib import Path
from typing import Any, Final

import yaml

from aichat_workspace.chart.templates import templates
from aichat_workspace.chart.values_files import schema, table, values_yaml
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1 import crd
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec

CHART: Final = Path("charts") / names.OPERATOR
_KUBERNETES: Final = ">=1.30.0-0"
_HEAD: Final = "Generated from the models by `make generate`; edit those instead."
_SAMPLE: Final = Path("samples") / "apps_v1alpha1_aichatworkspace-2.yaml"


def files(config: Path) -> Mapping[Path, str]:
    """Return the text of every generated file, by its path in the repository."""
    texts = {
        Path("Chart.yaml"): f"# {_HEAD}\n{_yaml(_chart(config))}",
        Path("values.yaml"): f"# {_HEAD}\n\n{values_yaml()}",
        Path("values.schema.json"): json.dumps(schema(), indent=2) + "\n",
        Path("README.md"): _page(),
        **templates(config),
    }
    return {CHART / path: text for path, text in texts.items()}


def _chart(config: Path) -> dict[str, Any]:
    """Return Chart.yaml. https://helm.sh/docs/topics/charts/#the-chartyaml-file"""
    release = version(names.OPERATOR)
    return {
        "apiVersion": "v2",
        "name": names.OPERATOR,
        "description": _summary(),
        "type": "application",
        "version": release,
        "appVersion": release,
        "kubeVersion": _KUBERNETES,
        "keywords": ["ai", "chat", "llm", "ollama", "open-webui", "operator"],
        "annotations": _annotations(config, release),
    }


def _annotations(config: Path, release: str) -> dict[str, str]:
    """Return what Artifact Hub shows. https://artifacthub.io/docs/topics/annotations/helm/"""
    ollama, open_webui = PlatformSpec().images.resolved
    images = {
        names.OPERATOR: f"{names.OPERATOR}:v{release}",
        "ollama": ollama,
        "open-webui": open_webui,
    }
    annotations = {
        "category": "ai-machine-learning",
        "license": "Apache-2.0",
        "operator": "true",
        "operatorCapabilities": "Deep Insights",
        "prerelease": str(release.startswith("0.")).lower(),
        "crds": _yaml([*_described(crd.workspace_crd()), *_described(crd.platform_crd())]),
        "crdsExamples": _yaml([_example(config)]),
        "images": _yaml([{"name": name, "image": image} for name, image in images.items()]),
    }
    return {f"artifacthub.io/{key}": value for key, value in annotations.items()}


def _example(config: Path) -> dict[str, Any]:
    """Return the original operator's sample in the version that people are shown."""
    sample: dict[str, Any] = yaml.safe_load((config / _SAMPLE).read_text())
    return {**sample, "apiVersion": f"{names.GROUP}/{names.SERVED_VERSIONS[0]}"}


def _described(definition: Mapping[str, Any]) -> list[dict[str, str]]:
    kind = definition["spec"]["names"]["kind"]
    return [
        {
            "kind": kind,
            "version": version["name"],
            "name": definition["metadata"]["name"],
            "displayName": kind,
            "description": version["schema"]["openAPIV3Schema"]["description"],
        }
        for version in definition["spec"]["versions"]
    ]


def _page() -> str:
    lines = (
        f"<!-- {_HEAD} -->",
        f"# {names.OPERATOR}",
        "",
        f"{_summary()}. [How to install](../../docs/install.md#with-helm).",
        "",
        "## Values",
        "",
        *table(),
    )
    return "\n".join(lines) + "\n"


def _summary() -> str:
    return metadata(names.OPERATOR)["Summary"]


def _yaml(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)
