"""What logs and prompts have in common: they last, and end with the caller's permission."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Final, TypeVar

import structlog
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest
from aichat_workspace.api.dependencies import Credential, Services, identify
from aichat_workspace.api.web.limits.body_limits import JSON
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.web.responses.security_headers import NO_STORE
from aichat_workspace.api.web.responses.streaming import (
    EVENT_STREAM,
    HEARTBEAT,
    PIECE_BYTES,
    Pieces,
    cancel_on_disconnect,
    stream_response,
    stream_while_authorized,
    wait_for_head,
    with_heartbeats,
)
from aichat_workspace.api.workspaces.views import View

_WHOLE_SECONDS: Final = 300.0
_SEND_SECONDS: Final = 60.0
_log: Final = structlog.get_logger()
STREAM_ADVICE: Final = "Ask with `stream`, and read it as it comes."
OnBytes = Callable[[int], None]
T = TypeVar("T")


def while_authorized(
    services: Services,
    credential: Credential,
    access_request: AccessRequest,
    name: str,
    pieces: AsyncGenerator[T, None],
) -> AsyncGenerator[T, None]:
    """Yield the pieces as long as the caller may have them, and the server does not stop.

    Raises ProblemError then, also while the first piece is waited for.
    """

    async def check() -> None:
        caller = await identify(services, credential)
        await services.authorizer.require(caller, access_request, name)

    return stream_while_authorized(pieces, check, services.stopping)


async def find_for_prompt(services: Services, caller: Caller, name: str, team: str | None) -> View:
    """Return the workspace that the caller may prompt. Raises what `Workspaces.find` raises."""
    return await services.workspaces.find(caller, "create", name, team, "prompt")


async def find_to_ask(services: Services, caller: Caller, name: str, team: str | None) -> View:
    """Return the workspace that the caller prompts, and note the time of that. Raises what
    `Workspaces.find` raises."""
    view = await find_for_prompt(services, caller, name, team)
    await services.prompt_times.note(view)
    return view


def to_prompt(view: View) -> AccessRequest:
    """Return what a caller does who prompts a workspace."""
    return AccessRequest("create", view.team, view.resource, "prompt")


async def respond_in_events(
    request: Request,
    services: Services,
    caller: Caller,
    pieces: AsyncGenerator[T, None],
    as_events: Callable[[AsyncGenerator[T, None]], Pieces],
) -> Response:
    """Return the pieces as server-sent events, with heartbeats; a disconnect ends the work.

    Raises ProblemError (429) without a free slot, and what the first second's pieces raise.
    """

    @asynccontextmanager
    async def begin() -> AsyncIterator[Pieces]:
        async with wait_for_head(pieces) as waited:
            yield with_heartbeats(as_events(waited), HEARTBEAT)

    response = stream_response(services.streams, caller.username, begin, EVENT_STREAM)
    return await cancel_on_disconnect(request, services.stopping, response)


class _WholeResponse(Response):
    """JSON whose bytes count until they are sent, which may take a minute in all.

    It goes in pieces: the server takes a body at once, and would hold it where nothing counts it.
    One that is not sent in time is left without its end, so the server breaks the connection off.
    """

    def __init__(self, body: bytes, reservation: ExitStack) -> None:
        super().__init__(body, 200, NO_STORE, JSON)
        self._reservation = reservation

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        try:
            with self._reservation:
                async with asyncio.timeout(_SEND_SECONDS):
                    await self._send_in_pieces(send)
        except TimeoutError:
            why = f"the client took longer than {_SEND_SECONDS:.0f} s to read it"
            _log.warning("an answer was broken off", path=scope.get("path"), why=why)

    async def _send_in_pieces(self, send: Send) -> None:
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        for start in range(0, len(self.body), PIECE_BYTES):
            end = start + PIECE_BYTES
            piece, has_more = bytes(self.body[start:end]), end < len(self.body)
            await send({"type": "http.response.body", "body": piece, "more_body": has_more})


async def respond_whole(
    request: Request,
    services: Services,
    caller: Caller,
    collect: Callable[[OnBytes], Awaitable[bytes]],
) -> Response:
    """Return the JSON that `collect` returns, which takes a slot of the caller's.

    `collect` calls its argument with the size of each piece that arrives. Raises ProblemError: 504
    when it takes longer than five minutes, 429 without a free slot or beyond the caller's share of
    the room for whole answers, 503 beyond that room, 408 when the caller disconnects, and what
    `collect` raises.
    """
    with ExitStack() as reservation:
        on_bytes = reservation.enter_context(services.answers.reserve(caller.username))
        try:
            async with asyncio.timeout(_WHOLE_SECONDS):
                with services.streams.slot(caller.username):
                    body = await cancel_on_disconnect(request, services.stopping, collect(on_bytes))
        except TimeoutError:
            minutes = f"{_WHOLE_SECONDS / 60:.0f} minutes"
            raise ProblemError(
                504, "takes-too-long", f"The reply took longer than {minutes}. {STREAM_ADVICE}"
            ) from None
        return _WholeResponse(body, reservation.pop_all())


def wants_events(request: Request) -> bool:
    """Return whether the caller asks for server-sent events by Accept."""
    ranges = request.headers.get("Accept", "").split(",")
    return EVENT_STREAM in {media.partition(";")[0].strip().lower() for media in ranges}
