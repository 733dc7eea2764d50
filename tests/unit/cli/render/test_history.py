from datetime import UTC, datetime, timedelta
from typing import Any

from aichat_workspace.cli.render.history import history_table

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(**parts: Any) -> dict[str, Any]:
    time = (NOW - timedelta(minutes=4)).isoformat()
    base = {"time": time, "action": "edit", "user": None, "manager": None}
    return {**base, "changed": [], "added": [], "removed": [], "requestId": None, **parts}


def test_nobody_knows_who_did_what_has_neither_user_nor_manager() -> None:
    (_, row) = history_table([entry(action="delete")], NOW, 80, wide=False)
    assert "".join(span.text for span in row) == "4m   unknown  asked to delete it"


def test_names_cannot_steer_the_terminal() -> None:
    lines = history_table(
        [entry(user="ann\x1b[2J\u202e", changed=["spec.\x1b[2J"])], NOW, 80, wide=False
    )
    assert not {"\x1b", "\u202e"} & {*"".join(span.text for line in lines for span in line)}
