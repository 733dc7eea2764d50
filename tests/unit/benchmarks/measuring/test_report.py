"""Figures are printed."""

import json

from benchmarks.measuring.report import Figure, Goal, as_json


def test_figures_are_printed_for_people_and_for_scripts() -> None:
    figure = Figure(50, "efficiency", "efficiency", 0.954, goal=Goal(0.95, at_most=False))
    assert str(figure) == "| 50 | efficiency | 0.954 | ≥ 0.95 | yes |  |"
    assert str(Figure(50, "a", "a", 1234.5, "s", Goal(2), "why")) == (
        "| 50 | a | 1234 s | ≤ 2 | **no** | why |"
    )
    report = json.loads(as_json([figure, Figure(50, "b", "b", 1)], {"cores": 2}))
    assert report["machine"] == {"cores": 2}
    assert [(row["key"], row["value"], row["met"]) for row in report["figures"]] == [
        ("efficiency", 0.954, True),
        ("b", 1, None),
    ]
