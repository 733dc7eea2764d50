"""Where an API server is, and as whom it is asked: a pod's service account, or a kubeconfig."""

import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import structlog

_FOLDER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_CLUSTER_TOKEN: Final = _FOLDER / "token"
_TOKEN_SECONDS: Final = 60.0  # the kubelet replaces a token long before it expires
_log: Final = structlog.get_logger()


class ConnectionSettingsError(ValueError):
    """No API server can be asked by what the files and variables say. A retry does not help."""


async def anonymous() -> str:
    """Return no credentials."""
    return ""


@dataclass(frozen=True, slots=True)
class Connection:
    """One API server, and the credentials for it."""

    url: str = "http://localhost"
    """Without a slash at its end."""
    authorization: Callable[[], Awaitable[str]] = anonymous
    """Returns the header of that name, which changes; empty for none."""
    tls: ssl.SSLContext | None = None
    """None for the system's authorities."""
    server_hostname: str | None = None
    """The name in the server's certificate, where the URL has another."""
    proxy: str | None = None
    """None where the server is reached directly."""


async def connect(kubeconfig: str | None, context: str | None) -> Connection:
    """Connect as a pod's service account, or by a kubeconfig where there is none or one is named.

    Raises:
        ConnectionSettingsError: neither is usable.
    """
    if kubeconfig is None and IN_CLUSTER_TOKEN.exists():
        return in_cluster(os.environ)
    return await _by_kubeconfig(kubeconfig, context)


def in_cluster(environment: Mapping[str, str], folder: Path = _FOLDER) -> Connection:
    """Connect as a pod's service account, whose files are in `folder`.

    The official client does the same, and takes 11 MiB more: it imports what kubeconfigs need.

    Raises:
        ConnectionSettingsError: a variable or a file that each pod has is missing or empty.
    """
    host, port = (
        environment.get(name, "") for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
    )
    if not (host and port):
        raise ConnectionSettingsError(
            "KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set, as each pod has them"
        )
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    token, authority = _Token(folder / "token"), folder / "ca.crt"
    try:
        token.read()
        tls = ssl.create_default_context(cafile=authority)
    except OSError as error:  # an SSLError, too
        raise ConnectionSettingsError(f"{authority} or {token.file.name}: {error}") from error
    return Connection(url, token.authorization, tls, proxy=_environment_proxy(url))


@dataclass(slots=True)
class _Token:
    """A file with a token, which is read again each minute."""

    file: Path
    _header: str = ""
    _read_at: float = 0.0

    async def authorization(self) -> str:
        """Raises OSError for a file that can't be read; a retry may help."""
        if time.monotonic() - self._read_at >= _TOKEN_SECONDS:
            self.read()
        return self._header

    def read(self) -> None:
        token = self.file.read_text().strip()
        if not token:
            raise OSError(f"{self.file} is empty")
        self._header, self._read_at = f"Bearer {token}", time.monotonic()


async def _by_kubeconfig(kubeconfig: str | None, context: str | None) -> Connection:
    from kubernetes.aio import config  # noqa: PLC0415  (no pod needs it)
    from kubernetes.aio.client import ApiClient, Configuration  # noqa: PLC0415

    configuration = Configuration()
    try:
        await config.load_kube_config(
            kubeconfig, context=context, client_configuration=configuration
        )
    except config.ConfigException as error:
        raise ConnectionSettingsError(str(error)) from error
    if not configuration.verify_ssl:
        _log.warning(
            "the API server's certificate is not verified: a program on the way can read and "
            "change everything; take insecure-skip-tls-verify out of the kubeconfig",
            server=configuration.host,
        )

    async def authorization() -> str:
        """The official client renews tokens that expire."""
        settings: Mapping[str, Any] = await configuration.auth_settings()
        return next((setting["value"] for setting in settings.values() if setting["value"]), "")

    url = configuration.host
    return Connection(
        url,
        authorization,
        ApiClient(configuration).rest_client.ssl_context,
        configuration.tls_server_name,
        configuration.proxy or _environment_proxy(url),
    )


def _environment_proxy(url: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY choose for a URL."""
    address = urlsplit(url)
    if proxy_bypass(address.hostname or ""):
        return None
    return getproxies().get(address.scheme)
