"""Backups of workspaces, as the API asks for them: by fields of the spec, for the operator.

What there is, status.backup lists: the API never talks to a store.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.schemas.backups import CloneRequest, RestoreRequest
from aichat_workspace.api.schemas.workspace import WorkspaceCreate
from aichat_workspace.api.web.responses.field_errors import FieldError
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.api.workspaces.writing.service import ChangeOptions, Workspaces
from aichat_workspace.api.workspaces.writing.spec_lists import Spec
from aichat_workspace.api.workspaces.writing.spec_rules import require_valid
from aichat_workspace.domain.policy import backups
from aichat_workspace.domain.v1alpha1.backup import Backup, BackupDestination, BackupState
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionStatus, ConditionType

_TIME: Final = "%Y%m%dT%H%M%SZ"
_OF_ONE_WORKSPACE: Final = ("namespaceUID", "restart", "restore", "suspended", "connections")
"""Fields of a spec that no clone takes over; a connection's Secret is for one workspace."""
_OF_ONE_PROVIDER: Final = ("oidc", "passwordForm", "scim")
"""How people sign in with a provider whose Secret is for one workspace."""
_NO_BACKUP: Final = Backup()
_BACKED_UP: Final = ConditionType.BACKED_UP


def listed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schemas.backups.BackupList of a workspace."""
    spec, status = document["spec"].get("backup"), document["status"]
    record = status.get("backup") or {}
    wish = spec or {}
    request = wish.get("request", "")
    return {
        "items": [_entry(backup) for backup in record.get("items") or ()],
        "destination": record.get("destination") or None,
        "schedule": wish.get("schedule", ""),
        "timeZone": wish.get("timeZone", _NO_BACKUP.time_zone),
        "keep": wish.get("keep", _NO_BACKUP.keep) if spec is not None else None,
        "isWaiting": bool(request) and request != record.get("request", ""),
        **_standing(status),
        "succeededAt": record.get("succeededAt"),
        "lastRun": _outcome(record) if record.get("state") else None,
    }


def _standing(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return how backups are: as the condition BackedUp says where it is False, for backups may
    be overdue, or have no place, after a run that was well; else as the last run went."""
    record = status.get("backup") or {}
    condition: Mapping[str, Any] = next(
        (entry for entry in status.get("conditions") or () if entry["type"] == _BACKED_UP), {}
    )
    is_failed = condition.get("status") == ConditionStatus.FALSE
    source = condition if is_failed else record
    is_running = record.get("state") == BackupState.RUNNING
    return {
        "state": BackupState.FAILED if is_failed and not is_running else record.get("state"),
        "reason": source.get("reason", ""),
        "message": source.get("message", ""),
    }


