"""Figures as a table that goes into docs/benchmarks.md as it is."""

from dataclasses import dataclass
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
