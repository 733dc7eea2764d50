"""One whole tenant as a real API server completed it; tests/integration/test_server_defaults.py
writes the record."""

import json
from pathlib import Path

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.field_ownership import keep_foreign
from aichat_workspace.domain.kubernetes.manifest import Manifest, ref
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.render import render, tenant_namespace
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.samples import CREDENTIALS, workspace

RENEW = "record it anew: pytest tests/integration/test_server_defaults.py --golden"
RECORD = Path(__file__).parent / "golden" / "server-defaulted.json"
WORKSPACE = workspace("recorded")
NAMESPACE = tenant_namespace(WORKSPACE)
DESIRED = render(WORKSPACE, PlatformSpec(), CREDENTIALS)


def recorded() -> Observed:
    """As the operator's caches hold it: a tenant's Secret is never read."""
    namespace, *objects = (keep_foreign(each, names.OPERATOR) for each in _read())
    held = {ref(each): each for each in objects if each["kind"] != "Secret"}
    return Observed(namespace=namespace, objects=held)


def _read() -> list[Manifest]:
    found: list[Manifest] = json.loads(RECORD.read_text())
    return found
