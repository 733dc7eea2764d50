"""What the event loop reports of itself."""

import asyncio
from typing import Any

import structlog

_log = structlog.get_logger()


def log_loop_errors(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error that no task has; to be set with `set_exception_handler`.

    uvloop reports a TLS connection that we have closed while the other side was still sending, as
    when a caller hangs up in the middle of a request to Kubernetes. Nothing is wrong then.
    https://github.com/MagicStack/uvloop/blob/master/uvloop/sslproto.pyx
    """
    error, message = context.get("exception"), str(context.get("message"))
    is_closed = isinstance(error, RuntimeError) and "the handler is closed" in str(error)
    if is_closed and message.startswith("Fatal error on SSL protocol"):
        _log.debug("a closed connection still received")
        return
    loop.default_exception_handler(context)
