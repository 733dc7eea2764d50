"""Logs: one JSON line per decision, on standard error."""

import logging
import sys
from types import TracebackType
from typing import Final

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

_HEAD: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,  # the request's id
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
)
_TAIL: Final[tuple[Processor, ...]] = (
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(),
)


def log_as_json() -> None:
    """Make every log line JSON: ours, the libraries' warnings, and an uncaught exception."""
    structlog.configure(
        processors=[*_HEAD, *_TAIL],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_HEAD],
            processors=[ProcessorFormatter.remove_processors_meta, *_TAIL],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash


def _log_crash(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    structlog.get_logger().critical("crashed", exc_info=(kind, error, traceback))
