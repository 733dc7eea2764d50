"""Open WebUI as programs reach it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.request import Request, urlopen

_ANSWER_SECONDS = 240  # a machine at work on other tests, too
# A reply that is the same each time, and not too long for a busy machine.
LIKELIEST: Final = {"temperature": 0, "seed": 1, "max_tokens": 100}


class WebUI:
    """Open WebUI's own API, at an address under a host name."""

    def __init__(self, address: str, host: str) -> None:
        self.address = address
        self.host = host
        self.token = ""

    def call(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        return self._send(path, data, "application/json")

    def delete(self, path: str) -> None:
        with urlopen(self._request(path, None, "application/json", "DELETE"), timeout=30):  # noqa: S310
            pass

    def upload(self, name: str, text: str) -> str:
        """Upload a document; returns its ID once it has been read."""
        part = f'Content-Disposition: form-data; name="file"; filename="{name}"'
        body = f"--part\r\n{part}\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--part--\r\n"
        kind = "multipart/form-data; boundary=part"
        document = self._send("/api/v1/files/?process_in_background=false", body.encode(), kind)
        return str(document["id"])

    def _send(self, path: str, data: bytes | None, kind: str) -> Any:
        request = self._request(path, data, kind)
        with urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
            return json.load(answer)

    def _request(
        self, path: str, data: bytes | None, kind: str, method: str | None = None
    ) -> Request:
        headers = {"Host": self.host, "Content-Type": kind}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return Request(f"{self.address}{path}", data=data, headers=headers, method=method)  # noqa: S310

    def sign_in(self, email: str, password: str) -> None:
        body = {"email": email, "password": password}
        self.token = self.call("/api/v1/auths/signin", body)["token"]

    def ask(self, model: str, prompt: str, *, system: str = "") -> str:
        return text_of(self.reply(model, prompt, system=system))

    def reply(
        self, model: str, prompt: str, *, system: str = "", documents: Sequence[str] = ()
    ) -> Any:
        """The likeliest reply, which is the same each time, and what it was drawn from: uploaded
        documents by their IDs."""
        return self.call("/api/chat/completions", _question(model, prompt, system, documents))

    def pieces(self, model: str, prompt: str) -> Iterator[str]:
        """The reply piece by piece, as it comes."""
        body = _question(model, prompt, "", ()) | {"stream": True}
        request = self._request(
            "/api/chat/completions", json.dumps(body).encode(), "application/json"
        )
        with urlopen(request, timeout=_ANSWER_SECONDS) as response:  # noqa: S310
            for line in response:
                kind, _, data = line.decode().strip().partition(": ")
                if kind == "data" and data != "[DONE]":
                    for choice in json.loads(data).get("choices", ()):
                        if text := choice["delta"].get("content"):
                            yield text


def text_of(reply: Any) -> str:
    return str(reply["choices"][0]["message"]["content"])


def _question(model: str, prompt: str, system: str, documents: Sequence[str]) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return {
        "model": model,
        "stream": False,
        "messages": messages,
        "params": LIKELIEST,
        "files": [{"type": "file", "id": document} for document in documents],
    }
