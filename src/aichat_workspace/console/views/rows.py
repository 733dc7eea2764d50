"""Workspaces in the list, and the links that filter it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views.states import Document, Time, model, percent, time
from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionType, Phase
from aichat_workspace.foundation import activity, units
from aichat_workspace.foundation.states import STEPS, State, phase_state

HEADS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "state": (("state", "phase"),),
    "workspace": (("workspace", "name"), ("team", "team")),
    "age": (("age", "created"), ("sort_used", "usedAt")),
}
_AGES: Final = ("created", "usedAt")


@dataclass(frozen=True, slots=True)
class Row:
    """A workspace in the list."""

    key: str
    """Unique on the page and the same at each refresh."""
    name: str
    display_name: str
    """What people call it; empty where it has no name but the workspace's."""
    team: str
    path: str
    """Its page, with the query that names its team."""
    state: State
    models: str
    note: str
    percent: int | None
    chat: str | None
    """The address of its chat; None while the chat can't answer."""
    host: str
    """The same without the scheme, for people to read; empty while the chat can't answer."""
    created: Time
    used: str
    """How long ago people used it, in a cell's width; empty where that is not known."""
    use: str
    """The same as a sentence, with how old the figure is."""
    is_suspended: bool
    is_deleting: bool

    def action(self, name: str) -> str:
        """Return the path of an action of its page."""
        path, _, query = self.path.partition("?")
        return f"{path}/{name}?{query}"


@dataclass(frozen=True, slots=True)
class PhaseFilter:
    """A link that filters the list by phase."""

    label: str
    count: int | None
    """None where only a part of the list is known."""
    query: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the form that filters and sorts the list."""

    value: str
    label: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class SortLink:
    """A column's head, which sorts the list by it."""

    label: str
    field: str
    """As the API's `sort` names it."""
    query: str
    """The list in this order or, where it has it, in the opposite one."""
    order: str
    """For `aria-sort`: ascending, descending, or none."""


def columns(query: Mapping[str, str]) -> Mapping[str, tuple[SortLink, ...]]:
    """Return the heads by column. A link keeps the filters and begins with the first page.

    Ages grow as times of creation fall, so an order of ages is the opposite of the API's.
    """
    current = query.get("sort", "name")
    rest = {name: value for name, value in query.items() if name not in ("sort", "page")}
    return {
        column: tuple(_sort_link(label, field, current, rest) for label, field in heads)
        for column, heads in HEADS.items()
    }


def sort_options(query: Mapping[str, str]) -> tuple[Option, ...]:
    """Return every order of the list, for where it has no heads: names first, without a sort."""
    current = query.get("sort", "name")
    fields = [field for heads in HEADS.values() for _, field in heads]
    orders = [order for field in fields for order in _directions(field)]
    return tuple(
        Option("" if order == "name" else order, TEXTS[f"by_{order}"], order == current)
        for order in sorted(orders, key=lambda order: order != "name")
    )


def _sort_link(label: str, field: str, current: str, rest: Mapping[str, str]) -> SortLink:
    first, second = _directions(field)
    order = {first: "ascending", second: "descending"}.get(current, "none")
    target = second if current == first else first
    return SortLink(TEXTS[label], field, f"?{urlencode({**rest, 'sort': target})}", order)


def _directions(field: str) -> tuple[str, str]:
    """Return the API's orders that people see as ascending and as descending."""
    return (f"-{field}", field) if field in _AGES else (field, f"-{field}")


def row(document: Document, now: datetime) -> Row:
    """Return the view of one workspace in the list."""
    name, team, status = document["name"], document["team"], document["status"]
    models = status.get("models") or ()
    pulling = next((model for model in models if model["state"] == ModelState.PULLING), None)
    return Row(
        key=f"{team}/{name}",
        name=name,
        display_name=document["spec"].get("displayName") or "",
        team=team,
        path=f"/workspaces/{quote(name, safe='')}?{urlencode({'team': team})}",
        state=state(document),
        models=", ".join(document["spec"].get("models") or ()),
        note=_note(document, pulling),
        percent=percent(pulling) if pulling else None,
        chat=(chat := _chat(document)),
        host=(chat or "").partition("://")[2].rstrip("/"),
        created=time(document["created"], now),
        used=_used(activity.brief(status.get("activity"), now, units.span)),
        use=activity.sentence(status.get("activity"), now),
        is_suspended=bool(document["spec"].get("suspended")),
        is_deleting=document["deleting"],
    )


def _used(brief: str) -> str:
    if brief == activity.UNKNOWN:
        return ""
    return TEXTS["unused"] if brief == activity.NEVER else TEXTS["used"].format(age=brief)


def state(document: Document) -> State:
    """Return the workspace's state; one that is being deleted is in no other."""
    phase = Phase.TERMINATING if document["deleting"] else document["status"].get("phase", "")
    return phase_state(phase)


def _chat(document: Document) -> str | None:
    status = document["status"]
    is_up = status.get("phase") == Phase.READY or any(
        entry["type"] == ConditionType.OPENWEBUI_AVAILABLE and entry["status"] == "True"
        for entry in status.get("conditions") or ()
    )
    is_stopped = document["spec"].get("suspended") or document["deleting"]
    return safe_url(status.get("url")) if is_up and not is_stopped else None


def safe_url(url: object) -> str | None:
    """Return an address that a link may have; None for another scheme, as `javascript:`."""
    is_http = isinstance(url, str) and url.startswith(("https://", "http://"))
    return str(url) if is_http else None


def phase_filters(
    documents: Sequence[Document], query: Mapping[str, str], *, is_whole: bool
) -> tuple[PhaseFilter, ...]:
    """Return a link for each phase that occurs, and one for all.

    `documents` are those of the present filter; counts are shown only where they are all that
    there are, and not already filtered by phase.
    """
    current = query.get("phase", "")
    counts = Counter(str(document["status"].get("phase")) for document in documents)
    rest = {name: value for name, value in query.items() if name not in ("phase", "page")}
    is_counted = is_whole and not current
    phases = [phase for phase in Phase if phase in counts or phase == current]
    everything = PhaseFilter(
        TEXTS["all_phases"],
        len(documents) if is_counted else None,
        f"?{urlencode(rest)}" if rest else "/",
        not current,
    )
    return (
        everything,
        *(
            PhaseFilter(
                phase_state(phase).word,
                counts[phase] if is_counted else None,
                f"?{urlencode({**rest, 'phase': str(phase)})}",
                phase == current,
            )
            for phase in phases
        ),
    )


def condition_filters(current: str) -> tuple[Option, ...]:
    """Return what the list can be filtered by besides phases, with the present one."""
    known = {
        **{f"{kind}=False": words for kind, words in STEPS.items()},
        f"{ConditionType.UP_TO_DATE}=False": TEXTS["condition_upgrade"],
        f"{ConditionType.EXPIRES_SOON}=True": TEXTS["condition_expires"],
    }
    texts = {
        value: TEXTS["condition_not"].format(what=words) if value.endswith("False") else words
        for value, words in known.items()
    }
    if current:
        texts.setdefault(current, current)
    return tuple(Option(value, words, value == current) for value, words in texts.items())


def _note(document: Document, pulling: Document | None) -> str:
    if pulling is not None:
        return model(pulling).note
    status = document["status"]
    if status.get("phase") != Phase.DEGRADED:
        return ""
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    return str(conditions.get(ConditionType.READY, {}).get("message", ""))
