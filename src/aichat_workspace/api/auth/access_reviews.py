"""Ask Kubernetes what callers may do, by SubjectAccessReview.

https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakValueDictionary

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.web.limits.rate_limits import RateLimits
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client

REVIEWERS: Final = 8
"""Reviews of one caller at the same time."""
_PATH: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_CONCURRENT_REVIEWS: Final = 16
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
    resource: Resource = kinds.WORKSPACE
    """The kind, where it is not about workspaces."""
    address: tuple[str | None, str] | None = None
    """The team and the name that the caller wrote; None for all of a team.

    Kubernetes does not get it. Answers are kept apart by it, or else the number of reviews would
    tell whether a hidden workspace exists.
    """

    @property
    def what(self) -> str:
        """The resource and subresource, as in a Role."""
        part = f"/{self.subresource}" if self.subresource else ""
        return f"{self.resource.plural}{part}"


@dataclass(frozen=True, slots=True)
class AccessReviews:
    """Makes reviews: few at the same time for a caller, and few of all, at a limited rate.

    A caller with many does not hold up others, and many callers with one for each team do not hold
    up those with a single one. The limits are the account's, whichever of its tokens it uses.
    """

    client: Client
    limits: RateLimits
    """Reviews per caller."""
    _single: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_CONCURRENT_REVIEWS)
    )
    _one_of_many: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_CONCURRENT_REVIEWS)
    )
    _caller_semaphores: WeakValueDictionary[str, asyncio.Semaphore] = field(
        default_factory=WeakValueDictionary
    )
    """For each caller with reviews under way."""

    async def review(
        self, caller: Caller, request: AccessRequest, *, is_one_of_many: bool = False
    ) -> bool:
        """Return whether the caller may do it, as Kubernetes says now.

        `is_one_of_many` is for a question that is asked for each team, which may wait for longer.
        Raises ProblemError (429) when the caller's reviews are used up; waiting helps. Raises
        ApiError or UnreachableError without an answer.
        """
        self.limits.take(caller.username)
        semaphore = self._caller_semaphores.get(caller.username) or asyncio.Semaphore(REVIEWERS)
        self._caller_semaphores[caller.username] = semaphore
        async with semaphore, self._one_of_many if is_one_of_many else self._single:
            answer = await self.client.review(_PATH, _document(caller, request))
        status = answer.get("status") or {}
        return bool(status.get("allowed")) and not status.get("denied")


def _document(caller: Caller, request: AccessRequest) -> dict[str, Any]:
    attributes = {
        "group": request.resource.group,
        "version": request.resource.version,
        "resource": request.resource.plural,
        "verb": request.verb,
        "namespace": request.team,
        "name": request.name,
        "subresource": request.subresource,
    }
    return {
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
