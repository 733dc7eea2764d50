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


def freeze(project: Path, version: str) -> Path:
    """Write the contract of a version, and return its folder."""
    folder = project / FOLDER / version
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(project).items():
        (folder / name).write_text(text)
    return folder


def check(project: Path, version: str) -> None:
    """Refuse a version whose contract is not frozen as it is.

    Raises:
        ReleaseError: the folder lacks a file, or one differs.
    """
    folder = project / FOLDER / version
    for name, text in files(project).items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            raise ReleaseError(
                f"{FOLDER / version / name} is not what this commit promises: run `make freeze`, "
                "and commit it, so that later releases are checked against it"
            )
