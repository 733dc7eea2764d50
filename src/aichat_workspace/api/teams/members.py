"""Service to list, invite and remove the members of a team: RoleBindings of its namespace.

Every method first asks Kubernetes whether the caller may, and raises ProblemError for a refusal.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.schemas.teams import Role, SubjectKind
from aichat_workspace.api.teams.roles import (
    CLUSTER_ROLES,
    TeamRoles,
    binding_manifest,
    is_own,
    own_labels,
    role_of,
)
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.foundation.metadata import annotations
from aichat_workspace.kube.errors import AlreadyExistsError, NotFoundError, TooLargeError
from aichat_workspace.kube.objects import Json, uid

PREFIX: Final = "aichat-member-"
COMPONENT: Final = "member"
_BINDINGS: Final = kinds.ROLE_BINDING
_MAX_MEMBERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Subject:
    """Who may be a member."""

    kind: SubjectKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"

    def reference(self, team: str) -> dict[str, str]:
        """Return it as a RoleBinding names it; a service account is the team's own."""
        if self.kind is SubjectKind.SERVICE_ACCOUNT:
            return {"kind": self.kind.value, "name": self.name, "namespace": team}
        group = {"apiGroup": kinds.CLUSTER_ROLE.group}
        return {**group, "kind": self.kind.value, "name": self.name}


@dataclass(frozen=True, slots=True)
class Members:
    """Reads and writes RoleBindings. One that the API writes is for one subject and one role, and
    is named by them."""

    roles: TeamRoles

    async def read(self, caller: Caller, team: str) -> dict[str, Any]:
        """Return a schemas.teams.MemberList."""
        audit_log.note(team=team)
        await self.roles.require(caller, "list", _BINDINGS, team)
        members: list[dict[str, Any]] = []
        is_complete = True
        try:
            async for bindings in self.roles.pages(_BINDINGS, team):
                members += [member for binding in bindings for member in _members(binding)]
                if len(members) > _MAX_MEMBERS:
                    is_complete = False
                    break
        except TooLargeError:
            is_complete = False
        return {"items": sorted(members[:_MAX_MEMBERS], key=_order), "complete": is_complete}

    async def invite(
        self, caller: Caller, team: str, subject: Subject, role: Role, *, dry_run: bool
    ) -> tuple[dict[str, Any], bool]:
        """Give the subject this role and no other one, of those that are given here.

        Returns a schemas.teams.Member, and whether it is new. The same request may be repeated.
        The new role comes before the old one goes, so the member is never without.
        """
        audit_log.note(team=team, member=str(subject), role=role.value, dry_run=dry_run)
        await self.roles.require(caller, "create", _BINDINGS, team)
        await self.roles.require_giving(caller, role, team)
        self.roles.require_team(team)
        await self.roles.require_confined()
        present = await self.present(team, subject)
        others = [binding for other, binding in present.items() if other is not role]
        if others:
            await self.roles.require(caller, "delete", _BINDINGS, team)
        binding = present.get(role) or await self._create(
            caller, team, subject, role, dry_run=dry_run
        )
        for other in others:
            await self._delete(other, dry_run=dry_run)
        return next(_members(binding)), not present

    async def remove(
        self, caller: Caller, team: str, subject: Subject, *, dry_run: bool
    ) -> dict[str, Any]:
        """Take the subject's role, and return it as a schemas.teams.Member."""
        audit_log.note(team=team, member=str(subject), dry_run=dry_run)
        await self.roles.require(caller, "delete", _BINDINGS, team)
        present = await self.present(team, subject)
        if not present:
            raise ProblemError(
                404,
                "member-not-found",
                f"{subject} was not invited into team {team!r} here. GET "
                f"/api/v1/teams/{team}/members lists its members; RoleBindings of others are "
                "deleted with kubectl.",
            )
        for binding in present.values():
            await self._delete(binding, dry_run=dry_run)
        return next(_members(present[max(present, key=list(Role).index)]))

    async def present(self, team: str, subject: Subject) -> dict[Role, Json]:
        """Return the bindings of the subject that the API has written."""
        present: dict[Role, Json] = {}
        for role in Role:
            try:
                binding = await self.roles.client.get(_BINDINGS, binding_name(subject, role), team)
            except NotFoundError:
                continue
            if not _is_of(binding, team, subject, role):
                name = binding["metadata"]["name"]
                raise ProblemError(
                    409,
                    "conflict",
                    f"The RoleBinding {name} is not as the API makes it. Delete it: kubectl delete "
                    f"rolebinding {name} -n {team}",
                )
            present[role] = binding
        return present

    async def _create(
        self, caller: Caller, team: str, subject: Subject, role: Role, *, dry_run: bool
    ) -> Json:
        name = binding_name(subject, role)
        metadata = {
            "name": name,
            "namespace": team,
            "labels": own_labels(COMPONENT),
            "annotations": {names.REQUESTED_BY_ANNOTATION: caller.username},
        }
        body = binding_manifest(metadata, role, subject.reference(team))
        try:
            with audit_log.note_unknown_outcome(dry_run=dry_run):
                return await self.roles.client.create(
                    _BINDINGS, body, field_manager=names.API, dry_run=dry_run
                )
        except AlreadyExistsError:  # the same request came twice at once
            return await self.roles.client.get(_BINDINGS, name, team)

    async def _delete(self, binding: Json, *, dry_run: bool) -> None:
        metadata = binding["metadata"]
        with audit_log.note_unknown_outcome(dry_run=dry_run):
            await self.roles.client.delete(
                _BINDINGS,
                metadata["name"],
                metadata["namespace"],
                uid=uid(binding),
                dry_run=dry_run,
            )


def binding_name(subject: Subject, role: Role) -> str:
    """Return the name of the RoleBinding: no two subjects share one, however they are spelled."""
    text = json.dumps([subject.kind.value, subject.name])
    return f"{PREFIX}{role.value}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _is_of(binding: Json, team: str, subject: Subject, role: Role) -> bool:
    return (
        is_own(binding, COMPONENT)
        and binding["roleRef"]["name"] == CLUSTER_ROLES[role]
        and binding.get("subjects") == [subject.reference(team)]
    )


def _members(binding: Json) -> Iterator[dict[str, Any]]:
    """Yield a schemas.teams.Member for each subject of a RoleBinding to a known role."""
    role = role_of(binding["roleRef"])
    if role is None:
        return
    metadata = binding["metadata"]
    for subject in binding.get("subjects") or ():
        yield {
            "kind": subject["kind"],
            "name": subject["name"],
            "namespace": subject.get("namespace") or None,
            "role": role.value,
            "roleBinding": metadata["name"],
            "invited": _is_invitation(binding, subject, role),
            "invitedBy": annotations(binding).get(names.REQUESTED_BY_ANNOTATION),
            "since": metadata["creationTimestamp"],
        }


def _is_invitation(binding: Json, subject: Json, role: Role) -> bool:
    """Return whether the API has written it: labels alone are anyone's to write there."""
    team, kind = binding["metadata"]["namespace"], subject["kind"]
    if kind not in set(SubjectKind):
        return False
    invited = Subject(SubjectKind(kind), subject["name"])
    # Most bindings are others': only one that may be ours is worth a digest for each subject.
    is_ours = _is_of(binding, team, invited, role)
    return is_ours and binding["metadata"]["name"] == binding_name(invited, role)


def _order(member: dict[str, Any]) -> tuple[str, ...]:
    return (member["kind"], member["name"], member["namespace"] or "", member["roleBinding"])
