"""The end of a workspace's time, and when a clock is believed about it."""

from datetime import timedelta
from typing import Final

from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.workspace import Workspace

MAX_DIFFERENCE: Final = timedelta(minutes=5)
CLOCK_RECHECK_SECONDS: Final = 60.0


def clock_problem(ahead: timedelta | None) -> Problem | None:
    """Return why the operator's clock is not believed, or None if it is.

    `ahead` is how far it is ahead of the API server's; None while that is unknown. Data are not
    deleted by a clock that was set wrong.
    """
    if ahead is None:
        difference = "the API server has not told its time"
    elif abs(ahead) > MAX_DIFFERENCE:
        side = "ahead of" if ahead > timedelta() else "behind"
        minutes = round(abs(ahead) / timedelta(minutes=1))
        difference = f"the operator's clock is {minutes} min {side} the API server's"
    else:
        return None
    return Problem(
        Reason.CLOCK_DISAGREES,
        f"spec.expiresAfter is not carried out, for {difference}; set the clocks of the nodes "
        "(NTP), and it is carried out by itself",
    )


def suspended(workspace: Workspace) -> Workspace:
    """Return the workspace as if its spec suspended it."""
    spec = workspace.spec.model_copy(update={"suspended": True})
    return workspace.model_copy(update={"spec": spec})
