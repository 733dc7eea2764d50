"""Where a pod finds its API server, and as whom it asks."""

import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiohttp import web

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube import connection
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.connection import ConnectionSettingsError
from aichat_workspace.kube.errors import UnreachableError
from localcluster import certificates

PODS = Resource("", "v1", "Pod", "pods")
ENVIRONMENT = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service account's files."""
    folder = tmp_path / "account"
    folder.mkdir()
    authority = certificates.ensure(tmp_path / "authority")
    (folder / "ca.crt").write_bytes(Path(authority.certificate).read_bytes())
    (folder / "token").write_text("token-1\n")
    return folder


@pytest.mark.parametrize(
    ("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
async def test_a_pod_asks_the_address_in_its_environment_as_its_service_account(
    folder: Path, host: str, url: str
) -> None:
    known = connection.in_cluster({**ENVIRONMENT, "KUBERNETES_SERVICE_HOST": host}, folder)
    assert known.url == url
    assert await known.authorization() == "Bearer token-1"
    assert known.tls is not None
    assert len(known.tls.get_ca_certs()) == 1


async def test_a_renewed_token_is_read_within_a_minute(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: seconds)
    known = connection.in_cluster(ENVIRONMENT, folder)
    (folder / "token").write_text("token-2")
    assert await known.authorization() == "Bearer token-1"
    seconds += 60
    assert await known.authorization() == "Bearer token-2"


@pytest.mark.parametrize("name", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"])
def test_a_variable_that_each_pod_has_is_named_where_it_is_missing(folder: Path, name: str) -> None:
    with pytest.raises(ConnectionSettingsError, match=name):
        connection.in_cluster({**ENVIRONMENT, name: ""}, folder)


@pytest.mark.parametrize("name", ["token", "ca.crt"])
@pytest.mark.parametrize("text", [None, ""])
def test_a_file_that_is_missing_or_empty_is_named(
    folder: Path, name: str, text: str | None
) -> None:
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(ConnectionSettingsError, match=name):
        connection.in_cluster(ENVIRONMENT, folder)


async def test_a_pods_client_verifies_the_server_and_shows_its_token(
    folder: Path, tmp_path: Path
) -> None:
    authority = certificates.ensure(tmp_path / "authority")
    pair = certificates.issue(authority, tmp_path / "server", ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    tokens = []

    async def answer(request: web.Request) -> web.Response:
        tokens.append(request.headers["Authorization"])
        return web.json_response({"name": 1})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    environment = {**ENVIRONMENT, "KUBERNETES_SERVICE_HOST": "127.0.0.1"}
    environment["KUBERNETES_SERVICE_PORT"] = str(runner.addresses[0][1])
    another = certificates.ensure(tmp_path / "another")
    try:
        async with Client(connection.in_cluster(environment, folder), user_agent="test") as client:
            assert await client.get(PODS, "a", "n") == {"name": 1}
        shutil.copy(another.certificate, folder / "ca.crt")
        async with Client(connection.in_cluster(environment, folder), user_agent="test") as client:
            with pytest.raises(UnreachableError, match=r"(?i)certificate"):
                await client.create(PODS, {"metadata": {"name": "a"}}, field_manager="m")
    finally:
        await runner.cleanup()
    assert tokens == ["Bearer token-1"]


async def test_a_kubeconfig_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConnectionSettingsError, match="kube-config"):
        await connection.connect(str(tmp_path / "absent.yaml"), None)


def test_a_pod_does_not_import_the_official_client() -> None:
    """It takes 11 MiB, most of them for what only kubeconfigs need."""
    program = (
        "import sys, aichat_workspace.operator.main; "
        "print([name for name in ('kubernetes', 'requests', 'oauthlib') if name in sys.modules])"
    )
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout == "[]\n"
