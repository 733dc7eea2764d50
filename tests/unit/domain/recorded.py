"""One whole tenant as a real API server completed it.

tests/integration/test_server_defaults.py writes the record.
"""

import json
from pathlib import Path

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.field_ownership import keep_foreign
from aichat_workspace.domain.kubernetes.manifest import Manifest, ref
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.render import render, tenant_namespace
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.samples import CREDENTIALS, workspace

RENEW = "record it again: pytest tests/integration/test_server_defaults.py --golden"
RECORD = Path(__file__).parent / "golden" / "server-defaulted.json"
WORKSPACE = workspace("recorded")
NAMESPACE = tenant_namespace(WORKSPACE)
DESIRED = render(WORKSPACE, PlatformSpec(), CREDENTIALS)


def recorded() -> Observed:
    """Return the tenant as the operator's caches have it: without Secrets, which are never read."""
    namespace, *manifests = (keep_foreign(manifest, names.OPERATOR) for manifest in _read())
    objects = {ref(manifest): manifest for manifest in manifests if manifest["kind"] != "Secret"}
    return Observed(namespace=namespace, objects=objects)


def _read() -> list[Manifest]:
    manifests: list[Manifest] = json.loads(RECORD.read_text())
    return manifests
