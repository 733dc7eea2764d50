"""Print figures as the table in docs/benchmarks.md, or as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

HEAD: Final = "| what | goal | figure | compared |\n|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    figure: str
    goal: str = ""
    compared: str = ""

    def __str__(self) -> str:
        return f"| {self.what} | {self.goal} | {self.figure} | {self.compared} |"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a figure has to keep to, at most or at least."""

    bound: float
    at_most: bool = True

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {_rounded(self.bound)}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a run. `key` is its name for scripts."""

    workspaces: int
    key: str
    what: str
    value: float
    unit: str = ""
    goal: Goal | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Return None without a goal."""
        return None if self.goal is None else self.goal.is_met(self.value)

    def __str__(self) -> str:
        met = {None: "", True: "yes", False: "**no**"}[self.is_met]
        value = f"{_rounded(self.value)} {self.unit}".strip()
        goal = str(self.goal or "")
        return f"| {self.workspaces} | {self.what} | {value} | {goal} | {met} | {self.note} |"


FIGURES_HEAD: Final = "| N | what | figure | goal | met | |\n|---|---|---|---|---|---|"


def as_json(figures: Sequence[Figure], machine: Mapping[str, float]) -> str:
    """Return the machine and the figures, with whether each goal is met, for scripts."""
    rows = [{**asdict(figure), "met": figure.is_met} for figure in figures]
    return json.dumps({"machine": machine, "figures": rows}, indent=2, ensure_ascii=False)


def _rounded(value: float) -> str:
    """Format a value with three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
