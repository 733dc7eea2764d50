"""The roles that teams get, and who may give them.

A user who gives a role by RBAC needs to have all that it allows, or the verb `bind` for it. The API
writes with its own account, so it asks Kubernetes the same for the caller.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#restrictions-on-role-binding-creation-or-update
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

import structlog

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest, Authorizer
from aichat_workspace.api.schemas.teams import Role
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.foundation.metadata import annotations, labels
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.confinement import Probe, is_confined
from aichat_workspace.kube.errors import NotFoundError, TooLargeError, UnreachableError
from aichat_workspace.kube.objects import Json

CLUSTER_ROLES: Final = {role: f"aichatworkspace-{role.value}" for role in Role}
"""The ClusterRole of each role; the admission policy keeps the API from all others."""
# Kubernetes' own roles include ours, as config/rbac/user_roles.yaml says.
_ROLES: Final = {name: role for role, name in CLUSTER_ROLES.items()} | {
    "view": Role.VIEWER,
    "edit": Role.EDITOR,
    "admin": Role.ADMIN,
    "cluster-admin": Role.ADMIN,
}
_MAX_PERMISSIONS: Final = 64
_CONFINED_SECONDS: Final = 30.0
# The API makes accounts in teams' namespaces only, and the system namespace is none.
_PROBE: Final = Probe(
    kinds.SERVICE_ACCOUNT,
    f"{names.API}-probe",
    names.SYSTEM_NAMESPACE,
    policy=f"{names.API}-people",
)
_log: Final = structlog.get_logger()
# Who may write in a team's namespace may fill each object up to its limit of 1.5 MB.
_PAGE_SIZE: Final = 20
_MAX_PAGE_BYTES: Final = 256 * 1024
_MAX_PAGES: Final = 50


@dataclass(frozen=True, slots=True)
class TeamRoles:
    """Asks Kubernetes what a caller may do about a team's roles. Each method raises ProblemError
    for a refusal, and what `Authorizer.allows` raises."""

    client: Client
    cluster: ClusterView
    authorizer: Authorizer
    is_own_account: bool = True
    """Whether the API writes with its own account, and not with a developer's."""
    _confined: TtlCache[str, bool] = field(default_factory=lambda: TtlCache(_CONFINED_SECONDS, 1))

    async def require_confined(self) -> None:
        """Raise ProblemError (503) unless the admission policy confines the API's account.

        Its role alone would let it give anyone a role, and request any account's token.
        """
        if self.is_own_account and not await self._confined.get("", self._is_confined):
            raise ProblemError(
                503,
                "not-confined",
                "No admission policy keeps the API to members and tokens of teams, so it writes "
                "none. The platform team should apply config/admission again.",
            )

    async def _is_confined(self) -> bool:
        answer = await is_confined(self.client, _PROBE, field_manager=names.API)
        if answer is None:
            raise UnreachableError("whether an admission policy confines the API was not answered")
        if not answer:
            _log.error("not confined: no member or token is written", fix="apply config/admission")
        return answer

    async def require(
        self, caller: Caller, verb: str, resource: Resource, team: str, subresource: str = ""
    ) -> None:
        """Raise ProblemError (403) unless the caller may use the verb on all such objects."""
        request = AccessRequest(verb, team, subresource=subresource, resource=resource)
        await self.authorizer.require(caller, request)

    async def may(self, caller: Caller, verb: str, resource: Resource, team: str) -> bool:
        """Return whether the caller may use the verb on all such objects."""
        return await self.authorizer.allows(caller, AccessRequest(verb, team, resource=resource))

    async def pages(self, resource: Resource, team: str) -> AsyncIterator[list[Json]]:
        """Yield the team's objects of a kind, a few at a time.

        Raises TooLargeError after the first thousand, and where they are too large to be read: the
        objects before are the ones that are known.
        """
        number = 0
        async for page in self.client.list_pages(
            resource, team, page_size=_PAGE_SIZE, max_page_bytes=_MAX_PAGE_BYTES
        ):
            number += 1
            yield page["items"]
            if number >= _MAX_PAGES and page["metadata"].get("continue"):
                raise TooLargeError(413, "RequestEntityTooLarge", "there are too many objects")

    async def require_giving(self, caller: Caller, role: Role, team: str) -> None:
        """Raise ProblemError (403) unless the caller may give the role in the team."""
        name = CLUSTER_ROLES[role]
        bind = AccessRequest("bind", team, name, resource=kinds.CLUSTER_ROLE)
        if await self.authorizer.allows(caller, bind):
            return
        permissions = list(role_permissions(await self._rules(name), team))
        if len(permissions) > _MAX_PERMISSIONS:
            raise _not_given(caller, role, team, f"bind {name}")
        for permission in permissions:
            if not await self.authorizer.allows(caller, permission):
                raise _not_given(caller, role, team, f"{permission.verb} {permission.what}")

    async def _rules(self, name: str) -> list[Json]:
        try:
            return (await self.client.get(kinds.CLUSTER_ROLE, name)).get("rules") or []
        except NotFoundError:
            raise ProblemError(
                500,
                "misconfigured",
                f"The ClusterRole {name} is missing. The platform team should apply "
                "config/default again.",
            ) from None

    def require_team(self, team: str) -> None:
        """Raise ProblemError (404) unless the API may write members there."""
        namespace = self.cluster.namespace(team)
        if namespace is None or not _is_team(namespace):
            raise ProblemError(
                404,
                "team-not-found",
                f"{team!r} is no team's namespace, which the platform team labels "
                f"{names.TEAM_LABEL}=true. GET /api/v1/me lists yours; in {names.SYSTEM_NAMESPACE} "
                "the platform team gives roles with kubectl.",
            )


