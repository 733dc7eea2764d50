"""An environment: a folder with a kustomization, and a file that says which cluster it is for."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.errors import RefusedError

FOLDER: Final = Path("config/environments")
FILE: Final = "environment.yaml"


@dataclass(frozen=True)
class Environment:
    """Where a release goes, and what its smoke test may use."""

    name: str
    folder: Path
    context: str
    """The context of the kubeconfig, and no other one."""
    model: str
    """The model that the smoke test asks."""
    api: str = ""
    """The API's address; if empty, a port-forward leads to it."""
    rolloutSeconds: float = 300  # noqa: N815  (as in the file)
    """How long the operator and the API may take to become available."""
    smokeTestSeconds: float = 900  # noqa: N815  (as in the file)
    """How long its workspace may take to become ready, with the download of its model."""


def load(name: str, folder: Path = FOLDER) -> Environment:
    """Read an environment.

    Raises:
        RefusedError: there is none of this name, or a field of its file is wrong.
    """
    file = folder / name / FILE
    if not file.is_file():
        names = sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))
        raise RefusedError(
            f"ENV is {name!r}, and {file} does not exist; choose one of: {', '.join(names) or '-'}"
        )
    try:
        settings = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise RefusedError(f"{file} is not YAML: {error}") from error
    return _parse(name, file, settings)


def _parse(name: str, file: Path, settings: Any) -> Environment:
    if not isinstance(settings, dict):
        raise RefusedError(f"{file} needs fields, as in context: {name}")
    kinds = {field.name: field.type for field in fields(Environment)}
    optional = {"api", "rolloutSeconds", "smokeTestSeconds"}
    known = {"context", "model"} | optional
    if unknown := sorted(settings.keys() - known):
        raise RefusedError(
            f"{file}: unknown {', '.join(unknown)}; fields: {', '.join(sorted(known))}"
        )
    if missing := sorted(known - optional - settings.keys()):
        raise RefusedError(f"{file} lacks {', '.join(missing)}")
    for key, value in settings.items():
        if kinds[key] is float:
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise RefusedError(f"{file}: {key} is {value!r}; write seconds, as in 300")
        elif not isinstance(value, str) or not value.strip():
            raise RefusedError(f"{file}: {key} is {value!r}; write a text")
    return Environment(name, file.parent, **settings)
