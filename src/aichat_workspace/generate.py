"""Write the files that are generated from the models, and the version into others.

`python -m aichat_workspace.generate` writes them.

With --check it writes nothing, names each stale file and exits with 1 if there is any.
"""

import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

import yaml

from aichat_workspace import version_stamps
from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.chart.files import files as chart_files
from aichat_workspace.documentation import (
    chat_settings,
    commands,
    data_flow,
    metrics,
    operations,
    reference,
    troubleshooting,
)
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.kinds import PLATFORM, WORKSPACE
from aichat_workspace.domain.v1alpha1 import crd
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.connection import Connection
from aichat_workspace.runtime import servers

ROOT: Final = Path(__file__).parents[2]


def generated() -> Mapping[Path, str]:
    """Return the text of every generated file, by its path below the repository's root."""
    bases = Path("config/crd/bases")
    openapi = _openapi()
    return {
        bases / f"{names.GROUP}_{WORKSPACE.plural}.yaml": _yaml(crd.workspace_crd()),
        bases / f"{names.GROUP}_{PLATFORM.plural}.yaml": _yaml(crd.platform_crd()),
        Path("docs/reference.md"): reference.page(),
        **version_stamps.stamped(ROOT, version(names.OPERATOR)),
        Path("docs/troubleshooting.md"): troubleshooting.page(),
        Path("docs/commands.md"): commands.page(),
        Path("docs/metrics.md"): metrics.page(),
        Path("docs/chat-settings.md"): chat_settings.page(),
        Path("docs/api-reference.md"): operations.page(json.loads(openapi)),
        Path("docs/openapi.json"): openapi,
        Path("docs/images/data-flow.svg"): data_flow.picture(),
        **chart_files(ROOT / "config"),
    }


def _openapi() -> str:
    """Return what a running API serves at /openapi.json, without any connection."""
    client = Client(Connection(), user_agent="generate")
    settings = Settings.read({}, in_cluster=False)
    connections = servers.by_proxy(client), servers.chat_by_proxy(client)
    services = Services.create(settings, client, *connections, {})
    document = build(services, Metrics(lambda: 0, lambda: 0)).openapi()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _yaml(document: object) -> str:
    head = "# Generated from the models by `make generate`; edit those instead.\n"
    return head + yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)


def main() -> int:
    if "--check" in sys.argv[1:]:
        stale = _stale()
        for path in stale:
            sys.stderr.write(f"{path} is stale: run `make generate`\n")
        return 1 if stale else 0
    for _ in range(2):  # the chart is made of the resources' definitions as they are written
        for path, text in _stale().items():
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text)
            sys.stdout.write(f"wrote {path}\n")
    return 0


def _stale() -> dict[Path, str]:
    """Return the texts of the files that are not as generated."""
    return {
        path: text
        for path, text in generated().items()
        if not (ROOT / path).exists() or (ROOT / path).read_text() != text
    }


if __name__ == "__main__":
    sys.exit(main())
