"""What can go wrong with Open WebUI."""

from typing import Final

_MESSAGE_LENGTH: Final = 512


class OpenWebUIError(Exception):
    """It answered with an error, or with nothing that Open WebUI says. A retry may help.

    Only the beginning of what a server says is kept: it goes to logs and to people.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message[:_MESSAGE_LENGTH])


class OpenWebUIUnreachableError(OpenWebUIError):
    """No answer, or none in time. A retry helps once the server is up."""


class NotAdministratorError(OpenWebUIError):
    """The account is signed in and may not see what only administrators do. A retry helps only once
    it is an administrator again."""


class SignInRefusedError(OpenWebUIError):
    """No session for this address and password. A retry helps only with others."""
