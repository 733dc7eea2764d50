"""Where a team's backups may go."""

from collections.abc import Sequence

from aichat_workspace.console.api_client import ApiProblemError
from aichat_workspace.console.views.states import Document
from aichat_workspace.console.visits import Visit


async def destinations_of(visit: Visit, team: str) -> Sequence[Document]:
    """Return where backups may go; nothing for who may read a workspace and not list the team's."""
    try:
        document = await visit.api.get("/api/v1/options", {"team": team})
    except ApiProblemError as error:
        if error.problem.status not in (403, 404):
            raise
        return ()
    destinations: Sequence[Document] = document["backupDestinations"]
    return destinations
