"""Service to find and list workspaces.

Every method first asks Kubernetes whether the caller may, and raises ProblemError for a refusal.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest, Authorizer
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.workspaces import pages
from aichat_workspace.api.workspaces.cluster_view import FIRST, ClusterView
from aichat_workspace.api.workspaces.pages import BY_NAME, Filter, Page, Sort
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds

_WORKSPACE: Final = kinds.WORKSPACE


@dataclass(frozen=True, slots=True)
class WorkspaceReader:
    """Reads from the cluster view."""

    cluster: ClusterView
    authorizer: Authorizer

    async def find(
        self, caller: Caller, verb: str, name: str, team: str | None = None, subresource: str = ""
    ) -> View:
        """Return the workspace if the caller may use the verb on it, or on the part of it."""
        audit_log.note(workspace=name, team=team)
        workspace = await self._resolve(caller, name, team)
        location = workspace.key if workspace else (team or names.SYSTEM_NAMESPACE, name)
        request = AccessRequest(verb, *location, subresource, address=(team, name))
        if workspace is None:
            await self._review_missing(caller, request)
            raise problems.not_found(name)
        audit_log.note(team=workspace.team)
        await self.authorizer.require(caller, request, name)
        return workspace

    async def _resolve(self, caller: Caller, name: str, team: str | None) -> View | None:
        """Return the first claimant of a name, in the team if that is given; None without one.

        The caller's own come before those that they may not see, so that lists and addresses agree.
        """
        claimants = self.cluster.claimants(name, team)
        for claimant in claimants if len(claimants) > 1 else ():
            request = AccessRequest("get", claimant.team, claimant.resource)
            if await self.authorizer.allows(caller, request):
                return claimant
        return claimants[0] if claimants else None

    async def _review_missing(self, caller: Caller, request: AccessRequest) -> None:
        """Make as many reviews as for a hidden workspace: the time must not reveal which it is."""
        await self.authorizer.allows(caller, request)
        await self.authorizer.allows(caller, replace(request, verb="get", subresource=""))

    async def page(
        self,
        caller: Caller,
        query: Filter,
        page: str | None,
        limit: int,
        *,
        sort: Sort = BY_NAME,
        count: bool = False,
    ) -> Page:
        """Return a page of workspaces that the caller may see.

        `count`, and any order but that of names, look at all of them.
        """
        audit_log.note(team=query.team)
        take = self._pager(page, limit, sort)
        scope = await self.authorizer.scope(
            caller,
            "list",
            lambda: {query.team} if query.team else self.cluster.teams_with_workspaces(),
        )
        if query.team and query.team not in scope:
            raise problems.forbidden(caller.username, "list", _WORKSPACE.plural, query.team)

        def matches(workspace: View) -> bool:
            return workspace.team in scope and query.matches(workspace)

        page_of_views = take(matches)
        if not count:
            return page_of_views
        return replace(page_of_views, total=sum(map(matches, self.cluster.sorted_from(FIRST))))

    def _pager(
        self, page: str | None, limit: int, sort: Sort
    ) -> Callable[[Callable[[View], bool]], Page]:
        """Return what takes the page of a list. Raises ProblemError (422) for a wrong page."""
        if sort == BY_NAME:
            after = pages.parse_page(page)
            return lambda matches: pages.take_page(self.cluster.sorted_from(after), matches, limit)
        position = pages.parse_sorted_page(page, sort)
        return lambda matches: pages.take_sorted_page(
            self.cluster.sorted_from(FIRST), matches, limit, sort, position
        )

    async def require_team(self, caller: Caller, team: str) -> None:
        """Raise ProblemError unless the caller may list the team's workspaces (403), and then
        unless there is such a team (404)."""
        audit_log.note(team=team)
        if team not in await self.authorizer.scope(caller, "list", lambda: {team}):
            raise problems.forbidden(caller.username, "list", _WORKSPACE.plural, team)
        if team not in self.cluster.all_teams():
            raise problems.no_such_team(team)

    async def require_every_team(self, caller: Caller) -> None:
        """Raise ProblemError (403) unless the caller may list the workspaces of every team."""
        if not await self.authorizer.allows(caller, AccessRequest("list")):
            raise problems.not_every_team(caller.username)
