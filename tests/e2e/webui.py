"""Open WebUI as programs reach it."""

import json
from typing import Any
from urllib.request import Request, urlopen

_ANSWER_SECONDS = 90


class WebUI:
    """Open WebUI's own API, at an address under a host name."""

    def __init__(self, address: str, host: str) -> None:
        self.address = address
        self.host = host
        self.token = ""

    def call(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        return self._send(path, data, "application/json")

    def upload(self, name: str, text: str) -> str:
        """Upload a document; returns its ID once it has been read."""
        part = f'Content-Disposition: form-data; name="file"; filename="{name}"'
        body = f"--part\r\n{part}\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--part--\r\n"
        kind = "multipart/form-data; boundary=part"
        found = self._send("/api/v1/files/?process_in_background=false", body.encode(), kind)
        return str(found["id"])

    def _send(self, path: str, data: bytes | None, kind: str) -> Any:
        headers = {"Host": self.host, "Content-Type": kind}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = Request(f"{self.address}{path}", data=data, headers=headers)  # noqa: S310
        with urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
            return json.load(answer)

    def sign_in(self, email: str, password: str) -> None:
        body = {"email": email, "password": password}
        self.token = self.call("/api/v1/auths/signin", body)["token"]

    def ask(self, model: str, prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "stream": False, "messages": messages}
        answer = self.call("/api/chat/completions", body)
        return str(answer["choices"][0]["message"]["content"])
