"""What is in a bundle."""

from collections.abc import Mapping
from typing import Any

from aichat_workspace.cli.render.lines import Line, Span, Style, line, plain
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.foundation import units


def bundle_table(document: Mapping[str, Any], width: int | None) -> list[Line]:
    """Return its images, models and files."""
    rows = [
        (
            Span(str(item["kind"])),
            Span(plain(str(item["name"]))),
            Span(units.size(int(item["sizeBytes"]))),
            Span(plain(", ".join(item["platforms"]) or "-")),
            Span(str(item["digest"]), Style.FAINT),
        )
        for item in document["items"]
    ]
    rows += [
        (
            Span("file"),
            Span(plain(str(file["name"]))),
            Span(units.size(int(file["sizeBytes"]))),
            Span("-"),
            Span("-", Style.FAINT),
        )
        for file in document["files"]
    ]
    columns = (
        Column("KIND"),
        Column("NAME", min_width=24),
        Column("SIZE", 1),
        Column("PLATFORMS", 2),
        Column("DIGEST", 3, min_width=19),
    )
    head = line(f"Release {plain(str(document['version']))}", Style.FAINT)
    return [*table(columns, rows, width), head]
