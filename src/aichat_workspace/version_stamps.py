"""The version in the files that people read or apply: pyproject.toml has it, and they follow.

The environments in config/environments do not: people promote a release from one to the next.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aichat_workspace.domain import names

FILES: Final = (
    Path("README.md"),
    Path("docs/install.md"),
    Path("config/default/kustomization.yaml"),
)
_VERSION: Final = re.compile(
    rf"(\b{names.OPERATOR}:v|\bnewTag: v|\btag: v|^Version )\d+\.\d+\.\d+", re.MULTILINE
)


def stamped(root: Path, version: str) -> Mapping[Path, str]:
    """Return the texts of the files below ``root`` with a version, by their paths there.

    Raises:
        ValueError: a file names no version any more; take it out of `FILES`.
    """
    return {path: stamp((root / path).read_text(), version, path) for path in FILES}


def stamp(text: str, version: str, path: Path) -> str:
    """Return a text in which all versions of the project are this one."""
    changed, count = _VERSION.subn(rf"\g<1>{version}", text)
    if not count:
        raise ValueError(f"{path} names no version: take it out of {Path(__file__).name}")
    return changed
