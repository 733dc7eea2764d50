"""The API as programs reach it: through its ingress, by TLS."""

import json
import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Api:
    """One caller, by their token. The host is looked for on this machine."""

    host: str
    authority: str
    token: str
    root: str = "/api/v1"

    def call(
        self, method: str, path: str, body: object = None, *, if_match: str | None = None
    ) -> Answer:
        headers = {} if if_match is None else {"If-Match": if_match}
        with self._asked(method, path, body, headers) as answer:
            received = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, received, answer.read().decode())

    def events(
        self, method: str, path: str, body: object = None, *, idle_seconds: float = 60
    ) -> Iterator[tuple[str, Any]]:
        """The name and data of each server-sent event, as it comes; a sign of life has no name."""
        with self._asked(method, path, body, {}, idle_seconds) as answer:
            assert answer.status == 200, answer.read()
            kind = ""
            for line in iter(answer.readline, b""):
                name, _, value = line.decode().rstrip("\n").partition(":")
                value = value.removeprefix(" ")
                if line.startswith(b":"):
                    yield "", None
                elif name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)

    def lines(self, path: str, *, idle_seconds: float = 60) -> Generator[str]:
        """Each line of a text, as it comes."""
        with self._asked("GET", path, None, {}, idle_seconds) as answer:
            assert answer.status == 200, answer.read()
            for line in iter(answer.readline, b""):
                yield line.decode().rstrip("\n")

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        body: object,
        headers: dict[str, str],
        idle_seconds: float = 60,
    ) -> Iterator[HTTPResponse]:
        kind = "merge-patch+json" if method == "PATCH" else "json"
        sent = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": f"application/{kind}",
            **headers,
        }
        connection = HTTPConnection(self.host)
        connection.sock = self._connected(idle_seconds)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, f"{self.root}{path}", data, sent)
            yield connection.getresponse()
        finally:
            connection.close()

    def _connected(self, idle_seconds: float) -> ssl.SSLSocket:
        trust = ssl.create_default_context(cafile=self.authority)
        plain = socket.create_connection(("127.0.0.1", 443), timeout=idle_seconds)
        return trust.wrap_socket(plain, server_hostname=self.host)
