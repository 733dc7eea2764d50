"""Service to make, list and revoke the tokens of a team's scripts.

Each has a service account of its own in the team's namespace, with one role and one token. Every
method first asks Kubernetes whether the caller may, and raises ProblemError for a refusal.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.schemas.teams import (
    ACCOUNT_PREFIX,
    MAX_TOKEN_SECONDS,
    Role,
    SubjectKind,
    TokenCreate,
)
from aichat_workspace.api.teams.members import Members, Subject
from aichat_workspace.api.teams.roles import (
    TeamRoles,
    binding_manifest,
    own_labels,
)
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.foundation.metadata import annotations
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ApiError,
    NotFoundError,
    TooLargeError,
    UnreachableError,
)
from aichat_workspace.kube.objects import Json, uid

COMPONENT: Final = "token"
MAX_TOKENS: Final = 20
_ACCOUNTS: Final = kinds.SERVICE_ACCOUNT


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Reads and writes service accounts that the API has made, and requests their tokens."""

    roles: TeamRoles
    audience: str
    """The API's, which the tokens are for."""
    clock: Callable[[], datetime] = field(default=_now)

    async def read(self, caller: Caller, team: str) -> list[dict[str, Any]]:
        """Return a schemas.teams.TokenDocument for each."""
        audit_log.note(team=team)
        await self.roles.require(caller, "list", _ACCOUNTS, team)
        accounts = await self._accounts(team)
        return [_document(account) for account in sorted(accounts, key=_name)]

    async def create(self, caller: Caller, team: str, body: TokenCreate) -> dict[str, Any]:
        """Make an account with the role, and return a schemas.teams.NewToken.

        What fails midway leaves nothing behind that has a role.
        """
        audit_log.note(team=team, account=f"{ACCOUNT_PREFIX}{body.name}", role=body.role.value)
        await self.roles.require(caller, "create", _ACCOUNTS, team)
        await self.roles.require(caller, "create", _ACCOUNTS, team, "token")
        await self.roles.require(caller, "create", kinds.ROLE_BINDING, team)
        await self.roles.require_giving(caller, body.role, team)
        self.roles.require_team(team)
        await self.roles.require_confined()
        await self._require_no_role(team, body.name)
        await self._make_room(caller, team)
        account = await self._create_account(caller, team, body)
        try:
            await self._bind(caller, account, body.role)
            status = await self._request_token(account, body.expires_in_seconds)
        except BaseException:
            with suppress(ApiError, UnreachableError):
                await self._delete(account)
            raise
        expires = status["expirationTimestamp"]
        return {**_document(account), "expires": expires, "token": status["token"]}

    async def revoke(self, caller: Caller, team: str, name: str) -> dict[str, Any]:
        """Delete the account, which ends its token, and return a schemas.teams.TokenDocument.

        Kubernetes deletes the RoleBinding, which the account owns.
        """
        audit_log.note(team=team, account=f"{ACCOUNT_PREFIX}{name}")
        await self.roles.require(caller, "delete", _ACCOUNTS, team)
        account = await self._read(team, name)
        if account is None:
            raise ProblemError(
                404,
                "token-not-found",
                f"Team {team!r} has no token {name!r} that was made here. GET "
                f"/api/v1/teams/{team}/tokens lists them.",
            )
        with audit_log.note_unknown_outcome():
            await self._delete(account)
        return _document(account)

    async def _accounts(self, team: str) -> list[Json]:
        """Return the accounts that the API has made, of those that can be read."""
        accounts: list[Json] = []
        with suppress(TooLargeError):
            async for page in self.roles.pages(_ACCOUNTS, team):
                accounts += [account for account in page if _is_token_account(account)]
        return accounts

    async def _require_no_role(self, team: str, name: str) -> None:
        """Raise ProblemError (409) while an invitation would give the new account another role."""
        account = Subject(SubjectKind.SERVICE_ACCOUNT, f"{ACCOUNT_PREFIX}{name}")
        if await Members(self.roles).present(team, account):
            raise ProblemError(
                409,
                "conflict",
                f"The account of a token {name!r} is a member of team {team!r} already, and would "
                f"have that role, too. DELETE /api/v1/teams/{team}/members/ServiceAccount/"
                f"{account.name} first, or choose another name.",
            )

    async def _read(self, team: str, name: str) -> Json | None:
        try:
            account = await self.roles.client.get(_ACCOUNTS, f"{ACCOUNT_PREFIX}{name}", team)
        except NotFoundError:
            return None
        return account if _is_token_account(account) else None

    async def _make_room(self, caller: Caller, team: str) -> None:
        """Delete expired accounts, if the caller may. Raises ProblemError (409) when those that
        remain are too many."""
        accounts = await self._accounts(team)
        expired = [account for account in accounts if _expires(account) <= self.clock()]
        if expired and await self.roles.may(caller, "delete", _ACCOUNTS, team):
            for account in expired:
                await self._delete(account)
            accounts = [account for account in accounts if account not in expired]
        live = len(accounts)
        if live >= MAX_TOKENS:
            raise ProblemError(
                409,
                "too-many-tokens",
                f"Team {team!r} has {live} tokens, and no more are made here. Revoke one that is "
                f"no longer used: DELETE /api/v1/teams/{team}/tokens/NAME",
            )

    async def _create_account(self, caller: Caller, team: str, body: TokenCreate) -> Json:
        expires = self.clock() + timedelta(seconds=body.expires_in_seconds)
        manifest = {
            "apiVersion": _ACCOUNTS.api_version,
            "kind": _ACCOUNTS.kind,
            "metadata": {
                "name": f"{ACCOUNT_PREFIX}{body.name}",
                "namespace": team,
                "labels": own_labels(COMPONENT),
                "annotations": {
                    names.REQUESTED_BY_ANNOTATION: caller.username,
                    names.ROLE_ANNOTATION: body.role.value,
                    names.EXPIRES_ANNOTATION: _format_time(expires),
                },
            },
            "automountServiceAccountToken": False,
        }
        try:
            with audit_log.note_unknown_outcome():
                return await self.roles.client.create(_ACCOUNTS, manifest, field_manager=names.API)
        except AlreadyExistsError:
            raise ProblemError(
                409,
                "token-exists",
                f"Team {team!r} has a token {body.name!r}, and a token is shown only once. Choose "
                "another name, or revoke it first.",
            ) from None

    async def _bind(self, caller: Caller, account: Json, role: Role) -> None:
        """Give the account its role, by a RoleBinding that goes with it."""
        name, team = _name(account), account["metadata"]["namespace"]
        subject = {"kind": _ACCOUNTS.kind, "name": name, "namespace": team}
        owner = {"apiVersion": _ACCOUNTS.api_version, "kind": _ACCOUNTS.kind, "name": name}
        metadata = {
            # Not that of an earlier account of this name, which may still be there.
            "name": f"{name}-{uid(account)}",
            "namespace": team,
            "labels": own_labels(COMPONENT),
            "annotations": {names.REQUESTED_BY_ANNOTATION: caller.username},
            "ownerReferences": [{**owner, "uid": uid(account)}],
        }
        body = binding_manifest(metadata, role, subject)
        await self.roles.client.create(kinds.ROLE_BINDING, body, field_manager=names.API)

    async def _request_token(self, account: Json, seconds: int) -> Json:
        """Return a TokenRequest's status.

        https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
        """
        metadata = account["metadata"]
        path = _ACCOUNTS.path(metadata["namespace"], metadata["name"], "token")
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [self.audience], "expirationSeconds": seconds},
        }
        status: Json = (await self.roles.client.review(path, request))["status"]
        return status

    async def _delete(self, account: Json) -> None:
        metadata = account["metadata"]
        await self.roles.client.delete(
            _ACCOUNTS, metadata["name"], metadata["namespace"], uid=uid(account)
        )


