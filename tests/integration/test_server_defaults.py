"""What this API server makes of a tenant's objects: planning is tested against the record of it.

`pytest tests/integration/test_server_defaults.py --golden` writes the record again.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.kinds import RESOURCES
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.kube.client import Client
from tests.integration.conftest import Cluster
from tests.unit.domain.recorded import DESIRED, NAMESPACE, RECORD

pytestmark = pytest.mark.usefixtures("no_operator")
_CHANGING = {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"]}


async def test_the_record_is_what_the_api_server_makes_of_a_tenant(
    cluster: Cluster, pytestconfig: pytest.Config
) -> None:
    async with await Client.connect(str(cluster.kubeconfig), user_agent="test") as client:
        stored = [
            await applied(client, manifest, n) for n, manifest in enumerate((NAMESPACE, *DESIRED))
        ]
    cluster.kube.delete("namespace", NAMESPACE["metadata"]["name"])
    if pytestconfig.getoption("golden"):
        RECORD.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
    assert stored == json.loads(RECORD.read_text())


async def applied(client: Client, manifest: Manifest, number: int) -> dict[str, Any]:
    """An object as the API server answers to the operator's write, but for what differs each time.
    Contents of Secrets are not kept: the operator never reads them back."""
    document = await client.apply(
        RESOURCES[manifest["kind"]], manifest, field_manager=names.OPERATOR
    )
    fields = [without_time(entry) for entry in document["metadata"]["managedFields"]]
    metadata = {
        **document["metadata"],
        "uid": f"uid-{number}",
        "resourceVersion": "7",
        "creationTimestamp": "2026-11-23T12:00:00Z",
        "managedFields": fields,
    }
    content = {key: value for key, value in document.items() if key not in ("status", "data")}
    if manifest["kind"] == "Service":
        content["spec"] = {**content["spec"], **_CHANGING}
    return {**content, "metadata": metadata}


def without_time(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "time"}
