from pathlib import Path

import pytest

from localcluster.node.control_plane import is_ok
from localcluster.state import CONTROL_PLANE, Cluster


@pytest.mark.parametrize("text", [None, "", "-----BEGIN CERTIFICATE-----\nMIIB"])
def test_an_api_server_that_is_writing_its_certificate_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    cluster = Cluster("any", CONTROL_PLANE, server="https://127.0.0.1:1", token="")
    cluster.ca_file.parent.mkdir(parents=True)
    if text is not None:
        cluster.ca_file.write_text(text)
    assert not is_ok(cluster, f"{cluster.server}/readyz")
