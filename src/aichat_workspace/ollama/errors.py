"""What can go wrong with a model server."""

from typing import Final

_MESSAGE_LENGTH: Final = 512


class OllamaError(Exception):
    """The server answered with an error. A retry may help when its cause passes.

    Of what a server or a registry says only the beginning is kept: it goes to logs and to people.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message[:_MESSAGE_LENGTH])


class OllamaUnreachableError(OllamaError):
    """No answer, or none in time. A retry helps once the server is up."""


class ModelNotFoundError(OllamaError):
    """The registry has no such model. A retry does not help; another name does."""


class VolumeFullError(OllamaError):
    """The server has no room left to store what it is to have. A retry helps once there is some."""
