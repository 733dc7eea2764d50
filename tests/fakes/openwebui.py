"""Open WebUI in memory, as far as entries of models, accounts and the time of its use need it.

tests/contracts/openwebui.py has what it has in common with the real one.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aichat_workspace.openwebui.client import Reply

EMAIL, PASSWORD = "admin@chat.example.org", "right"
_TOKEN = "token-1"
_USERS_TOKEN = "token-of-"
_NOT_PERMITTED = "You do not have permission to access this resource."
_NOT_FOUND = "We could not find what you're looking for :/"
_UNSET = ("profile_image_url", "description", "capabilities", "knowledge")


@dataclass
class FakeOpenWebUI:
    """One account and the entries. `requests` is what was asked for; `fail` may answer a
    request in the server's place, or raise."""

    email: str = EMAIL
    password: str = PASSWORD
    is_administrator: bool = True
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    last_active: dict[str, int] = field(default_factory=dict)
    """When the accounts of people were last active, by their addresses, in seconds since 1970."""
    own_chats: list[int] = field(default_factory=list)
    """When the first account's chats were last continued."""
    accounts: dict[str, dict[str, str]] = field(default_factory=dict)
    """The accounts that the first one has made, by their addresses, with password and role."""
    requests: list[str] = field(default_factory=list)
    fail: Callable[[str], Reply | None] = lambda _: None

    async def __call__(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        return self.answer(method, path, body, headers)

    def answer(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        url = urlsplit(path)
        request = f"{method} {url.path}"
        self.requests.append(request)
        if (failure := self.fail(request)) is not None:
            return failure
        content = json.loads(body) if body else {}
        if request == "POST /api/v1/auths/signin":
            return self._sign_in(content)
        cookie = headers.get("Cookie", "")
        if cookie.removeprefix(f"token={_USERS_TOKEN}") in self.accounts:
            return _reply(401, {"detail": _NOT_PERMITTED})
        if cookie != f"token={_TOKEN}":
            return _reply(401, {"detail": "401 Unauthorized"})
        self.last_active[self.email] = int(time.time())
        if not self.is_administrator:
            return _reply(401, {"detail": _NOT_PERMITTED})
        routes: dict[str, Callable[[dict[str, Any]], Reply]] = {
            "GET /api/v1/models/base": lambda _: _reply(200, list(self.entries.values())),
            "GET /api/v1/models/model": lambda _: self._entry(url.query),
            "GET /api/v1/users/search": lambda _: self._users(url.query),
            "GET /api/v1/chats/list": lambda _: _reply(200, self._chats()),
            "POST /api/v1/auths/add": self._add_account,
            "POST /api/v1/models/create": self._create,
            "POST /api/v1/models/model/delete": self._delete,
        }
        return routes[request](content)

    def _sign_in(self, content: dict[str, Any]) -> Reply:
        if content == {"email": self.email, "password": self.password}:
            return _reply(200, {"token": _TOKEN, "role": "admin"})
        email = content["email"].lower()
        account = self.accounts.get(email)
        if account is not None and account["password"] == content["password"]:
            is_administrator = account["role"] == "admin"
            token = _TOKEN if is_administrator else f"{_USERS_TOKEN}{email}"
            return _reply(200, {"token": token, "role": account["role"]})
        return _reply(400, {"detail": "The email or password provided is incorrect."})

    def _add_account(self, content: dict[str, Any]) -> Reply:
        email = content["email"].lower()
        if re.match(r"[^@]+@[^@]+\.[^@]+", email) is None:
            return _reply(400, {"detail": "The email format you entered is invalid."})
        if email in {self.email.lower(), *self.accounts}:
            return _reply(400, {"detail": "Uh-oh! This email is already registered."})
        account = {key: content[key] for key in ("name", "password", "role")}
        self.accounts[email] = account
        return _reply(200, {"token": "of-the-new-account", "email": email, "role": account["role"]})

    def _entry(self, query: str) -> Reply:
        (model,) = parse_qs(query)["id"]
        if model not in self.entries:
            return _reply(404, {"detail": _NOT_FOUND})
        return _reply(200, self.entries[model])

    def _users(self, query: str) -> Reply:
        assert parse_qs(query)["order_by"] == ["last_active_at"]
        latest = sorted(self.last_active.items(), key=lambda item: item[1], reverse=True)[:30]
        users = [
            {"id": email, "email": email, "last_active_at": moment} for email, moment in latest
        ]
        return _reply(200, {"users": users, "total": len(self.last_active)})

    def _chats(self) -> list[dict[str, Any]]:
        latest = sorted(self.own_chats, reverse=True)
        return [{"id": "1", "title": "a secret", "updated_at": moment} for moment in latest]

    def _create(self, entry: dict[str, Any]) -> Reply:
        if entry["id"] in self.entries:
            return _reply(401, {"detail": "Uh-oh! This model id is already registered."})
        meta = {**dict.fromkeys(_UNSET), **entry["meta"]}
        self.entries[entry["id"]] = {**entry, "meta": meta, "user_id": "1", "created_at": 1}
        return _reply(200, self.entries[entry["id"]])

    def _delete(self, content: dict[str, Any]) -> Reply:
        if self.entries.pop(content["id"], None) is None:
            return _reply(401, {"detail": _NOT_FOUND})
        return _reply(200, True)


def _reply(status: int, content: object) -> Reply:
    return Reply(status, json.dumps(content).encode())
