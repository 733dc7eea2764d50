"""Freeze what a release promises, so that later ones are checked against it.

`tests/unit/test_released.py` compares every release that is frozen with the current models.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.platform_status import PlatformConditionType
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionType, Phase
from release import source
from release.errors import ReleaseError

FOLDER: Final = Path("tests") / "released"
"""A folder for each release that is still supported, below the project's."""
WORDS: Final = "words.json"
_DEFINITIONS: Final = Path("config") / "crd" / "bases"


def words() -> dict[str, Any]:
    """Return what programs may match and no schema has: reasons with their codes, phases,
    conditions, and the platform's defaults but for the images, which any release may change."""
    return {
        "reasons": {str(reason): reason.code for reason in sorted(Reason)},
        "phases": sorted(Phase),
        "conditions": sorted(ConditionType),
        "platformConditions": sorted(PlatformConditionType),
        "platformDefaults": PlatformSpec().model_dump(
            mode="json", by_alias=True, exclude={"images"}
        ),
    }


def files(project: Path) -> Mapping[str, str]:
    """Return the texts of a contract's files by their names."""
    definitions = sorted((project / _DEFINITIONS).glob("*.yaml"))
    return {
        **{path.name: path.read_text() for path in definitions},
        WORDS: json.dumps(words(), indent=2) + "\n",
    }


def freeze(project: Path, version: str, *, again: bool = False) -> Path:
    """Write the contract of a version, and return its folder.

    Raises:
        ReleaseError: the version has a tag, and another contract or none; or the folder has
            another contract, and `again` does not say that nobody has it yet.
    """
    folder = project / FOLDER / version
    if _differing(project, folder) is None:
        return folder
    if source.is_tagged(project, version):
        raise ReleaseError(
            f"v{version} is tagged, so what it promises stays: raise the version in pyproject.toml"
        )
    if folder.exists() and not again:
        raise ReleaseError(
            f"{FOLDER / version} promises something else: raise the version in pyproject.toml, or "
            "run `make freeze AGAIN=yes` where nobody has that one yet"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(project).items():
        (folder / name).write_text(text)
    return folder


def check(project: Path, version: str) -> None:
    """Refuse a version whose contract is not frozen as it is.

    Raises:
        ReleaseError: the folder lacks a file, or one differs.
    """
    name = _differing(project, project / FOLDER / version)
    if name is not None:
        raise ReleaseError(
            f"{FOLDER / version / name} is not what this commit promises: run `make freeze`, "
            "and commit it, so that later releases are checked against it"
        )


def _differing(project: Path, folder: Path) -> str | None:
    """Return the first file that the folder lacks or has otherwise; None where there is none."""
    for name, text in files(project).items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            return name
    return None
