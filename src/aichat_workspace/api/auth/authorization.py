"""Authorize callers by SubjectAccessReview.

https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakValueDictionary

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web import problems
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.kube.client import Client

_PATH: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_ANSWER_TTL_SECONDS: Final = 10.0
_REFUSAL_TTL_SECONDS: Final = 30.0
_MAX_ANSWERS: Final = 100_000
_CONCURRENT_REVIEWS: Final = 32
_CONCURRENT_REVIEWS_PER_CALLER: Final = 8
EVERYWHERE: Final = ""


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What a caller wants to do."""

    verb: str
    """The verb, as in a Role."""
    team: str = EVERYWHERE
    """The workspace's team, or EVERYWHERE for all teams."""
    name: str = ""
    """The workspace's resource; empty for all of the team."""
    subresource: str = ""
    """A part of the workspace, as `log`; empty for the whole."""

    @property
    def what(self) -> str:
        """The resource and subresource, as in a Role."""
        part = f"/{self.subresource}" if self.subresource else ""
        return f"{kinds.WORKSPACE.plural}{part}"


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

    The reviews of one caller are limited, so a caller with many does not hold up others.
    """

    client: Client
    _answers: TtlCache[tuple[Caller, AccessRequest], bool]
    _semaphore: asyncio.Semaphore
    _caller_semaphores: WeakValueDictionary[str, asyncio.Semaphore] = field(
        default_factory=WeakValueDictionary
    )
    """For each caller with reviews under way."""

    @classmethod
    def create(cls, client: Client) -> "Authorizer":
        """Create one without any answers."""
        return cls(
            client,
            TtlCache(_ANSWER_TTL_SECONDS, _MAX_ANSWERS),
            asyncio.Semaphore(_CONCURRENT_REVIEWS),
        )

    async def allows(
        self, caller: Caller, request: AccessRequest, max_age_seconds: float = _ANSWER_TTL_SECONDS
    ) -> bool:
        """Return whether the caller may do it, by an answer no older than `max_age_seconds`.

        Raises ApiError or UnreachableError without an answer.
        """
        return await self._answers.get(
            (caller, request), lambda: self._review(caller, request), max_age_seconds
        )

    async def allows_each(
        self,
        caller: Caller,
        requests: Sequence[AccessRequest],
        refusal_max_age_seconds: float = _ANSWER_TTL_SECONDS,
    ) -> list[bool]:
        """Return the answer to each request, in their order.

        Unknown answers are reviewed at the same time. A refusal may be older than a permission.
        """

        def max_age(request: AccessRequest) -> float:
            is_refused = self._answers.last((caller, request)) is False
            return refusal_max_age_seconds if is_refused else _ANSWER_TTL_SECONDS

        unknown = [
            request
            for request in requests
            if not self._answers.has((caller, request), max_age(request))
        ]
        await asyncio.gather(*(self.allows(caller, request) for request in unknown))
        return [await self.allows(caller, request, max_age(request)) for request in requests]

    async def require(self, caller: Caller, request: AccessRequest, name: str) -> None:
        """Raise ProblemError unless allowed: 403 if the caller may see the workspace, else 404."""
        if await self.allows(caller, request):
            return
        if request.name and not await self.allows(
            caller, AccessRequest("get", request.team, request.name)
        ):
            raise problems.not_found(name)
        raise problems.forbidden(caller.username, request.verb, request.what, request.team)

    async def scope(self, caller: Caller, verb: str, teams: Callable[[], Iterable[str]]) -> Scope:
        """Return the teams in which the caller may use the verb on all workspaces.

        `teams` is called only for a caller who may not use it everywhere. Most people are in few of
        many teams, so most answers are refusals: they are kept longer here, and a new role shows
        within half a minute.
        """
        if await self.allows(caller, AccessRequest(verb)):
            return Scope(everywhere=True)
        candidates = sorted(set(teams()))
        requests = [AccessRequest(verb, team) for team in candidates]
        answers = await self.allows_each(caller, requests, _REFUSAL_TTL_SECONDS)
        allowed = (team for team, yes in zip(candidates, answers, strict=True) if yes)
        return Scope(everywhere=False, teams=frozenset(allowed))

    async def _review(self, caller: Caller, request: AccessRequest) -> bool:
        attributes = {
            "group": names.GROUP,
            "version": names.VERSION,
            "resource": kinds.WORKSPACE.plural,
            "verb": request.verb,
            "namespace": request.team,
            "name": request.name,
            "subresource": request.subresource,
        }
        body: dict[str, Any] = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": caller.username,
                "uid": caller.uid,
                "groups": list(caller.groups),
                "extra": {key: list(values) for key, values in caller.extra},
                "resourceAttributes": {key: value for key, value in attributes.items() if value},
            },
        }
        semaphore = self._caller_semaphores.get(caller.username) or asyncio.Semaphore(
            _CONCURRENT_REVIEWS_PER_CALLER
        )
        self._caller_semaphores[caller.username] = semaphore
        async with semaphore, self._semaphore:
            status = (await self.client.review(_PATH, body)).get("status") or {}
        return bool(status.get("allowed")) and not status.get("denied")
