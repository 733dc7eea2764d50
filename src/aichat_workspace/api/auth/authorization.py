"""Authorize callers: what they may do, by answers that are ten seconds old at most."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from aichat_workspace.api.auth.access_reviews import (
    EVERYWHERE,
    REVIEWERS,
    AccessRequest,
    AccessReviews,
)
from aichat_workspace.api.auth.authentication import Caller, Identity
from aichat_workspace.api.auth.team_answers import TeamAnswersCache
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web.limits.rate_limits import RateLimits
from aichat_workspace.api.web.responses import problems
from aichat_workspace.kube.client import Client

__all__ = ["EVERYWHERE", "AccessRequest", "Authorizer", "Scope"]

_ANSWER_TTL_SECONDS: Final = 10.0
_MAX_ANSWERS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Scope:
    """The teams whose workspaces a caller may list or watch."""

    everywhere: bool
    """All teams."""
    teams: frozenset[str] = frozenset()
    """The teams, unless it is all."""

    def __contains__(self, team: str) -> bool:
        return self.everywhere or team in self.teams

    def __bool__(self) -> bool:
        return self.everywhere or bool(self.teams)


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Review access, and keep each answer for ten seconds.

    A question is asked while a caller waits for its answer, and dropped when they all have gone.
    """

    reviews: AccessReviews
    _answers: TtlCache[tuple[Identity, AccessRequest], bool]
    _team_answers: TeamAnswersCache[tuple[Identity, str]]

    @classmethod
    def create(cls, client: Client, review_limits: RateLimits) -> Self:
        """Create one without any answers."""
        return cls(
            AccessReviews(client, review_limits),
            TtlCache(_ANSWER_TTL_SECONDS, _MAX_ANSWERS),
            TeamAnswersCache(REVIEWERS),
        )

    async def allows(self, caller: Caller, request: AccessRequest) -> bool:
        """Return whether the caller may do it.

        Raises ProblemError (429) when the caller has asked too much, and ApiError or
        UnreachableError without an answer.
        """
        return await self._answers.get(
            (caller.identity, request), lambda: self.reviews.review(caller, request)
        )

    async def allows_each(self, caller: Caller, requests: Sequence[AccessRequest]) -> list[bool]:
        """Return the answer to each request, in their order, asking one after the other.

        Raises what `allows` raises.
        """
        return [await self.allows(caller, request) for request in requests]

    async def require(self, caller: Caller, request: AccessRequest, name: str = "") -> None:
        """Raise ProblemError unless allowed: 403 if the caller may see the workspace, else 404.

        What is about no single workspace is refused with 403.
        """
        if await self.allows(caller, request):
            return
        if request.name and not await self.allows(
            caller, replace(request, verb="get", subresource="")
        ):
            raise problems.not_found(name)
        raise problems.forbidden(caller.username, request.verb, request.what, request.team)

    async def scope(self, caller: Caller, verb: str, teams: Callable[[], Iterable[str]]) -> Scope:
        """Return the teams in which the caller may use the verb on all workspaces.

        `teams` is called only for a caller who may not use it everywhere. A refusal is kept for
        half a minute here. Raises what `allows` raises; what was answered until then is not asked
        again.
        """
        if await self.allows(caller, AccessRequest(verb)):
            return Scope(everywhere=True)
        allowed = await self._team_answers.allowed(
            (caller.identity, verb),
            teams(),
            lambda team: self.reviews.review(
                caller, AccessRequest(verb, team), is_one_of_many=True
            ),
        )
        return Scope(everywhere=False, teams=allowed)
