"""The kinds of errors behind the server's statuses and messages."""

import re
from typing import Final

import orjson

from aichat_workspace.ollama.errors import (
    ModelNotFoundError,
    ModelPrivateError,
    ModelRefusedError,
    NewerServerNeededError,
    OllamaError,
    OllamaUnreachableError,
    RequestRefusedError,
    VolumeFullError,
)

_MAX_ERROR_BYTES: Final = 16 * 1024
_MANIFEST: Final = "pull model manifest: "
# Registries' answers that pass by themselves: out of time, too early, too many.
_PASSING: Final = ("408", "425", "429")
_UNSUPPORTED: Final = ("this model requires", "invalid model name")
_NOT_FOUND: Final = ("file does not exist", "manifest unknown", "not found")
_FULL: Final = ("no space left on device", "disk quota exceeded")


def refusal(status: int, body: bytes) -> OllamaError:
    """Return the error for a response of a status other than 200."""
    message = _message(body) or f"status {status}"
    # 502, 503 and 504 come from a proxy in front of a server that is not there.
    if status in (502, 503, 504):
        return OllamaUnreachableError(message)
    if status == 404:
        return ModelNotFoundError(message)
    error = error_kind(message)
    is_plain = type(error) is OllamaError
    return RequestRefusedError(message) if status == 400 and is_plain else error


def _message(body: bytes) -> str:
    """Return an error's message, in Ollama's shape or in OpenAI's; else how the body begins."""
    try:
        error = orjson.loads(body[:_MAX_ERROR_BYTES])["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")


def error_kind(message: str) -> OllamaError:
    """Return the error for a message of the server, which states its kind in words only."""
    if message.startswith(_MANIFEST):
        return _registry_error(message, message.removeprefix(_MANIFEST))
    if message.endswith(_FULL):
        return VolumeFullError(message)
    if message.startswith(_UNSUPPORTED):
        return ModelRefusedError(message)
    return OllamaError(message)


def _registry_error(message: str, answer: str) -> OllamaError:
    """Return the error for a manifest that the registry did not give.

    The answer begins with its status, unless that is 404.
    """
    message = " ".join(message.split())
    status = answer[:3]
    if status in ("401", "403") or answer.startswith("unauthorized"):
        return ModelPrivateError(message)
    if status == "412":
        return NewerServerNeededError(message)
    if re.match("5[0-9][0-9]: ", answer) or status in _PASSING:
        return OllamaError(message)
    if answer.endswith(_NOT_FOUND):
        return ModelNotFoundError(message)
    return ModelRefusedError(message) if re.match("4[0-9][0-9]: ", answer) else OllamaError(message)
