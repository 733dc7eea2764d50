"""What logs and prompts have in common: they last, and end with the caller's permission."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, TypeVar

from fastapi import Request, Response

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest
from aichat_workspace.api.dependencies import Credential, Services, identify
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.web.streaming import cancel_on_disconnect, stream_while_authorized

_WHOLE_SECONDS: Final = 300.0
EVENT_STREAM: Final = "text/event-stream"
STREAM_ADVICE: Final = "Ask with `stream`, and read it as it comes."
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


async def respond_whole(
    request: Request, services: Services, caller: Caller, work: Callable[[], Awaitable[Response]]
) -> Response:
    """Return the response of the work, which takes a slot of the caller's.

    Raises ProblemError: 504 when it takes longer than five minutes, 429 without a free slot, 408
    when the caller disconnects, and what the work raises.
    """
    try:
        async with asyncio.timeout(_WHOLE_SECONDS):
            with services.streams.slot(caller.username):
                return await cancel_on_disconnect(request, services.stopping, work())
    except TimeoutError:
        minutes = f"{_WHOLE_SECONDS / 60:.0f} minutes"
        raise ProblemError(
            504, "takes-too-long", f"The reply took longer than {minutes}. {STREAM_ADVICE}"
        ) from None


def wants_events(request: Request) -> bool:
    """Return whether the caller asks for server-sent events by Accept."""
    ranges = request.headers.get("Accept", "").split(",")
    return EVENT_STREAM in {media.partition(";")[0].strip().lower() for media in ranges}
