"""Errors of a model server."""

from typing import Final

_MESSAGE_LENGTH: Final = 512


class OllamaError(Exception):
    """The server responded with an error. A retry may help when its cause passes.

    The message is cut: a server or a registry wrote it, and it goes to logs and to people.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message[:_MESSAGE_LENGTH])


class OllamaUnreachableError(OllamaError):
    """No response, or none in time. A retry helps once the server is up."""


class ModelNotFoundError(OllamaError):
    """The registry has no such model. A retry does not help; another name does."""


class ModelPrivateError(OllamaError):
    """The registry has no such model, or does not let this server have it. A retry does not help;
    another name does, or the server's public key at the registry."""


class NewerServerNeededError(OllamaError):
    """The model needs a newer server. A retry does not help before there is one."""


class ModelRefusedError(OllamaError):
    """The registry or the server refuses the model itself. A retry does not help."""


class RequestRefusedError(OllamaError):
    """The server refuses what the request asks for. A retry does not help; another request does."""


class VolumeFullError(OllamaError):
    """The server's volume is full. A retry helps once it has space."""
