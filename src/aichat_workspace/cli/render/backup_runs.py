"""How far a backup or a restore is, as it is followed."""

from collections.abc import Mapping
from typing import Any, Final

from aichat_workspace.cli.render.backups import obstacle_of
from aichat_workspace.cli.render.bring_up import (
    COMING_UP,
    Course,
    Step,
    condition_step,
    is_true,
)
from aichat_workspace.cli.render.workspaces import condition, failure_of, phase_of, record_of

Json = dict[str, Any]


def _request(document: Json) -> str:
    return str(((document.get("spec") or {}).get("backup") or {}).get("request") or "")


def _has_begun(document: Json) -> bool:
    """Whether the backup that was last asked for is being made, or was."""
    return bool(record_of(document).get("request", "") == _request(document))


def is_backed_up(document: Json) -> bool:
    """Whether the backup that was last asked for is made."""
    return _has_begun(document) and record_of(document).get("state") == "Done"


def backup_failure(document: Json) -> str:
    """Return why the backup that was last asked for was not made; empty while it may be."""
    return failure_of(record_of(document)) if _has_begun(document) else ""


def is_restored(document: Json) -> bool:
    """Whether the restore that the spec asks for is done."""
    return _is_current_restore(document) and _restore(document).get("state") == "Done"


def is_back(document: Json) -> bool:
    """Whether it is done, and the chat runs again; that of a suspended workspace does not."""
    is_suspended = phase_of(document) == "Suspended"
    return is_restored(document) and (is_suspended or is_true(document, "OpenWebUIAvailable"))


def restore_failure(document: Json) -> str:
    """Return why the restore that the spec asks for has failed; empty while it may be done."""
    return failure_of(_restore(document)) if _is_current_restore(document) else ""


def _restore(document: Json) -> Json:
    return (document.get("status") or {}).get("restore") or {}


def _is_current_restore(document: Json) -> bool:
    desired, carried_out = (
        tuple(
            (restore or {}).get(field) or ""
            for field in ("backup", "source", "destination", "request")
        )
        for restore in (
            (document.get("spec") or {}).get("restore"),
            _restore(document).get("target"),
        )
    )
    return desired == carried_out


def _remark(document: Json, kind: str, record: Mapping[str, Any], *, has_begun: bool) -> str:
    if has_begun:
        return str(record.get("message") or record.get("state") or "").lower()
    return str(condition(document, kind).get("reason") or "")


BACKUP: Final = Course(
    (
        Step(
            "backup",
            is_backed_up,
            lambda document: _remark(
                document, "BackedUp", record_of(document), has_begun=_has_begun(document)
            ),
        ),
    ),
    lambda document: "" if _has_begun(document) else obstacle_of(document, "BackedUp"),
    has_models=False,
)
_RESTORE_STEP: Final = Step(
    "the backup's data",
    is_restored,
    lambda document: _remark(
        document, "Restored", _restore(document), has_begun=_is_current_restore(document)
    ),
)
RESTORE: Final = Course(
    (_RESTORE_STEP, condition_step("OpenWebUIAvailable")),
    lambda document: "" if _is_current_restore(document) else obstacle_of(document, "Restored"),
    has_models=False,
)
CLONE: Final = Course((*COMING_UP.steps, _RESTORE_STEP), COMING_UP.problem)
