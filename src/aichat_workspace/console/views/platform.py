"""The platform at a glance: how many workspaces are well, what ails the others, and the upgrade."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from aichat_workspace.console.views.states import Document
from aichat_workspace.domain.reasons import Reason, Severity
from aichat_workspace.domain.v1alpha1.workspace_status import ABNORMAL_CONDITIONS, ConditionType
from aichat_workspace.foundation.states import PHASES, State, phase_state

FIELDS: Final = "name,team,deleting,status.phase,status.conditions"
"""What the list has to have."""
_SHOWN: Final = 12
_UPGRADE: Final = (
    Reason.UPGRADING,
    Reason.UPGRADE_WAITING,
    Reason.UPGRADE_PAUSED,
    Reason.UPGRADE_SKIPPED,
    Reason.UPGRADE_STUCK,
    Reason.UPGRADE_FAILED,
    Reason.UPGRADE_STOPPED,
)
_SUMMARIES: Final = frozenset(
    {ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED}
)
"""They repeat another condition."""
_TONES: Final[Mapping[Severity, str]] = {Severity.ERROR: "trouble", Severity.WARNING: "working"}


@dataclass(frozen=True, slots=True)
class PhaseCount:
    """How many workspaces are in a phase, with the list of them."""

    state: State
    count: int
    query: str


@dataclass(frozen=True, slots=True)
class Link:
    """A workspace and its page."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Group:
    """Workspaces for which one reason holds."""

    reason: str
    code: str
    problem: str
    fix: str
    tone: str
    count: int
    workspaces: tuple[Link, ...]
    """The first of them."""


def phase_counts(documents: Iterable[Document]) -> tuple[PhaseCount, ...]:
    """Return the number of workspaces in each phase that occurs."""
    counts: dict[str, int] = defaultdict(int)
    for document in documents:
        counts[str(document["status"].get("phase", "Pending"))] += 1
    known = [*PHASES, *sorted(counts.keys() - PHASES.keys())]
    return tuple(
        PhaseCount(phase_state(phase), counts[phase], f"/?{urlencode({'phase': phase})}")
        for phase in known
        if counts[phase]
    )


def problems(documents: Iterable[Document]) -> tuple[Group, ...]:
    """Return what ails workspaces by reason: what a person has to mend first, then by number."""
    groups = [
        group
        for group in _groups(documents, lambda kind: kind not in _SUMMARIES)
        if group.tone and group.reason not in _UPGRADE
    ]
    return tuple(sorted(groups, key=lambda group: (group.tone != "trouble", -group.count)))


def upgrade(documents: Iterable[Document]) -> tuple[Group, ...]:
    """Return who changes its pods, waits, is left out, or failed; empty without an upgrade."""
    groups = {
        group.reason: group
        for group in _groups(documents, lambda kind: kind == ConditionType.UP_TO_DATE)
    }
    return tuple(groups[reason] for reason in _UPGRADE if reason in groups)


def _groups(documents: Iterable[Document], is_chosen: Callable[[str], bool]) -> list[Group]:
    links: dict[str, dict[Link, None]] = defaultdict(dict)
    for document in documents:
        for condition in document["status"].get("conditions") or ():
            kind = condition["type"]
            is_good = (condition["status"] == "True") is (kind not in ABNORMAL_CONDITIONS)
            if is_chosen(kind) and not is_good:
                links[condition["reason"]][_link(document)] = None
    return [_group(reason, [*group]) for reason, group in sorted(links.items())]


def _group(reason: str, links: Sequence[Link]) -> Group:
    known = Reason.known(reason)
    return Group(
        reason=reason,
        code=known.code if known else "",
        problem=known.problem if known else "",
        fix=known.fix if known else "",
        tone=_TONES.get(known.severity, "") if known else "trouble",
        count=len(links),
        workspaces=tuple(links[:_SHOWN]),
    )


def _link(document: Document) -> Link:
    query = urlencode({"team": document["team"]})
    return Link(document["name"], f"/workspaces/{quote(document['name'], safe='')}?{query}")
