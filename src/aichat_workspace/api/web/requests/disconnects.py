"""Give up reads whose caller has gone."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aichat_workspace.api.pacing import Pacer

_READS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class DisconnectMiddleware:
    """ASGI middleware: cancels a read when its caller disconnects before the response begins.

    Its questions to Kubernetes end with it. What changes something is carried out all the same. A
    response that has begun ends by itself.
    """

    app: ASGIApp
    pacer: Pacer = field(default_factory=Pacer)
    """Cancels a few at a time, however many disconnect at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = asyncio.current_task()
        if scope["type"] != "http" or scope["method"] not in _READS or request is None:
            await self.app(scope, receive, send)
            return
        messages: asyncio.Queue[Message] = (
            asyncio.Queue()
        )  # for the application, which may ask, too
        has_begun = is_gone = False

        async def cancel_on_disconnect() -> None:
            nonlocal is_gone
            message: Message = {}
            while message.get("type") != "http.disconnect":
                message = await receive()
                messages.put_nowait(message)
            await self.pacer.turn()
            if not has_begun:
                is_gone = True
                request.cancel()

        async def begun_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        watching = asyncio.create_task(cancel_on_disconnect())
        try:
            await self.app(scope, messages.get, begun_send)
        except asyncio.CancelledError:
            if not is_gone or request.uncancel():
                raise
        finally:
            watching.cancel()
