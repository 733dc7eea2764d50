"""Logs: one JSON line per decision, on standard error."""

import logging
import sys
from types import TracebackType
from typing import Final

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

_HEAD: Final[tuple[Processor, ...]] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
)
_TAIL: Final[tuple[Processor, ...]] = (
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(),
)


def log_as_json() -> None:
    """From now on every line is JSON: ours, warnings of the libraries, and what ends the process
    unforeseen."""
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
    sys.excepthook = _crashed


def _crashed(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    structlog.get_logger().critical("crashed", exc_info=(kind, error, at))
