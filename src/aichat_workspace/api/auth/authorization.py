"""Who may do what: Kubernetes says, by SubjectAccessReview.

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
_FRESH_SECONDS: Final = 10.0
_REFUSED_SECONDS: Final = 30.0
_MOST: Final = 100_000
_AT_ONCE: Final = 32
_AT_ONCE_EACH: Final = 8
EVERYWHERE: Final = ""


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """A verb on a workspace, on a part of it, or on all of a team's; on all teams' where `team` is
    EVERYWHERE."""

    verb: str
    team: str = EVERYWHERE
    name: str = ""
    subresource: str = ""

    @property
    def what(self) -> str:
        part = f"/{self.subresource}" if self.subresource else ""
        return f"{kinds.WORKSPACE.plural}{part}"


@dataclass(frozen=True, slots=True)
class Scope:
    """The teams whose workspaces a caller may list or watch."""

    everywhere: bool
    teams: frozenset[str] = frozenset()

    def __contains__(self, team: str) -> bool:
        return self.everywhere or team in self.teams

    def __bool__(self) -> bool:
        return self.everywhere or bool(self.teams)


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Asks the API server, and believes the answer for ten seconds. However much there is to ask
    of one caller, others need not wait until all of it is."""

    client: Client
    _answers: TtlCache[tuple[Caller, AccessRequest], bool]
    _gate: asyncio.Semaphore
    _gates: WeakValueDictionary[str, asyncio.Semaphore] = field(default_factory=WeakValueDictionary)
    """By callers that are asked about now."""

    @classmethod
    def of(cls, client: Client) -> "Authorizer":
        return cls(client, TtlCache(_FRESH_SECONDS, _MOST), asyncio.Semaphore(_AT_ONCE))

    async def allows(
        self, caller: Caller, deed: AccessRequest, seconds: float = _FRESH_SECONDS
    ) -> bool:
        """By an answer that is no older. Raises ApiError or UnreachableError when nobody says."""
        return await self._answers.get((caller, deed), lambda: self._review(caller, deed), seconds)

    async def allows_each(
        self,
        caller: Caller,
        deeds: Sequence[AccessRequest],
        refused_seconds: float = _FRESH_SECONDS,
    ) -> list[bool]:
        """Of each deed, in their order. What is not known is asked for at the same time; an answer
        no may be older than an answer yes."""

        def seconds(deed: AccessRequest) -> float:
            refused = self._answers.last((caller, deed)) is False
            return refused_seconds if refused else _FRESH_SECONDS

        unknown = [each for each in deeds if not self._answers.has((caller, each), seconds(each))]
        await asyncio.gather(*(self.allows(caller, each) for each in unknown))
        return [await self.allows(caller, each, seconds(each)) for each in deeds]

    async def require(self, caller: Caller, deed: AccessRequest, name: str) -> None:
        """Raises ProblemError: 403 for whoever may see the workspace, 404 for others."""
        if await self.allows(caller, deed):
            return
        if deed.name and not await self.allows(caller, AccessRequest("get", deed.team, deed.name)):
            raise problems.not_found(name)
        raise problems.forbidden(caller.username, deed.verb, deed.what, deed.team)

    async def scope(self, caller: Caller, verb: str, teams: Callable[[], Iterable[str]]) -> Scope:
        """Of these teams, those in which the caller may use the verb on all workspaces. They are
        looked up only for whoever may not use it everywhere. Most people are of few teams among
        many, so that almost all answers are no: those hold longer here, and a new role shows within
        half a minute."""
        if await self.allows(caller, AccessRequest(verb)):
            return Scope(everywhere=True)
        asked = sorted(set(teams()))
        deeds = [AccessRequest(verb, each) for each in asked]
        answers = await self.allows_each(caller, deeds, _REFUSED_SECONDS)
        return Scope(
            False, frozenset(team for team, yes in zip(asked, answers, strict=True) if yes)
        )

    async def _review(self, caller: Caller, deed: AccessRequest) -> bool:
        attributes = {
            "group": names.GROUP,
            "version": names.VERSION,
            "resource": kinds.WORKSPACE.plural,
            "verb": deed.verb,
            "namespace": deed.team,
            "name": deed.name,
            "subresource": deed.subresource,
        }
        body: dict[str, Any] = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": caller.username,
                "uid": caller.uid,
                "groups": list(caller.groups),
                "extra": {key: list(each) for key, each in caller.extra},
                "resourceAttributes": {key: each for key, each in attributes.items() if each},
            },
        }
        own = self._gates.get(caller.username) or asyncio.Semaphore(_AT_ONCE_EACH)
        self._gates[caller.username] = own
        async with own, self._gate:
            told = (await self.client.review(_PATH, body)).get("status") or {}
        return bool(told.get("allowed")) and not told.get("denied")
