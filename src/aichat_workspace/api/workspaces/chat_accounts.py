"""Accounts in workspaces' chats, made by the chat's own API as its first administrator.

What a chat does not answer is logged with its address, and told without.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.schemas.chat_accounts import ChatAccount, ChatInvitation
from aichat_workspace.api.web.responses import cluster_errors, problems
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.details import WorkspaceDetails
from aichat_workspace.api.workspaces.tenant_namespace import require_namespace, require_running
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain.policy import sign_in
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.openwebui.client import OpenWebUIClient, Session
from aichat_workspace.openwebui.errors import (
    AccountExistsError,
    NotAdministratorError,
    OpenWebUIError,
    OpenWebUIUnreachableError,
    SignInRefusedError,
)
from aichat_workspace.runtime.servers import ConnectChat

_PASSWORD_BYTES: Final = 18
# Open WebUI's own rule, where a chat has one: a small and a capital letter, a digit and a sign.
_ALL_KINDS: Final = "aA1-"
_log: Final = structlog.get_logger()


def new_password() -> str:
    """Draw a password from the operating system's randomness. Its 28 characters fit bcrypt's 72
    bytes."""
    return secrets.token_urlsafe(_PASSWORD_BYTES) + _ALL_KINDS


@dataclass(frozen=True, slots=True)
class ChatAccounts:
    """Makes accounts in chats. Nothing of them is stored here."""

    cluster: ClusterView
    details: WorkspaceDetails
    connect: ConnectChat
    draw_password: Callable[[], str] = new_password

    async def invite(self, view: View, invitation: ChatInvitation) -> ChatAccount:
        """Make an account with a new password, and return it.

        Raises ProblemError: 409 where the workspace's state, its sign-in or the address forbids it,
        503 when the chat does not answer, 502 when it fails.
        """
        audit_log.note(email=invitation.email, role=invitation.role.value)
        require_running(view, "its chat does not answer")
        self._require_password_form(view)
        client = self.connect(require_namespace(self.cluster, view))
        admin = await self.details.credentials(view)
        session = await _sign_in(view, client, admin["email"], admin["password"])
        account = ChatAccount(
            url=admin["url"],
            email=invitation.email,
            name=invitation.name.strip() or invitation.email,
            role=invitation.role,
            password=self.draw_password(),
        )
        await _add(view, session, account)
        return account

    def _require_password_form(self, view: View) -> None:
        """Raise ProblemError (409) where people sign in with their identity provider alone."""
        obj = self.cluster.resource(view)
        if obj is None:
            raise problems.not_found(view.name)
        if not sign_in.has_password_form(Workspace.parse(obj).spec, self.cluster.platform()):
            raise ProblemError(
                409,
                "no-password-form",
                f"People sign in to the chat of {view.name!r} with the identity provider alone, so "
                "a password is of no use. Let the person sign in there, or set "
                "spec.access.passwordForm to true.",
            )


async def _sign_in(view: View, client: OpenWebUIClient, email: str, password: str) -> Session:
    try:
        return await client.sign_in(email, password)
    except SignInRefusedError:
        raise ProblemError(
            409,
            "administrator-refused",
            f"The chat of {view.name!r} refuses the first administrator {email}: the password was "
            f"changed there, or a second factor is asked for. {_password_fix(view)} Or let an "
            "administrator of the chat add the person there.",
        ) from None
    except OpenWebUIError as error:
        raise _chat_problem(view, error) from None


async def _add(view: View, session: Session, account: ChatAccount) -> None:
    try:
        await session.add_account(account.email, account.name, account.password, account.role.value)
    except AccountExistsError:
        raise ProblemError(
            409,
            "account-exists",
            f"{account.email} has an account in the chat of {view.name!r}. Invite another address, "
            "or let an administrator of the chat set a new password there: Admin Panel, Users, "
            "Edit.",
        ) from None
    except NotAdministratorError:
        raise ProblemError(
            409,
            "administrator-refused",
            f"The first administrator of {view.name!r} is no administrator of the chat any more. "
            "Give the account that role again in the chat: Admin Panel, Users, Edit.",
        ) from None
    except OpenWebUIUnreachableError as error:
        audit_log.note(note="it is unknown whether it was carried out")
        problem = _chat_problem(view, error)
        unknown = (
            f"It is unknown whether {account.email} has an account now: ask again, and if that "
            "says so, delete it in the chat first."
        )
        raise replace(problem, detail=f"{problem.detail} {unknown}") from None
    except OpenWebUIError as error:
        raise _chat_problem(view, error) from None


def _password_fix(view: View) -> str:
    """Return what brings the chat and its credentials together again."""
    secret = view.document["spec"].get("access", {}).get("adminSecretName")
    if secret:
        return f"The platform team should write the present password into Secret {secret!r}."
    return f"POST /api/v1/workspaces/{view.name}:resetPassword sets a new one; then ask again."


def _chat_problem(view: View, error: OpenWebUIError) -> ProblemError:
    """Return the problem for an error of the workspace's chat, without addresses."""
    if isinstance(error, OpenWebUIUnreachableError):
        _log.warning("a chat does not answer", workspace=view.name, error=str(error))
        return problems.unavailable(
            f"The chat of {view.name!r} does not answer. GET /api/v1/workspaces/{view.name}/"
            "diagnosis says why; ask again once it is ready."
        )
    message = cluster_errors.without_addresses(str(error))
    return ProblemError(502, "chat-error", f"The chat refuses: {message}")
