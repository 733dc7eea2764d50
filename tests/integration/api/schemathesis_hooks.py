"""What schemathesis does before each request."""

from typing import Any

import schemathesis

_MAX_SECONDS = 300


@schemathesis.hook
def before_call(
    _context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, object]
) -> None:
    """Wait for a phase a second at most: a minute for each would take hours.

    What is no number of seconds stays, since its refusal is a test.
    """
    query = case.query or {}
    seconds = str(query.get("timeout", 1))
    if "wait" in query and seconds.isdigit() and 1 <= int(seconds) <= _MAX_SECONDS:
        case.query = {**query, "timeout": 1}
