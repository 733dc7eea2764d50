"""Settings of the API, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Self
from urllib.parse import urlsplit

from aichat_workspace.domain import names

Networks = tuple[IPv4Network | IPv6Network, ...]


AUDIENCE: Final = names.API
"""The audience of tokens: `kubectl create token NAME --audience aichat-workspace-api`."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits for one caller and for all callers together."""

    body_bytes: int = 256 * 1024
    """Size of one request's body."""
    requests_per_second: float = 50.0
    """Requests of one caller."""
    burst: int = 200
    """Requests of one caller at once."""
    streams_per_caller: int = 20
    """Watches, followed logs and prompts of one caller at the same time."""
    streams: int = 2_000
    """Watches, followed logs and prompts of all callers at the same time."""
    anonymous_per_second: float = 50.0
    """Unknown tokens and sign-ins, from all addresses."""
    anonymous_burst: int = 500
    """Unknown tokens and sign-ins at once, from all addresses."""
    lists_per_caller: int = 20
    """Lists of one caller at the same time."""
    lists: int = 200
    """Lists of all callers at the same time."""
    all_bodies_bytes: int = 32 * 1024 * 1024
    """Size of all bodies that are arriving or not answered yet."""
    connections_per_address: int = 256
    """Open connections of one address; the networks around it have two and four times as many."""
    connections: int = 4_096
    """Open connections of known addresses and proxies; unknown ones have a quarter as many."""
    bodies_bytes_per_caller: int = 1024 * 1024
    """Size of one caller's bodies that are arriving or not answered yet."""
    concurrent_requests: int = 10
    """Requests of one caller that are not answered yet, besides streams."""
    reviews_per_second: float = 500.0
    """Questions to Kubernetes about what one caller may do."""
    review_burst: int = 5_000
    """Questions to Kubernetes about what one caller may do, at once."""
    answers_bytes_per_caller: int = 16 * 1024 * 1024
    """Size of one caller's whole replies of models that are not sent yet."""
    all_answers_bytes: int = 32 * 1024 * 1024
    """Size of all whole replies of models that are not sent yet."""


@dataclass(frozen=True, slots=True)
class Oidc:
    """The identity provider that browsers sign in with; the API server has to trust it, too."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scope: str
    ca_file: str | None = None
    cli_client_id: str | None = None
    """The public client that command lines sign in with; None where there is none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one API process."""

    dev: bool
    """On a laptop with a kubeconfig; model servers are reached through the API server."""
    kubeconfig: str | None
    """Path of the kubeconfig; None for the default one."""
    address: str
    """The address to listen on; empty for every address, IPv4 and IPv6."""
    port: int
    """The port to listen on."""
    probe_port: int
    """The port of probes and metrics."""
    audience: str
    """The audience that a token must have."""
    bounds: Bounds
    """Limits for callers."""
    oidc: Oidc | None
    """The identity provider; None without one."""
    public_url: str | None = None
    """Where browsers reach the API; Host and X-Forwarded-* can be forged, so they don't say it."""
    session_seconds: int = 8 * 3600
    """The longest time from signing in to signing in again."""
    proxies: Networks = ()
    """The proxies whose X-Forwarded-For is trusted."""
    version: str = field(default_factory=lambda: version(names.OPERATOR))
    """The version of this package."""

    @property
    def https(self) -> bool:
        """Whether browsers use TLS: yes in a cluster unless the public URL says otherwise."""
        return not self.dev if self.public_url is None else self.public_url.startswith("https:")

    @classmethod
    def read(cls, environment: Mapping[str, str], *, in_cluster: bool) -> Self:
        """Read the environment. Raises ValueError that names the variable that can't be used."""
        dev = environment.get("ENV") == "dev" or not in_cluster
        return cls(
            dev=dev,
            kubeconfig=environment.get("KUBECONFIG") or None,
            address=environment.get("API_ADDRESS") or ("127.0.0.1" if dev else ""),
            port=_number(environment, "API_PORT", 8090),
            probe_port=_number(environment, "API_PROBE_PORT", 8091),
            audience=environment.get("API_AUDIENCE") or AUDIENCE,
            bounds=_bounds(environment),
            oidc=_oidc(environment),
            public_url=_public_url(environment),
            session_seconds=60 * _number(environment, "API_SESSION_MINUTES", 8 * 60),
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
        anonymous_per_second=_number(
            environment, "API_ANONYMOUS_PER_SECOND", int(default.anonymous_per_second)
        ),
        anonymous_burst=_number(environment, "API_ANONYMOUS_BURST", default.anonymous_burst),
        all_bodies_bytes=_number(environment, "API_ALL_BODIES_BYTES", default.all_bodies_bytes),
        lists_per_caller=_number(environment, "API_LISTS_PER_CALLER", default.lists_per_caller),
        lists=_number(environment, "API_LISTS", default.lists),
        connections_per_address=_number(
            environment, "API_CONNECTIONS_PER_ADDRESS", default.connections_per_address
        ),
        connections=_number(environment, "API_CONNECTIONS", default.connections),
        bodies_bytes_per_caller=_number(
            environment, "API_BODIES_BYTES_PER_CALLER", default.bodies_bytes_per_caller
        ),
        concurrent_requests=_number(
            environment, "API_CONCURRENT_REQUESTS", default.concurrent_requests
        ),
        reviews_per_second=_number(
            environment, "API_REVIEWS_PER_SECOND", int(default.reviews_per_second)
        ),
        review_burst=_number(environment, "API_REVIEW_BURST", default.review_burst),
        answers_bytes_per_caller=_number(
            environment, "API_ANSWERS_BYTES_PER_CALLER", default.answers_bytes_per_caller
        ),
        all_answers_bytes=_number(environment, "API_ALL_ANSWERS_BYTES", default.all_answers_bytes),
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
    secret = environment.get("OIDC_CLIENT_SECRET") or None
    return Oidc(
        issuer=issuer.rstrip("/"),
        client_id=client_id,
        client_secret=secret,
        scope=environment.get("OIDC_SCOPE") or "openid email profile",
        ca_file=environment.get("OIDC_CA_FILE") or None,
        cli_client_id=environment.get("OIDC_CLI_CLIENT_ID") or (None if secret else client_id),
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
        return tuple(ip_network(network.strip()) for network in text.split(",") if network.strip())
    except ValueError as error:
        raise ValueError(
            f"API_TRUSTED_PROXIES is {text!r}: {error}; write networks, as 10.0.0.0/8,fd00::/8"
        ) from error
