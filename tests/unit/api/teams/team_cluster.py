"""A cluster in memory with one team, its RoleBindings and its service accounts."""

import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import Authorizer
from aichat_workspace.api.teams.roles import CLUSTER_ROLES, TeamRoles
from aichat_workspace.api.web.limits.rate_limits import RateLimits
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain import names
from aichat_workspace.foundation.metadata import labels
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ForbiddenError,
    NotFoundError,
    TooLargeError,
)
from tests.fakes.listing import take_list
from tests.fakes.reviews import FakeReviews, Object

Key = tuple[str, str, str]
TEAM: Final = "team-a"
ANN: Final = Caller("ann", "1", ())
CREATED: Final = "2026-01-01T00:00:00Z"
RULES: Final = [
    {"apiGroups": [names.GROUP], "resources": ["aichatworkspaces/log"], "verbs": ["get"]},
    {"apiGroups": [names.GROUP], "resources": ["aichatworkspaces"], "verbs": ["get", "patch"]},
]
ROLES: Final = [
    {"metadata": {"name": name, "namespace": ""}, "rules": RULES} for name in CLUSTER_ROLES.values()
]


def namespace(name: str = TEAM, **metadata: Any) -> Object:
    marked = {names.TEAM_LABEL: "true", **metadata.pop("labels", {})}
    return {"metadata": {"name": name, "resourceVersion": "1", "labels": marked, **metadata}}


@dataclass
class TeamCluster(FakeReviews):
    """Keeps what is created; a kind that is `broken` can't be written."""

    objects: dict[Key, Object] = field(default_factory=dict)
    token_requests: list[Object] = field(default_factory=list)
    dry_runs: list[str] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    """How many objects each page of a list had."""
    broken: str = ""
    is_confined: bool = True
    """Whether the API's admission policy refuses a write for trial to the system namespace."""
    probes: int = 0
    is_too_large: bool = False
    """Whether a page of a list is larger than its reader takes."""
    created: str = CREATED
    """When everything is created."""
    _uids: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        for role in ROLES:
            self.put("ClusterRole", dict(role))

    def put(self, kind: str, obj: Object) -> None:
        metadata = obj["metadata"]
        self.objects[(kind, metadata["namespace"], metadata["name"])] = obj

    def of(self, kind: str) -> list[Object]:
        return [obj for (known, _, _), obj in self.objects.items() if known == kind]

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Any:
        try:
            return self.objects[(resource.kind, namespace or "", name)]
        except KeyError:
            raise NotFoundError(404, "NotFound", f"{name} not found") from None

    async def list_pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        page_size: int = 500,
        **_: Any,
    ) -> AsyncIterator[Any]:
        selected = dict(pair.split("=") for pair in label_selector.split(",") if pair)
        items = [
            obj
            for (kind, where, _), obj in self.objects.items()
            if (kind, where) == (resource.kind, namespace)
            and selected.items() <= labels(obj).items()
        ]
        if self.is_too_large:
            raise TooLargeError(413, "RequestEntityTooLarge", "too large")
        for start in range(0, max(len(items), 1), page_size):
            page = items[start : start + page_size]
            self.pages.append(len(page))
            rest = {"continue": "more"} if start + page_size < len(items) else {}
            yield {"metadata": rest, "items": page}

    async def create(
        self, resource: Resource, body: Object, *, field_manager: str, dry_run: bool = False
    ) -> Any:
        assert field_manager == names.API
        if resource.kind == self.broken:
            raise ApiError(500, "InternalError", "broken")
        if body["metadata"]["namespace"] == names.SYSTEM_NAMESPACE:
            self.probes += 1
            policy = f"{names.API}-people" if self.is_confined else "corp-accounts"
            message = f"ValidatingAdmissionPolicy '{policy}' denied request"
            raise ForbiddenError(403, "Forbidden", message)
        metadata = body["metadata"]
        if (resource.kind, metadata["namespace"], metadata["name"]) in self.objects:
            raise AlreadyExistsError(409, "AlreadyExists", "it is there")
        created = copy.deepcopy(body)
        created["metadata"] |= {"uid": f"uid-{next(self._uids)}", "creationTimestamp": self.created}
        if dry_run:
            self.dry_runs.append(metadata["name"])
        else:
            self.put(resource.kind, created)
        return created

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None,
        dry_run: bool = False,
        **_: Any,
    ) -> None:
        key = (resource.kind, namespace or "", name)
        assert self.objects[key]["metadata"]["uid"] == uid
        if dry_run:
            self.dry_runs.append(name)
        else:
            del self.objects[key]

    async def review(self, path: str, body: Object) -> Any:
        if body["kind"] == "TokenRequest":
            if self.broken == "TokenRequest":
                raise ApiError(500, "InternalError", "broken")
            self.token_requests.append({"path": path, **body["spec"]})
            return {"status": {"token": "a.b.c", "expirationTimestamp": "2026-01-02T00:00:00Z"}}
        return await super().review(path, body)


def team_roles(cluster: TeamCluster, *namespaces: Object) -> TeamRoles:
    """Return the roles of a cluster with these namespaces, or with the team's."""
    view = ClusterView(cluster, {})
    take_list(view._namespaces._store, namespaces or [namespace()], 1)
    return TeamRoles(cluster, view, Authorizer.create(cluster, RateLimits.create(1000, 1000)))