def _is_token_account(account: Json) -> bool:
    """Return whether the API has made it: by a name that only the API gives in a team's namespace.
    Labels are anyone's to take off there."""
    return _name(account).startswith(ACCOUNT_PREFIX)


def _name(account: Json) -> str:
    return str(account["metadata"]["name"])


def _created(account: Json) -> datetime:
    return datetime.fromisoformat(account["metadata"]["creationTimestamp"])


def _expires(account: Json) -> datetime:
    """Return when the token ends at the latest, also where the note of it was changed."""
    latest = _created(account) + timedelta(seconds=MAX_TOKEN_SECONDS)
    try:
        noted = datetime.fromisoformat(annotations(account).get(names.EXPIRES_ANNOTATION, ""))
        return min(noted, latest)
    except (ValueError, TypeError):  # no time, or one without a zone
        return latest


def _document(account: Json) -> dict[str, Any]:
    name, noted = _name(account), annotations(account)
    role = noted.get(names.ROLE_ANNOTATION)
    return {
        "name": name.removeprefix(ACCOUNT_PREFIX),
        "role": role if role in set(Role) else None,
        "username": f"system:serviceaccount:{account['metadata']['namespace']}:{name}",
        "createdBy": noted.get(names.REQUESTED_BY_ANNOTATION),
        "created": account["metadata"]["creationTimestamp"],
        "expires": _format_time(_expires(account)),
    }


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
