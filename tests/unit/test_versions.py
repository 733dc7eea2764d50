"""What workspaces run by default is what the local node builds, and so what the tests run."""

import re
from pathlib import Path

from aichat_workspace.domain.platform import Images
from localcluster import versions
from localcluster.images import openwebui, programs
from localcluster.paths import GO_MODULES


def test_the_default_images_are_the_ones_that_the_local_node_builds() -> None:
    assert Images().ollama == programs.OLLAMA
    assert Images().open_webui == openwebui.NAME


def test_what_is_built_is_locked_at_the_versions_that_the_images_are_named_for() -> None:
    assert locked(GO_MODULES / "ollama" / "go.mod", r"github\.com/ollama/ollama v(\S+)") == [
        versions.OLLAMA
    ]
    assert locked(openwebui.REQUIREMENTS, r"^open-webui==(\S+)") == [versions.OPEN_WEBUI]


def locked(path: Path, pattern: str) -> list[str]:
    return re.findall(pattern, path.read_text(), re.MULTILINE)
