"""Where a workspace's backups go, and whether they can be made.

The platform team writes the destinations, their keys and the passphrase; a team chooses one by
name.
"""

import base64
from collections.abc import Iterator
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.platform_secrets import FindObject
from aichat_workspace.domain.policy.secret_references import ReferencedSecret
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.backup import BackupDestination, PlatformBackup
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.sign_in import FOR_ALL_WORKSPACES
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from aichat_workspace.foundation.metadata import annotations

PASSPHRASE: Final = "BACKUP_PASSPHRASE"  # noqa: S105  (a name)
ACCESS_KEY: Final = "AWS_ACCESS_KEY_ID"
SECRET_KEY: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105  (a name)
_MIN_PASSPHRASE_LENGTH: Final = 12
_FIELD: Final = "spec.backup.destination"
_ORIGIN_FIELD: Final = "spec.restore.destination"


def destination(
    spec: WorkspaceSpec, team: str, platform: PlatformSpec
) -> tuple[BackupDestination | None, Problem | None]:
    """Return where the workspace's backups go, or why nowhere.

    It is the one that spec.backup names, and without a name the first that the team may choose.
    """
    return choice(spec.backup.destination if spec.backup else None, team, platform)


def origin(
    spec: WorkspaceSpec, team: str, platform: PlatformSpec
) -> tuple[BackupDestination | None, Problem | None]:
    """Return the destination that a restore reads, or why there is none.

    It is the one that spec.restore names, and without a name that of the workspace's backups.
    """
    if spec.restore is None or spec.restore.destination is None:
        return destination(spec, team, platform)
    return choice(spec.restore.destination, team, platform, _ORIGIN_FIELD)


def choice(
    name: str | None, team: str, platform: PlatformSpec, field: str = _FIELD
) -> tuple[BackupDestination | None, Problem | None]:
    """Return the destination of that name, the team's first without one, or why there is none. The
    problem is of the field."""
    choices = destinations_of_team(team, platform)
    if name is None:
        if choices:
            return choices[0], None
        return None, Problem(
            Reason.BACKUP_DESTINATION_NOT_FOUND,
            f"there is no destination for backups that team {team!r} may choose; the platform team "
            "adds one to spec.backup.destinations of the AIChatPlatform",
            field,
        )
    listed = {entry.name: entry for entry in platform.backup.destinations}
    if name not in listed:
        return None, Problem(
            Reason.BACKUP_DESTINATION_NOT_FOUND,
            f"there is no destination {name!r} for backups; {_choices(team, choices, field)}",
            field,
        )
    if listed[name] not in choices:
        return None, Problem(
            Reason.BACKUP_DESTINATION_NOT_ALLOWED,
            f"team {team!r} may not choose the destination {name!r}; "
            f"{_choices(team, choices, field)}",
            field,
        )
    return listed[name], None


def destinations_of_team(team: str, platform: PlatformSpec) -> tuple[BackupDestination, ...]:
    """Return the destinations that workspaces of the team may name."""
    return tuple(
        entry
        for entry in platform.backup.destinations
        if not entry.allowed_teams or team in entry.allowed_teams
    )


def violations(spec: WorkspaceSpec, team: str, platform: PlatformSpec) -> Iterator[Problem]:
    """Yield why the workspace can't have the destinations that it asks for."""
    wishes = [
        *([destination] if spec.backup else ()),
        *([origin] if spec.restore else ()),
    ]
    problems = (wish(spec, team, platform)[1] for wish in wishes)
    yield from dict.fromkeys(problem for problem in problems if problem)


def fill_spec(spec: WorkspaceSpec, team: str, platform: PlatformSpec) -> WorkspaceSpec:
    """Return the spec with the destination that the team gets, where spec.backup names none."""
    if spec.backup is None or spec.backup.destination is not None:
        return spec
    target, _ = destination(spec, team, platform)
    if target is None:
        return spec
    return spec.model_copy(
        update={"backup": spec.backup.model_copy(update={"destination": target.name})}
    )


