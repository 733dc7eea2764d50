"""What a change of a spec changes: the paths of its fields, and which models and patterns come and
go. No other values: they may be secret, and they are of any length."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from aichat_workspace.api.schemas.history import Action
from aichat_workspace.api.workspaces.writing.spec_lists import CONNECTIONS, MODELS, PATTERNS
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec

Spec = Mapping[str, Any]
ModelsOf = Callable[[Spec], tuple[str, ...]]
_LISTS: Final = (MODELS, PATTERNS, CONNECTIONS)
_SUSPENDED: Final = "spec.suspended"
_RESTART: Final = "spec.restart."
_BACKUP: Final = "spec.backup."
_BACKUP_REQUEST: Final = "spec.backup.request"
_RESTORE: Final = "spec.restore."
_PASSWORD_RESET: Final = "spec.access.passwordReset"  # noqa: S105  (a path)


class Change(NamedTuple):
    """What differs between two specs."""

    action: Action
    fields: tuple[str, ...]
    """The paths of changed fields, as `spec.models`."""
    added: tuple[str, ...] = ()
    """The names of entries that models, patterns and connections have gained."""
    removed: tuple[str, ...] = ()
    """The names of those that they have lost."""


def change(before: Spec, after: Spec, models_of: ModelsOf) -> Change | None:
    """Return what differs between two specs; None where both ask for the same.

    A default that is written and one that is left out are the same. `models_of` returns the models
    that a spec has, be they its own or its size class's: those come and go.
    """
    before, after = _with_defaults(before, after)
    fields = tuple(_differences(before, after, "spec"))
    if not fields:
        return None
    old, new = ({**spec, MODELS.field: models_of(spec)} for spec in (before, after))
    return Change(_action(fields, after), fields, tuple(_new(old, new)), tuple(_new(new, old)))


def _with_defaults(*specs: Spec) -> tuple[Spec, ...]:
    """Return the specs with the CRD's defaults; as they are, where the models reject one."""
    try:
        return tuple(
            WorkspaceSpec.model_validate(spec, extra="ignore").model_dump(
                mode="json", by_alias=True, exclude_none=True
            )
            for spec in specs
        )
    except ValidationError:
        return specs


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    """Yield the paths of fields that differ, in their order; a list is one field."""
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        old, new = (value if isinstance(value, Mapping) else {} for value in (before, after))
        for name in sorted({*old, *new}):
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}")
    elif before != after:
        yield path


def _action(fields: tuple[str, ...], after: Spec) -> Action:
    if fields == (_SUSPENDED,):
        return Action.SUSPEND if after.get("suspended") else Action.RESUME
    if all(field.startswith(_RESTART) for field in fields):
        return Action.RESTART
    is_backup = all(field.startswith(_BACKUP) for field in fields) and after.get("backup")
    if is_backup and _BACKUP_REQUEST in fields and after["backup"].get("request"):
        return Action.BACKUP
    if after.get("restore") and all(field.startswith(_RESTORE) for field in fields):
        return Action.RESTORE
    return Action.RESET_PASSWORD if fields == (_PASSWORD_RESET,) else Action.EDIT


def _new(before: Spec, after: Spec) -> Iterator[str]:
    """Yield the names of entries that only the later spec has."""
    for spec_list in _LISTS:
        known = {spec_list.key(entry) for entry in before.get(spec_list.field) or ()}
        for entry in after.get(spec_list.field) or ():
            if spec_list.key(entry) not in known:
                yield entry["name"] if isinstance(entry, Mapping) else str(entry)
