"""The chart's templates: the manifests of config/ with the edits that values need.

So an installation by kustomize and one by Helm have the same objects.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

import yaml

from aichat_workspace.chart.edits import apply, line
from aichat_workspace.chart.treatments import TREATMENTS, Reference, Treatment
from aichat_workspace.domain import names

_SMOKE_TEST: Final = "smoke-test"
_KUSTOMIZATIONS: Final = ("default", "observability", _SMOKE_TEST)
_FOLDERS: Final = {"bases": (), _SMOKE_TEST: ("tests",)}
"""Folders of `config` that have another name in the chart, or none."""
_NAMESPACE: Final = ("Namespace", names.SYSTEM_NAMESPACE)
"""Helm keeps its release in the namespace, so it has to exist before the release."""
_PART_OF: Final = f"app.kubernetes.io/part-of: {names.OPERATOR}"
_LEADING_COMMENT: Final = re.compile(r"\A(?:#.*\n)+")


def templates(config: Path) -> Mapping[Path, str]:
    """Return the templates by their paths in the chart's folder.

    Raises:
        ValueError: an object or a field that values decide is not in `config`.
    """
    sources = {path: path.read_text() for path in manifests(config)}
    texts = {path: _template(path.relative_to(config), text) for path, text in sources.items()}
    references = {reference(document) for text in sources.values() for document in documents(text)}
    if unknown := TREATMENTS.keys() - references:
        raise ValueError(f"config has none of {sorted(unknown)}; correct chart/treatments.py")
    folder = Path("templates")
    return {
        **{folder / _target(path.relative_to(config)): text for path, text in texts.items()},
        Path("files/dashboard.json"): (config / "observability" / "dashboard.json").read_text(),
        Path("files/smoke_test.py"): (config / _SMOKE_TEST / "smoke_test.py").read_text(),
    }


def manifests(config: Path) -> Iterator[Path]:
    """Return the files that the kustomizations list."""
    for name in _KUSTOMIZATIONS:
        yield from _listed(config / name)


def documents(text: str) -> list[str]:
    """Split a file into its documents."""
    return [
        document.strip("\n") + "\n" for document in re.split(r"^---$", text, flags=re.MULTILINE)
    ]


@cache
def reference(document: str) -> Reference:
    """Return the kind and name of a document's object."""
    manifest: Any = yaml.safe_load(document)
    return manifest["kind"], manifest["metadata"]["name"]


def _listed(folder: Path) -> Iterator[Path]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for resource in kustomization["resources"]:
        path = (folder / resource).resolve()
        if path.is_dir():
            yield from _listed(path)
        else:
            yield path


def _target(path: Path) -> Path:
    return Path(*chain.from_iterable(_FOLDERS.get(part, (part,)) for part in path.parts))


def _template(path: Path, text: str) -> str:
    comment = f"Generated from config/{path} by `make generate`; edit that instead."
    objects = (_object(document) for document in documents(_LEADING_COMMENT.sub("", text)))
    return f"{{{{- /* {comment} */ -}}}}\n{''.join(objects)}"


def _object(document: str) -> str:
    if reference(document) == _NAMESPACE:
        return ""
    treatment = TREATMENTS.get(reference(document), Treatment())
    part_of = line(("metadata", "labels", "app.kubernetes.io/name"), _PART_OF)
    edits = treatment.edits if treatment.is_test else (part_of, *treatment.edits)
    edited = f"---\n{apply(_escape(document), edits)}"
    if not treatment.condition:
        return edited
    return f"{{{{- if {treatment.condition} }}}}\n{edited}{{{{- end }}}}\n"


def _escape(document: str) -> str:
    """Escape what is no action of the chart, as the placeholders of alerts."""
    return document.replace("{{", "{{`{{`}}")