def _outcome(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schemas.backups.LastRun."""
    return {
        "state": record["state"],
        "finishedAt": record.get("finishedAt"),
        "reason": record.get("reason", ""),
        "message": record.get("message", ""),
    }


def _entry(backup: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": backup["name"],
        "sizeBytes": backup.get("sizeBytes", 0),
        "openWebUI": backup.get("openWebUI", ""),
        "madeAt": _made_at(backup["name"]),
    }


def _made_at(name: str) -> str | None:
    """Return the time that a backup's name begins with; None for another name."""
    try:
        made_at = datetime.strptime(name.partition("-")[0], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return f"{made_at:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Backups:
    """Asks for backups, restores and clones, as a caller who may change or create the workspace."""

    workspaces: Workspaces
    cluster: ClusterView
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """Tells the time: each request for one is another text."""

    async def request(
        self, caller: Caller, name: str, request: str, options: ChangeOptions
    ) -> View:
        """Have a backup made. The same text again makes no second one; an empty one is a new one.
        Raises ProblemError (409) where it has nowhere to go."""
        workspace = await self.workspaces.find(caller, "patch", name, options.team)

        def change(spec: Spec) -> Spec:
            backup = {**(spec.get("backup") or {}), "request": request or self._text()}
            self._require_destination(workspace.team, spec)
            return {**spec, "backup": backup}

        changed, _ = await self.workspaces.change(caller, name, change, options)
        return changed

    async def restore(
        self, caller: Caller, name: str, body: RestoreRequest, options: ChangeOptions
    ) -> View:
        """Have the chat's data replaced by a backup's. Raises ProblemError: 422 for one that is not
        listed, 404 where its source is not there, 409 without a place for backups."""
        audit_log.note(backup=body.backup, source=body.source)
        workspace = await self.workspaces.find(caller, "patch", name, options.team)
        source = body.source if body.source != workspace.name else None
        listing = workspace
        if source is not None and not body.unlisted:
            listing = await self._source(caller, source, workspace)
        if not body.unlisted and _is_of_list(body.destination, listing):
            _require_listed(body.backup, listing)

        def change(spec: Spec) -> Spec:
            destination = self._origin(workspace.team, spec, body.destination, source, listing)
            restore = {"backup": body.backup, "request": self._text()}
            restore |= ({"source": source} if source else {}) | destination
            return {**spec, "restore": restore}

        changed, _ = await self.workspaces.change(caller, name, change, options)
        return changed

    async def clone(
        self, caller: Caller, name: str, body: CloneRequest, *, team: str | None, dry_run: bool
    ) -> tuple[View, bool]:
        """Create a workspace with another one's spec and data, and return whether it is new. The
        same request may be repeated. Raises ProblemError: 409 without a backup, 422 for one that
        is not listed, and what creating a workspace raises."""
        source = await self.workspaces.find(caller, "get", name, team)
        is_of_list = _is_of_list(body.destination, source)
        backup = body.backup or self._backup_of_clone(body.name, source)
        if not backup and not is_of_list:
            message = (
                f"name a backup of destination {body.destination!r}: the list of "
                f"{source.name!r} is of another one"
            )
            field = FieldError("backup", message)
            raise ProblemError(422, "backup-not-listed", f"backup: {message}.", errors=(field,))
        backup = backup or _newest(source)
        if body.backup and is_of_list and not body.unlisted:
            _require_listed(body.backup, source)
        audit_log.note(backup=backup, source=source.name)
        spec = clone_spec(source.document["spec"], body.name, backup)
        require_valid(spec)
        spec["restore"] |= self._origin(source.team, spec, body.destination, source.name, source)
        creation = WorkspaceCreate.model_validate({"team": source.team, "spec": spec})
        return await self.workspaces.create(caller, creation, dry_run=dry_run)

    def _backup_of_clone(self, name: str, source: View) -> str | None:
        """Return the backup of the clone that an earlier request has made; None without one."""
        for claimant in self.cluster.claimants(name, source.team):
            restore = claimant.document["spec"].get("restore") or {}
            if restore.get("source") == source.name:
                return str(restore["backup"])
        return None

    async def _source(self, caller: Caller, name: str, workspace: View) -> View:
        """Return the workspace of the same team whose backup is to be restored. Raises ProblemError
        (404) where there is none that the caller may see."""
        try:
            return await self.workspaces.find(caller, "get", name, workspace.team)
        except ProblemError as error:
            if error.status != 404:
                raise
            message = (
                f"team {workspace.team!r} has no workspace {name!r}, or you may not see it. Send "
                "`unlisted: true` for a backup of one that is deleted"
            )
            field = FieldError("source", message)
            raise ProblemError(404, error.code, f"source: {message}.", errors=(field,)) from None

    def _origin(
        self, team: str, spec: Spec, destination: str | None, source: str | None, listing: View
    ) -> Spec:
        """Return what spec.restore says of the destination that is read: nothing where that is the
        one of the workspace's own backups. Where none is asked for, it is that of the list, if the
        team may choose it. Raises ProblemError (409) where it can't be had, or has no backup of the
        source."""
        choices = backups.destinations_of_team(team, self.cluster.platform())
        of_list = _destination(listing)
        is_choice = any(place.name == of_list for place in choices)
        place = self._require_destination(
            team, spec, destination or (of_list if is_choice else None)
        )
        if source is not None:
            _require_shared(place, source, listing, is_chosen=destination is not None)
        own, _ = backups.choice(_wish(spec), team, self.cluster.platform())
        return {} if place == own else {"destination": place.name}

    def _require_destination(
        self, team: str, spec: Spec, origin: str | None = None
    ) -> BackupDestination:
        """Return where the workspace's backups are, or the origin that a restore names. Raises
        ProblemError (409) where the platform has none of it."""
        platform = self.cluster.platform()
        field = "spec.restore.destination" if origin else "spec.backup.destination"
        place, problem = backups.choice(origin or _wish(spec), team, platform, field)
        if place is None or problem is not None:
            detail = problem.message if problem else "there is no destination"
            errors = (FieldError("destination", detail),) if origin else ()
            raise ProblemError(409, "no-backup-destination", f"{detail}.", errors=errors)
        if place.snapshot is None and platform.backup.passphrase_secret_name is None:
            raise ProblemError(
                409,
                "no-backup-passphrase",
                "The platform has no passphrase for backups. Ask the platform team to set "
                "spec.backup.passphraseSecretName of the AIChatPlatform.",
            )
        return place

    def _text(self) -> str:
        return self.now().isoformat()


def _wish(spec: Spec) -> str | None:
    """Return the destination that spec.backup names."""
    wish: str | None = (spec.get("backup") or {}).get("destination")
    return wish


def _destination(listing: View) -> str | None:
    """Return the destination that a workspace's list of backups is of; None before the first."""
    return ((listing.document.get("status") or {}).get("backup") or {}).get("destination") or None


def _is_of_list(destination: str | None, listing: View) -> bool:
    """Whether the list has the backups of a destination; nothing lists those of others."""
    return destination is None or destination == _destination(listing)


def _require_shared(
    place: BackupDestination, source: str, listing: View, *, is_chosen: bool
) -> None:
    """Raise ProblemError (409) where a workspace that reads from this destination can't have
    another one's backup. One that was chosen may have older ones."""
    if problem := backups.reach_problem(place, source, ""):
        detail = problem.message[0].upper() + problem.message[1:]
        raise ProblemError(409, "backup-out-of-reach", f"{detail}.")
    other = _destination(listing) if listing.name == source and not is_chosen else None
    if other and other != place.name:
        raise ProblemError(
            409,
            "backup-out-of-reach",
            f"The backups of {source!r} are in destination {other!r}, which the team may not "
            f"choose. Ask the platform team, or make a backup of {source!r} in {place.name!r} "
            "first.",
        )


def clone_spec(spec: Mapping[str, Any], name: str, backup: str) -> Spec:
    """Return the spec of a clone: its source's, without what is of one workspace alone: its host,
    its retained namespace, and Secrets that are for no other one."""
    clone = {field: value for field, value in spec.items() if field not in _OF_ONE_WORKSPACE}
    ingress = _without(spec.get("ingress"), "host")
    if "secretName" in (ingress.get("tls") or {}):
        ingress = _without(ingress, "tls")
    access = _without(spec.get("access"), "adminSecretName", "passwordReset")
    if "secretName" in (access.get("oidc") or {}):
        access = _without(access, *_OF_ONE_PROVIDER)
    parts = {
        "ingress": ingress,
        "access": access,
        "backup": _without(spec.get("backup"), "request"),
    }
    for field, part in parts.items():
        if field in clone:
            clone[field] = part
    restore = {"backup": backup, "source": spec["workspaceName"]}
    return {**clone, "workspaceName": name, "restore": restore}


def _without(part: Mapping[str, Any] | None, *fields: str) -> dict[str, Any]:
    return {field: value for field, value in (part or {}).items() if field not in fields}


def _newest(source: View) -> str:
    """Return the newest backup. Raises ProblemError (409) without one."""
    backups = _names(source)
    if not backups:
        raise ProblemError(
            409,
            "no-backup",
            f"Workspace {source.name!r} has no backup to begin with. Make one: "
            f"POST /api/v1/workspaces/{source.name}:backup.",
        )
    return backups[0]


def _names(view: View) -> list[str]:
    record = view.document["status"].get("backup") or {}
    return [str(backup["name"]) for backup in record.get("items") or ()]


def _require_listed(backup: str, view: View) -> None:
    """Raise ProblemError (422) for a backup that the workspace's status does not list."""
    if backup not in _names(view):
        message = (
            f"workspace {view.name!r} lists no backup {backup!r}; "
            f"GET /api/v1/workspaces/{view.name}/backups has those that it lists. Send "
            "`unlisted: true` for an older one that is still in the store"
        )
        error = FieldError("backup", message)
        raise ProblemError(422, "backup-not-listed", f"backup: {message}.", errors=(error,))
