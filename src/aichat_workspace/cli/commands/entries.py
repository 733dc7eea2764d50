"""Add and remove entries of a workspace's lists: models and patterns.

The API changes each at once and loses no other change.
"""

from collections.abc import Sequence
from enum import StrEnum
from urllib.parse import quote

from aichat_workspace.cli.client.api import Answer, Json, workspace_path
from aichat_workspace.cli.render.lines import plain
from aichat_workspace.cli.session import Session


class EntryList(StrEnum):
    """A list of the spec, by its field's name and its path."""

    MODELS = "models"
    PATTERNS = "patterns"


def add(
    session: Session, name: str, team: str | None, entries: EntryList, values: Sequence[str]
) -> Answer:
    """Add entries, and return the answer to the last one."""

    def add_entry(value: str) -> Answer:
        body: Json = {"name": value}
        path = workspace_path(name, f"/{entries}")
        what = f"{value} was not added to {name}"
        return session.api.send(what, "POST", path, query={"team": team}, body=body)

    return _report(session, name, entries, [add_entry(value) for value in values])


def remove(
    session: Session, name: str, team: str | None, entries: EntryList, values: Sequence[str]
) -> Answer:
    """Remove entries, and return the answer to the last one."""

    def remove_entry(value: str) -> Answer:
        path = workspace_path(name, f"/{entries}/{quote(value, safe='/:@')}")
        what = f"{value} was not removed from {name}"
        return session.api.send(what, "DELETE", path, query={"team": team})

    return _report(session, name, entries, [remove_entry(value) for value in values])


def _report(session: Session, name: str, entries: EntryList, answers: Sequence[Answer]) -> Answer:
    """Say what the workspace has now."""
    is_unchanged = all(answer.status == 200 for answer in answers)
    what = "was so already" if is_unchanged else "was changed"
    present = answers[-1].document["spec"].get(entries) or ()
    listed = plain(", ".join(map(str, present))) or "none"
    session.notes.say(f"{name} {what}; its {entries}: {listed}")
    return answers[-1]
