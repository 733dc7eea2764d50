"""The TLS settings of a kubeconfig's cluster, before a server with a certificate."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import UnreachableError
from localcluster import certificates

PODS = Resource("", "v1", "Pod", "pods")
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
clusters: [{{name: c, cluster: {{server: "{server}", {settings}}}}}]
users: [{{name: u, user: {{token: t}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
"""


@pytest.fixture
def authority(tmp_path: Path) -> certificates.KeyPair:
    return certificates.ensure(tmp_path / "authority")


@asynccontextmanager
async def connected(
    authority: certificates.KeyPair, tmp_path: Path, name: str, settings: str
) -> AsyncIterator[Client]:
    """A client of a server on 127.0.0.1 whose certificate has this name alone."""
    pair = certificates.issue(authority, tmp_path / "server", [name])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"name": 1})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    host, port = runner.addresses[0][:2]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(server=f"https://{host}:{port}", settings=settings))
    try:
        async with await Client.connect(str(kubeconfig), user_agent="test") as client:
            yield client
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("name", "is_reached"), [("api.example.org", True), ("other.example.org", False)]
)
async def test_the_servers_certificate_may_have_the_name_that_a_kubeconfig_gives_it(
    authority: certificates.KeyPair, tmp_path: Path, name: str, *, is_reached: bool
) -> None:
    settings = f'certificate-authority: "{authority.certificate}", tls-server-name: api.example.org'
    async with connected(authority, tmp_path, name, settings) as client:
        if is_reached:
            assert await client.get(PODS, "a", "n") == {"name": 1}
        else:
            with pytest.raises(UnreachableError, match=r"(?i)certificate"):
                await client.create(PODS, {"metadata": {"name": "a"}}, field_manager="m")


async def test_a_certificate_that_is_not_verified_is_warned_of(
    authority: certificates.KeyPair, tmp_path: Path
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with connected(
            authority, tmp_path, "api.example.org", "insecure-skip-tls-verify: true"
        ) as client:
            assert await client.get(PODS, "a", "n") == {"name": 1}
    (warning,) = (line for line in logs if line["log_level"] == "warning")
    assert "certificate is not verified" in warning["event"]
