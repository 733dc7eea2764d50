"""What people read for each entry of a workspace's history. The command line and the console say
the same."""

from collections.abc import Mapping
from typing import Any, Final

_ACTIONS: Final[Mapping[str, str]] = {
    "create": "created it",
    "clone": "created it as a clone",
    "suspend": "suspended it",
    "resume": "resumed it",
    "restart": "restarted it",
    "resetPassword": "gave the administrator a new password",
    "backup": "asked for a backup",
    "restore": "restored a backup",
    "delete": "asked to delete it",
}
_LISTS: Final = ("spec.models", "spec.patterns", "spec.connections")


def change_words(entry: Mapping[str, Any]) -> str:
    """Return what was done, as `added llama3.2`; of what came another way, what it has set."""
    if known := _ACTIONS.get(str(entry["action"])):
        return known
    named = [
        f"{verb} {', '.join(map(str, entry[verb]))}"
        for verb in ("added", "removed")
        if entry.get(verb)
    ]
    lists = _LISTS if named else ()
    fields = [str(path) for path in entry.get("changed") or () if path not in lists]
    verb = "set" if entry.get("manager") else "changed"
    return "; ".join([*named, *([f"{verb} {', '.join(fields)}"] if fields else [])]) or verb
