"""Wait until the cluster view has what was written, so that the next request finds it."""

import asyncio
from contextlib import suppress

from aichat_workspace.api.workspaces.cluster_view import CATCH_UP_SECONDS, ClusterView
from aichat_workspace.api.workspaces.views import View, view
from aichat_workspace.kube.objects import Json


async def await_visible(cluster: ClusterView, written: Json) -> View:
    """Return the workspace once the cluster view has the write, or after some seconds."""
    view_of_written = view(written)
    try:
        async with asyncio.timeout(CATCH_UP_SECONDS):
            await cluster.workspaces.wait_for_version(view_of_written.version)
    except TimeoutError:
        return view_of_written
    return cluster.get(*view_of_written.key) or view_of_written


async def await_deleted(cluster: ClusterView, deleted: View) -> None:
    """Wait until the cluster view does not have the workspace any more, for some seconds."""
    changes, uid = cluster.changes, deleted.document["uid"]
    with suppress(TimeoutError):
        async with asyncio.timeout(CATCH_UP_SECONDS):
            while workspace := cluster.get(*deleted.key):
                if workspace.document["uid"] != uid:
                    return
                await changes.wait_for_change(changes.end)
