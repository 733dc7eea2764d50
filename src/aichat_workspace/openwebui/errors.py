"""Errors of Open WebUI."""

from typing import Final

_MESSAGE_LENGTH: Final = 512


class OpenWebUIError(Exception):
    """It replied with an error, or with something unexpected. A retry may help.

    The message is cut: a server wrote it, and it goes to logs and to people.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message[:_MESSAGE_LENGTH])


class OpenWebUIUnreachableError(OpenWebUIError):
    """No reply, or none in time. A retry helps once the server is up."""


class NotAdministratorError(OpenWebUIError):
    """The account is signed in and is no administrator. A retry helps only once it is one again."""


class AccountExistsError(OpenWebUIError):
    """The address has an account. A retry helps only with another one."""


class SignInRefusedError(OpenWebUIError):
    """The address or the password is refused. A retry helps only with others."""
