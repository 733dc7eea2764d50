"""How a workspace's model server is reached."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import aiohttp

from aichat_workspace.domain import names
from aichat_workspace.domain.render.tenant import OLLAMA_PORT
from aichat_workspace.kube.client import Client
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.transport import Answer, direct

Connect = Callable[[str], OllamaClient]


def session() -> aiohttp.ClientSession:
    """For requests to model servers, whosever they are; close it in the end.

    No number of open answers keeps another from being asked: one tenant's slow server must not stop
    all. A connection serves one request, for the next one may be for another pod, and a prompt that
    went to one that is gone is not sent again. No server's cookie is brought to another's.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def by_service(session: aiohttp.ClientSession) -> Connect:
    """Inside the cluster: by the service's DNS name."""

    def connect(workspace: str) -> OllamaClient:
        url = f"http://{names.ollama(workspace)}.{workspace}.svc:{OLLAMA_PORT}"
        return OllamaClient(direct(session, url))

    return connect


def by_proxy(client: Client) -> Connect:
    """Outside: through the API server's service proxy, with the kubeconfig's permissions.

    https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/
    """

    def connect(workspace: str) -> OllamaClient:
        service = f"{names.ollama(workspace)}:{OLLAMA_PORT}"
        root = f"/api/v1/namespaces/{workspace}/services/{service}/proxy"

        def open_request(
            method: str, path: str, body: bytes | None, idle_seconds: float
        ) -> AbstractAsyncContextManager[Answer]:
            return client.stream(
                method,
                f"{root}{path}",
                body,
                idle_seconds=idle_seconds,
                counted_as="services/proxy",
            )

        return OllamaClient(open_request)

    return connect
