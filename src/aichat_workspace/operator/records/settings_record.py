"""The record of the platform's settings in force, which the leader keeps.

It holds what is in force while there is no AIChatPlatform, after a restart, too. The leader also
says in its log and by an event that an AIChatPlatform is gone or not understood.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NoReturn

import structlog

from aichat_workspace.domain import names
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.platform_settings import Settings, settings_record
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME
from aichat_workspace.kube.errors import ApiError, UnreachableError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.records.keeping import keep
from aichat_workspace.operator.telemetry.events import record_event
from aichat_workspace.operator.writer import Writer

_log: Final = structlog.get_logger()


async def maintain(writer: Writer, caches: Caches, now: Callable[[], datetime]) -> NoReturn:
    """Write the record whenever it differs, until cancelled. Log a fault and try again."""
    announced: list[tuple[str, str]] = []

    async def record_and_announce() -> None:
        nonlocal announced
        settings = caches.settings.in_force
        failure: ApiError | UnreachableError | None = None
        try:
            await _write(writer, caches, settings)
        except (ApiError, UnreachableError) as error:
            failure = error  # a person has to know of the settings all the same
        notes = announcements(settings)
        for reason, note in notes:
            if (reason, note) not in announced:
                await _announce(writer, caches.settings.record, reason, note, now())
        announced = notes if caches.settings.record else []  # the event needs the record
        if failure is not None:
            raise failure

    await keep("recording the settings", caches.settings_moved, record_and_announce)


def announcements(settings: Settings) -> list[tuple[str, str]]:
    """Return what a person has to know of the settings: reasons, and what to do."""
    notes = []
    if settings.is_deleted:
        note = (
            f"AIChatPlatform {PLATFORM_NAME!r} is gone: its last settings stay in force, as "
            f"ConfigMap {names.SETTINGS_RECORD!r} has them; apply it again, or for the defaults "
            "apply one with an empty spec"
        )
        notes.append(("SettingsKept", note))
    if settings.refusal:
        notes.append((Reason.SETTINGS_NOT_UNDERSTOOD, settings.refusal))
    return notes


async def _write(writer: Writer, caches: Caches, settings: Settings) -> None:
    if not caches.settings.is_known or settings.unknown - settings.document.keys():
        return  # there is nothing to record, or an unreadable record for a person to mend
    body = settings_record(settings)
    record = caches.settings.record
    if record is not None and record.get("data") == body["data"]:
        return
    await writer.apply_settings_record(body)
    _log.info("settings recorded", config_map=names.SETTINGS_RECORD)


async def _announce(
    writer: Writer, record: Json | None, reason: str, note: str, now: datetime
) -> None:
    _log.warning(note, reason=reason)
    if record is not None:
        await writer.emit_event(record_event(record, reason, note, now), now)