def with_destination(workspace: Workspace, platform: PlatformSpec) -> Workspace:
    """Return the workspace with the destination that its team gets; unchanged where it names one,
    or asks for no backups."""
    spec = fill_spec(workspace.spec, workspace.namespace, platform)
    if spec is workspace.spec:
        return workspace
    return workspace.model_copy(update={"spec": spec, "written_spec": workspace.own_spec})


def resolve_secret(
    target: BackupDestination, settings: PlatformBackup, find_secret: FindObject
) -> tuple[ReferencedSecret | None, Problem | None]:
    """Return what a run may use of the platform's Secrets, by its variables, or what is missing.

    Neither before a snapshot, which needs no Secret.
    """
    if target.snapshot is not None:
        return None, None
    name = settings.passphrase_secret_name
    if name is None:
        return None, Problem(
            Reason.BACKUP_SECRET_NOT_FOUND,
            "spec.backup.passphraseSecretName of the AIChatPlatform is not set: nothing seals the "
            "credentials in backups; the platform team sets it",
        )
    field = "spec.backup.passphraseSecretName"
    data, problem = _data(name, field, {PASSPHRASE: "passphrase"}, find_secret(name))
    if problem:
        return None, problem
    if len(base64.b64decode(data[PASSPHRASE])) < _MIN_PASSPHRASE_LENGTH:
        return None, Problem(
            Reason.BACKUP_SECRET_NOT_FOUND,
            f"the passphrase in Secret {name!r} of {field} of the AIChatPlatform is shorter than "
            f"{_MIN_PASSPHRASE_LENGTH} characters; the platform team makes it longer",
        )
    if target.s3 is None:
        return ReferencedSecret("Opaque", data), None
    field = f"spec.backup.destinations[{target.name}].s3.secretName"
    keys = {ACCESS_KEY: "accessKeyID", SECRET_KEY: "secretAccessKey"}
    store_keys, problem = _data(
        target.s3.secret_name, field, keys, find_secret(target.s3.secret_name)
    )
    return (None, problem) if problem else (ReferencedSecret("Opaque", data | store_keys), None)


def reach_problem(target: BackupDestination, source: str | None, own_name: str) -> Problem | None:
    """Return why a workspace can't restore the backup of another one, whose name is `source`."""
    if target.s3 is not None or source is None or source == own_name:
        return None
    kind = "a volume" if target.volume is not None else "snapshots"
    return Problem(
        Reason.BACKUP_OUT_OF_REACH,
        f"destination {target.name!r} is {kind} of each workspace by itself, in its own namespace, "
        f"so nothing else reads the backups of {source!r}; name one with a bucket that has the "
        "backup in spec.restore.destination, or make one there first",
        "spec.restore.source",
    )


def _data(
    name: str, field: str, keys: dict[str, str], secret: Manifest | None
) -> tuple[dict[str, str], Problem | None]:
    """Return the values of a Secret's keys by the variables that they become."""
    is_marked = secret is not None and (
        annotations(secret).get(names.SECRET_FOR_ANNOTATION) == FOR_ALL_WORKSPACES
    )
    data = (secret.get("data") or {}) if secret is not None and is_marked else {}
    if all(map(data.get, keys.values())):
        return {variable: data[key] for variable, key in keys.items()}, None
    return {}, Problem(
        Reason.BACKUP_SECRET_NOT_FOUND,
        f"Secret {name!r} of {field} of the AIChatPlatform is not there, or lacks a key "
        f"({', '.join(keys.values())}) or the annotation {names.SECRET_FOR_ANNOTATION}: "
        f"'{FOR_ALL_WORKSPACES}'; the platform team makes it in namespace "
        f"{names.SYSTEM_NAMESPACE}",
    )


def _choices(team: str, choices: tuple[BackupDestination, ...], field: str) -> str:
    listed = ", ".join(entry.name for entry in choices)
    return f"{team!r} may choose {listed or 'none'}; change {field}, or ask the platform team"
