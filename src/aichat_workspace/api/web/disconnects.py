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
        is_gone = False

        async def cancel_on_disconnect() -> None:
            nonlocal is_gone
            while (await receive())["type"] != "http.disconnect":
                pass
            await self.pacer.turn()
            is_gone = True
            request.cancel()

        watching = asyncio.create_task(cancel_on_disconnect())

        async def begun_send(message: Message) -> None:
            watching.cancel()
            await send(message)

        try:
            await self.app(scope, receive, begun_send)
        except asyncio.CancelledError:
            if not is_gone or request.uncancel():
                raise
        finally:
            watching.cancel()
