"""A real identity provider: Dex, built from source, with people of its own password store."""

import json
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import httpx2
from playwright.sync_api import Page

from localcluster import certificates
from localcluster.build import binaries
from localcluster.ports import free_port
from localcluster.progress import silent
from tests.waiting import eventually

CLIENT_ID: Final = "aichat"
COMMAND_LINE: Final = "aichat-cli"
"""The client of programs on people's machines."""
_PASSWORD: Final = "password"
# bcrypt of the password, as in Dex's own examples/config-dev.yaml.
_HASH: Final = "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W"
_END_SECONDS: Final = 30


@dataclass(frozen=True)
class Person:
    """Somebody whom Dex knows by an address and a password."""

    name: str
    groups: tuple[str, ...] = ()
    domain: str = "example.org"

    @property
    def address(self) -> str:
        return f"{self.name}@{self.domain}"


@dataclass(frozen=True)
class Dex:
    """A running Dex with a public client, and another one for the command line."""

    issuer: str
    ca_file: Path
    people: Sequence[Person]
    log: Path

    def person(self, name: str) -> Person:
        (person,) = (person for person in self.people if person.name == name)
        return person

    def fresh_token(self) -> str:
        """An ID token of the first person, by the password grant."""
        form = {"grant_type": "password", "scope": "openid groups"}
        form |= {"username": self.people[0].address, "password": _PASSWORD}
        with self._client() as client:
            answer = client.post(f"{self.issuer}/token", data={"client_id": CLIENT_ID, **form})
        token: str = answer.raise_for_status().json()["id_token"]
        return token

    def redeem(self, code: str, **form: str) -> httpx2.Response:
        """Ask for the tokens of a code, as somebody would who has seen it."""
        known = {"grant_type": "authorization_code", "client_id": CLIENT_ID, "code": code}
        with self._client() as client:
            return client.post(f"{self.issuer}/token", data={**known, **form})

    def sign_in(self, address: str, name: str) -> str:
        """Fill in Dex's form where a client has sent a person; say where they are sent back to."""
        with self._client() as client:
            page = client.get(address, follow_redirects=True)
            assert page.status_code == 200, page.text
            form = {"login": self.person(name).address, "password": _PASSWORD}
            back = client.post(str(page.url), data=form)
        assert back.status_code == 303, back.text
        return urljoin(str(page.url), back.headers["location"])

    def fill_in(self, page: Page, name: str) -> None:
        """Fill in Dex's form in a browser that has come to it."""
        page.locator("#login").fill(self.person(name).address)
        page.locator("#password").fill(_PASSWORD)
        page.locator("#submit-login").click()

    def _client(self) -> httpx2.Client:
        trusted = ssl.create_default_context(cafile=str(self.ca_file))
        return httpx2.Client(verify=trusted, trust_env=False)


@contextmanager
def serving(
    folder: Path,
    people: Sequence[Person],
    redirect_uris: Sequence[str],
    *,
    address: str = "127.0.0.1",
    id_token_seconds: int = 3600,
) -> Iterator[Dex]:
    """Run it with TLS under an authority of its own; its log is in the folder."""
    program = binaries.ensure(binaries.DEX, silent) / "dex"
    ours = certificates.ensure(folder, "identity provider's test authority")
    pair = certificates.issue(ours, folder, [address])
    port = free_port()
    dex = Dex(f"https://{address}:{port}", ours.certificate, people, folder / "log")
    settings = {
        "issuer": dex.issuer,
        "storage": {"type": "memory"},
        "web": {
            "https": f"{address}:{port}",
            "tlsCert": str(pair.certificate),
            "tlsKey": str(pair.key),
        },
        "expiry": {"idTokens": f"{id_token_seconds}s"},
        "oauth2": {"skipApprovalScreen": True, "passwordConnector": "local"},
        "staticClients": [
            {
                "id": CLIENT_ID,
                "name": "AIChat",
                "public": True,
                "redirectURIs": [*redirect_uris],
            },
            # Without redirect URIs a public client has loopback at any port, and devices' codes.
            {"id": COMMAND_LINE, "name": "aichatctl", "public": True},
        ],
        "enablePasswordDB": True,
        "staticPasswords": [_entry(person) for person in people],
    }
    configuration = folder / "dex.yaml"
    configuration.write_text(json.dumps(settings))
    with dex.log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603  (our own program)
            [str(program), "serve", str(configuration)], env={**os.environ}, stdout=out, stderr=out
        )
    try:
        eventually(
            lambda: process.poll() is not None or _listens(address, port),
            "Dex to listen",
            story=dex.log.read_text,
        )
        assert process.poll() is None, dex.log.read_text()
        yield dex
    finally:
        process.terminate()
        process.wait(_END_SECONDS)


def _entry(person: Person) -> dict[str, Any]:
    return {
        "email": person.address,
        "username": person.name,
        "userID": f"id-of-{person.name}",
        "hash": _HASH,
        "groups": [*person.groups],
    }


def _listens(address: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((address, port), timeout=1)):
            return True
    except OSError:
        return False
