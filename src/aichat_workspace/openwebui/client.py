"""A client of Open WebUI's API: the entries of models, accounts, and when people last used it.

https://docs.openwebui.com/reference/api-endpoints
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import aiohttp
import orjson

from aichat_workspace.foundation.error_text import error_text
from aichat_workspace.openwebui.errors import (
    AccountExistsError,
    NotAdministratorError,
    OpenWebUIError,
    OpenWebUIUnreachableError,
    SignInRefusedError,
)

MAX_REPLY_BYTES: Final = 1024 * 1024
"""Parsing takes up to forty times as much memory, and a chat's owner controls its replies."""
_MAX_ERROR_BYTES: Final = 16 * 1024
# More than the operator's own entries have; it reads no others.
_MAX_ENTRY_BYTES: Final = 2 * 1024
# A compressed reply could unpack to a thousand times its size.
_HEADERS: Final = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
_REFUSED: Final = (400, 401, 403)
_NOT_ALLOWED: Final = (401, 403)
# These come from a proxy in front of a server that is not there.
_ABSENT: Final = (502, 503, 504)
# It has one status for all that it refuses of an account.
_ADDRESS_TAKEN: Final = "already registered"
# Pages of thirty and sixty, the latest first.
_USERS: Final = "/api/v1/users/search?order_by=last_active_at&direction=desc&page=1"
_OWN_CHATS: Final = "/api/v1/chats/list?page=1&include_pinned=true&include_folders=true"


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, read as a whole."""

    status: int
    body: bytes


class Transport(Protocol):
    """Sends one request and reads its reply, no more than a little over MAX_REPLY_BYTES. Raises the
    network's own errors; the client translates them."""

    async def __call__(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply: ...


@dataclass(frozen=True, slots=True)
class OpenWebUIClient:
    """A client of one server. Every method raises `OpenWebUIUnreachableError` or
    `OpenWebUIError`."""

    transport: Transport

    async def sign_in(self, email: str, password: str) -> "Session":
        """Sign an administrator in. Raises SignInRefusedError for a wrong password, an unknown
        account, or one with a second factor."""
        body = {"email": email, "password": password}
        reply = await _send(self.transport, "POST", "/api/v1/auths/signin", body)
        if reply.status in _REFUSED:
            raise SignInRefusedError(_reason(reply))
        content = _content(reply)
        token = content.get("token") if isinstance(content, dict) else None
        if not isinstance(token, str) or not token:
            raise SignInRefusedError("a second factor is asked for")
        return Session(self.transport, token)


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in administrator."""

    transport: Transport
    token: str = field(repr=False)

    async def entries(self, models: Collection[str]) -> tuple[Mapping[str, Any], ...]:
        """Return the entries of models that Ollama or another back-end lists, without those that
        people have composed of such a model.

        Where models' pictures make the list larger than the limit, return the entries of `models`
        only. Raises NotAdministratorError."""
        reply = await self._reply("GET", "/api/v1/models/base")
        if reply.status in _NOT_ALLOWED:
            raise NotAdministratorError(_reason(reply))
        if reply.status == HTTPStatus.OK and len(reply.body) > MAX_REPLY_BYTES:
            replies = [await self._entry(model) for model in models]
            return tuple(entry for entry in replies if entry is not None)
        match _content(reply):
            case [*entries] if all(_is_entry(entry) for entry in entries):
                return tuple(entries)
        raise OpenWebUIError("it listed models as Open WebUI does not")

    async def last_activity(self, own_email: str) -> int | None:
        """Return when somebody last used the chat, in seconds since 1970; None where nobody has.

        Of this session's own account only its chats count: each request moves the time at which
        Open WebUI saw it. Raises NotAdministratorError where the account may not chat.
        """
        users = await self._reply("GET", _USERS)
        if users.status in _NOT_ALLOWED:
            raise NotAdministratorError(_reason(users))
        moments: list[int] = []
        match _content(users):
            case {"users": [*accounts]}:
                moments += _moments(
                    (
                        account
                        for account in accounts
                        if _email(account).casefold() != own_email.casefold()
                    ),
                    "last_active_at",
                )
            case _:
                raise OpenWebUIError("it listed people as Open WebUI does not")
        match _content(await self._reply("GET", _OWN_CHATS)):
            case [*chats]:
                moments += _moments(chats, "updated_at")
            case _:
                raise OpenWebUIError("it listed chats as Open WebUI does not")
        return max(moments, default=None)

    async def add_account(self, email: str, name: str, password: str, role: str) -> None:
        """Make an account, of the role `user` or `admin`. Open WebUI stores the address in lower
        case.

        Raises AccountExistsError, and NotAdministratorError where this account may make none. After
        an OpenWebUIUnreachableError it may have been made all the same.
        """
        body = {"email": email, "name": name, "password": password, "role": role}
        reply = await self._reply("POST", "/api/v1/auths/add", body)
        if reply.status in _NOT_ALLOWED:
            raise NotAdministratorError(_reason(reply))
        if reply.status == HTTPStatus.BAD_REQUEST and _ADDRESS_TAKEN in _reason(reply):
            raise AccountExistsError(_reason(reply))
        _require_done(reply)

    async def create(self, entry: Mapping[str, Any]) -> None:
        """Add an entry. Raises OpenWebUIError where the model has one."""
        await self._call("POST", "/api/v1/models/create", entry)

    async def delete(self, model: str) -> None:
        """Remove a model's entry. Raises OpenWebUIError where it has none."""
        await self._call("POST", "/api/v1/models/model/delete", {"id": model})

    async def _entry(self, model: str) -> Mapping[str, Any] | None:
        """Return a model's entry, only the `id` of a large one, or None where it has none."""
        reply = await self._reply("GET", f"/api/v1/models/model?{urlencode({'id': model})}")
        if reply.status == HTTPStatus.NOT_FOUND:
            return None
        if reply.status == HTTPStatus.OK and len(reply.body) > _MAX_ENTRY_BYTES:
            return {"id": model, "meta": None, "params": None}
        entry = _content(reply)
        if _is_entry(entry):
            return dict(entry)
        raise OpenWebUIError("it gave a model's settings as Open WebUI does not")

    async def _call(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        _require_done(await self._reply(method, path, body))

    async def _reply(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        # The API server's proxy removes an Authorization header, and passes a cookie on.
        headers = {"Cookie": f"token={self.token}"}
        return await _send(self.transport, method, path, body, headers)


async def _send(
    transport: Transport,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    data = None if body is None else orjson.dumps(body)
    try:
        return await transport(method, path, data, {**_HEADERS, **(headers or {})})
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise OpenWebUIUnreachableError(error_text(error)) from error


def _require_done(reply: Reply) -> None:
    if reply.status in _ABSENT:
        raise OpenWebUIUnreachableError(_reason(reply))
    if reply.status != HTTPStatus.OK:
        raise OpenWebUIError(_reason(reply))


def _content(reply: Reply) -> Any:
    _require_done(reply)
    if len(reply.body) > MAX_REPLY_BYTES:
        raise OpenWebUIError("it sent an endless reply")
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError as error:
        raise OpenWebUIError("it sent what is no JSON") from error


def _reason(reply: Reply) -> str:
    try:
        return str(orjson.loads(reply.body[:_MAX_ERROR_BYTES])["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return reply.body[:200].decode(errors="replace") or f"status {reply.status}"


def _email(account: Any) -> str:
    return str(account.get("email", "")) if isinstance(account, dict) else ""


def _moments(items: Iterable[Any], name: str) -> Iterator[int]:
    """Yield the times of items, in seconds since 1970, where they have one."""
    for item in items:
        moment = item.get(name) if isinstance(item, dict) else None
        if isinstance(moment, int) and moment > 0:
            yield moment


def _is_entry(entry: Any) -> bool:
    match entry:
        case {"id": str(), "meta": dict() | None, "params": dict() | None}:
            return True
    return False
