"""The event loop of both servers, and what it reports of itself."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
import uvloop

_log = structlog.get_logger()


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop: its streams and its TLS are in C (docs/decisions/0004-dependencies.md)."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(main)


def _new_loop() -> asyncio.AbstractEventLoop:
    loop = uvloop.new_event_loop()
    loop.set_exception_handler(log_loop_errors)
    return loop


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
