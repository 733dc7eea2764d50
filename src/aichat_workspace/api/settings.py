"""Where the API runs and how much it allows: read once, from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Self
from urllib.parse import urlsplit

from aichat_workspace.domain import names

Networks = tuple[IPv4Network | IPv6Network, ...]


AUDIENCE: Final = names.API
"""Whom a token must be for: `kubectl create token NAME --audience aichat-workspace-api`."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one caller may take, and all together; `strangers` are tokens that nobody knows yet, and
    `all_bodies_bytes` is of bodies on their way in or not answered yet, whoever sends them."""

    body_bytes: int = 256 * 1024
    requests_per_second: float = 50.0
    burst: int = 200
    streams_per_caller: int = 20
    streams: int = 2_000
    strangers_per_second: float = 50.0
    strangers_burst: int = 500
    lists_per_caller: int = 20
    lists: int = 200
    all_bodies_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Oidc:
    """The identity provider that browsers sign in with; the API server has to trust it, too."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scope: str
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """`dev` is a laptop with a kubeconfig: model servers are reached through the API server. An
    empty `address` is every address, IPv4 and IPv6. `public_url` is where browsers reach the API,
    as in https://aichat.example.org: what a request says of that (Host, X-Forwarded-*) is anybody's
    to write. Only `proxies` are believed where a request comes from."""

    dev: bool
    kubeconfig: str | None
    address: str
    port: int
    audience: str
    bounds: Bounds
    oidc: Oidc | None
    public_url: str | None = None
    proxies: Networks = ()
    version: str = field(default_factory=lambda: version(names.OPERATOR))

    @property
    def https(self) -> bool:
        """Whether browsers come by TLS; where nobody says, they had better."""
        return not self.dev if self.public_url is None else self.public_url.startswith("https:")

    @classmethod
    def read(cls, environment: Mapping[str, str], *, in_cluster: bool) -> Self:
        """Raises ValueError, naming the variable, for one that can't be used."""
        dev = environment.get("ENV") == "dev" or not in_cluster
        return cls(
            dev=dev,
            kubeconfig=environment.get("KUBECONFIG") or None,
            address=environment.get("API_ADDRESS") or ("127.0.0.1" if dev else ""),
            port=_number(environment, "API_PORT", 8090),
            audience=environment.get("API_AUDIENCE") or AUDIENCE,
            bounds=_bounds(environment),
            oidc=_oidc(environment),
            public_url=_public_url(environment),
            proxies=_proxies(environment),
        )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{name} is {text!r}; write a whole number above 0, or leave it out")
    return int(text)


def _bounds(environment: Mapping[str, str]) -> Bounds:
    default = Bounds()
    return Bounds(
        body_bytes=_number(environment, "API_BODY_BYTES", default.body_bytes),
        requests_per_second=_number(
            environment, "API_REQUESTS_PER_SECOND", int(default.requests_per_second)
        ),
        burst=_number(environment, "API_BURST", default.burst),
        streams_per_caller=_number(
            environment, "API_STREAMS_PER_CALLER", default.streams_per_caller
        ),
        streams=_number(environment, "API_STREAMS", default.streams),
        strangers_per_second=_number(
            environment, "API_STRANGERS_PER_SECOND", int(default.strangers_per_second)
        ),
        strangers_burst=_number(environment, "API_STRANGERS_BURST", default.strangers_burst),
        all_bodies_bytes=_number(environment, "API_ALL_BODIES_BYTES", default.all_bodies_bytes),
    )


def _oidc(environment: Mapping[str, str]) -> Oidc | None:
    issuer = environment.get("OIDC_ISSUER")
    if not issuer:
        return None
    if not issuer.startswith("https://"):
        raise ValueError(f"OIDC_ISSUER is {issuer!r}; the API server takes https:// issuers only")
    if not environment.get("PUBLIC_URL"):
        raise ValueError("OIDC_ISSUER is set but PUBLIC_URL is not; browsers come back there")
    client_id = environment.get("OIDC_CLIENT_ID")
    if not client_id:
        raise ValueError("OIDC_ISSUER is set but OIDC_CLIENT_ID is not; name the client there")
    return Oidc(
        issuer=issuer.rstrip("/"),
        client_id=client_id,
        client_secret=environment.get("OIDC_CLIENT_SECRET") or None,
        scope=environment.get("OIDC_SCOPE") or "openid email profile",
        ca_file=environment.get("OIDC_CA_FILE") or None,
    )


def _public_url(environment: Mapping[str, str]) -> str | None:
    text = environment.get("PUBLIC_URL")
    if not text:
        return None
    parts = urlsplit(text)
    rest = parts.path.rstrip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in ("http", "https") or not parts.hostname or rest:
        raise ValueError(f"PUBLIC_URL is {text!r}; write it as https://aichat.example.org")
    return f"{parts.scheme}://{parts.netloc}"


def _proxies(environment: Mapping[str, str]) -> Networks:
    text = environment.get("API_TRUSTED_PROXIES") or ""
    try:
        return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())
    except ValueError as error:
        raise ValueError(
            f"API_TRUSTED_PROXIES is {text!r}: {error}; write networks, as 10.0.0.0/8,fd00::/8"
        ) from error