def role_of(role_ref: Mapping[str, Any]) -> Role | None:
    """Return the role that a binding gives; None for one of others that need not be about
    workspaces."""
    return _ROLES.get(role_ref["name"]) if role_ref["kind"] == kinds.CLUSTER_ROLE.kind else None


def role_permissions(rules: Iterable[Mapping[str, Any]], team: str) -> Iterator[AccessRequest]:
    """Yield everything that rules allow in a team. A wildcard is asked for as such, so only a
    caller who has the wildcard has it."""
    for rule in rules:
        for group, resource, verb, name in product(
            rule.get("apiGroups") or (),
            rule.get("resources") or (),
            rule["verbs"],
            rule.get("resourceNames") or ("",),
        ):
            plural, _, subresource = resource.partition("/")
            kind = Resource(group, "*", "", plural)
            yield AccessRequest(verb, team, name, subresource, kind)


def own_labels(component: str) -> dict[str, str]:
    """Return the labels of what the API writes; the admission policy keeps it from all else."""
    return {names.MANAGED_BY_LABEL: names.API, names.COMPONENT_LABEL: component}


def is_own(obj: Json, component: str) -> bool:
    """Return whether the API has written it."""
    return own_labels(component).items() <= labels(obj).items()


def binding_manifest(
    metadata: Mapping[str, Any], role: Role, subject: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a RoleBinding of the role to one subject."""
    return {
        "apiVersion": kinds.ROLE_BINDING.api_version,
        "kind": kinds.ROLE_BINDING.kind,
        "metadata": dict(metadata),
        "roleRef": {
            "apiGroup": kinds.CLUSTER_ROLE.group,
            "kind": kinds.CLUSTER_ROLE.kind,
            "name": CLUSTER_ROLES[role],
        },
        "subjects": [dict(subject)],
    }


def _is_team(namespace: Json) -> bool:
    """The rule of config/admission/confine_api.yaml: neither the platform's nor a workspace's."""
    name = namespace["metadata"]["name"]
    return (
        labels(namespace).get(names.TEAM_LABEL) == "true"
        and name != names.SYSTEM_NAMESPACE
        and not name.startswith(names.RESERVED_PREFIXES)
        and names.OWNER_UID_ANNOTATION not in annotations(namespace)
    )


def _not_given(caller: Caller, role: Role, team: str, lacks: str) -> ProblemError:
    return ProblemError(
        403,
        "forbidden",
        f"{caller.username} may not give the role {role.value} in team {team!r}: that needs the "
        f"right to {lacks} there. Ask an administrator of that namespace.",
    )
