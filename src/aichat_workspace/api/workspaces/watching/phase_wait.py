"""Wait until a workspace is in a phase."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain.v1alpha1.workspace_status import Phase

_CHECK_SECONDS: Final = 5.0


async def wait_for_phase(
    cluster: ClusterView, find: Callable[[], Awaitable[View]], phase: Phase, seconds: float
) -> View:
    """Return the workspace once its present spec has brought it into the phase.

    `find` returns the workspace, or raises ProblemError once the caller may not see it or it is
    gone; it is called at each change and every few seconds. Raises ProblemError (504) after
    `seconds`; a repeated request waits on.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while True:
        view = await find()
        if _is_in(view, phase):
            return view
        if clock() >= deadline:
            earlier = " by an earlier spec" if view.phase == phase else ""
            raise ProblemError(
                504,
                "takes-too-long",
                f"Workspace {view.name!r} is {view.phase}{earlier} after {seconds:g} seconds, not "
                f"{phase}. Ask again to wait on; GET /api/v1/workspaces/{view.name}/diagnosis says "
                "why.",
            )
        await _await_change(cluster, view, min(deadline, clock() + _CHECK_SECONDS))


def _is_in(view: View, phase: Phase) -> bool:
    """Return whether the phase is this one, and no earlier spec's. A new workspace is Pending."""
    observed = view.document["status"].get("observedGeneration")
    is_observed = phase == Phase.PENDING or observed == view.document["generation"]
    return view.phase == phase and is_observed


async def _await_change(cluster: ClusterView, view: View, deadline: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            while cluster.get(*view.key) is view:
                await cluster.changes.wait_for_change(cluster.changes.end)
