"""Problems in the shape of OpenAI's errors, for the paths that its clients use.

https://platform.openai.com/docs/guides/error-codes
"""

import re
from typing import Any, Final

from aichat_workspace.api.web.responses.problems import ProblemError

PATH_PATTERN: Final = re.compile(r"/api/v1/workspaces/[^/:]+/v1/")
_STATUSES: Final = {"invalid": 400, "model-not-found": 404}
_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
MEDIA_TYPE: Final = "application/json"


def is_openai(path: str) -> bool:
    """Return whether the path is one of OpenAI's clients."""
    return PATH_PATTERN.match(path) is not None


def status(problem: ProblemError) -> int:
    """Return the status that OpenAI's clients know for the problem."""
    return _STATUSES.get(problem.code, problem.status)


def document(problem: ProblemError) -> dict[str, Any]:
    """Return a schemas.openai.OpenAIErrorDocument."""
    code = status(problem)
    kind = "server_error" if code >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": problem.detail,
            "type": _TYPES.get(code, kind),
            "param": problem.errors[0].field or None if problem.errors else None,
            "code": problem.code.replace("-", "_"),
        }
    }


def headers(problem: ProblemError) -> dict[str, str]:
    """Return the response's headers; they say whether the client shall try again by itself."""
    has_use = problem.retry_after_seconds is not None
    return {**problem.all_headers(), "X-Should-Retry": "true" if has_use else "false"}
