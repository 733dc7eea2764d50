"""A person's sign-in to a chat by an identity provider, without a browser."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2

_INGRESS = "http://127.0.0.1"


@dataclass(frozen=True)
class SignedIn:
    """What the chat gave at the end."""

    token: str
    """Empty for a person who is refused."""
    error: str
    """What the page says then."""


@dataclass(frozen=True)
class ChatDoor:
    """A chat's way in under a host name."""

    host: str
    authority: Path
    """The certificate of the authority that the provider's is of."""

    def sign_in(self, visit: Callable[[str], str] | None = None) -> SignedIn:
        """Go from the chat to the provider and back, as a browser does with the button; `visit`
        goes through a provider's pages, and says where they send the browser back to."""
        with self._client() as chat:
            begin = chat.get("/oauth/oidc/login")
            assert begin.status_code == HTTPStatus.FOUND, begin.text
            returned = urlsplit((visit or self._without_a_page)(begin.headers["location"]))
            assert returned.hostname == self.host
            headers = {"Cookie": _cookies(begin)}
            end = chat.get(f"{returned.path}?{returned.query}", headers=headers)
        refusal = parse_qs(urlsplit(end.headers["location"]).query).get("error", [""])
        return SignedIn(dict(_pairs(end)).get("token", ""), refusal[0])

    def _without_a_page(self, address: str) -> str:
        """Where a provider that asks nobody sends the browser back to."""
        trusted = ssl.create_default_context(cafile=str(self.authority))
        with httpx2.Client(verify=trusted) as provider:
            back = provider.get(address)
        assert back.status_code == HTTPStatus.FOUND, back.text
        return str(back.headers["location"])

    def role(self, person: SignedIn) -> str:
        """What the person is in the chat: user, admin or pending."""
        return str(self.get("/api/v1/auths/", person.token).json()["role"])

    def groups(self, person: SignedIn) -> set[str]:
        """The person's groups in the chat."""
        return {group["name"] for group in self.get("/api/v1/groups/", person.token).json()}

    def get(self, path: str, token: str = "") -> httpx2.Response:
        """Ask the chat itself; `token` is a session's or a key."""
        with self._client() as chat:
            return chat.get(path, headers=_bearer(token))

    def send(self, method: str, path: str, token: str = "", json: object = None) -> httpx2.Response:
        """Send the chat a document."""
        with self._client() as chat:
            return chat.request(method, path, headers=_bearer(token), json=json)

    @contextmanager
    def _client(self) -> Iterator[httpx2.Client]:
        with httpx2.Client(
            base_url=_INGRESS, headers={"Host": self.host}, timeout=240, trust_env=False
        ) as client:
            yield client


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _pairs(response: httpx2.Response) -> Iterator[tuple[str, str]]:
    """Yield the cookies; those for TLS only are kept, too, as the ingress is on this machine."""
    for header in response.headers.get_list("set-cookie"):
        name, _, value = header.partition(";")[0].partition("=")
        yield name, value


def _cookies(response: httpx2.Response) -> str:
    return "; ".join(f"{name}={value}" for name, value in _pairs(response))
