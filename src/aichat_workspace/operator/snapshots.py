"""Gathers what a decision reads. Nothing here starts, stops or writes anything."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from pydantic import ValidationError

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.snapshot import NewSecrets, Snapshot
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.planning.rollout import GRANTED
from aichat_workspace.domain.policy import effective_spec
from aichat_workspace.domain.policy.ownership import choose_claimant
from aichat_workspace.domain.policy.secret_references import references
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace, format_refusal
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.rollouts import Rollouts

_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Takes snapshots from the caches."""

    caches: Caches
    rollouts: Rollouts
    builtin_prompts: Mapping[str, str]
    new_secrets: Callable[[], NewSecrets]

    def take(self, name: str) -> Snapshot:
        """Everything known of the resources that name a workspace, and of its tenant."""
        platform = self.caches.settings()
        observed = self.caches.tenant(name)
        claimants = _parse_all(self.caches.workspaces.by_index(name))
        holder = choose_claimant(claimants, observed.namespace) if claimants else None
        return Snapshot(
            claimants=claimants,
            platform=platform,
            new_secrets=self.new_secrets(),
            observed=observed,
            secrets=self._secrets(claimants),
            rivals=self._rivals(holder, platform) if holder else (),
            prompts={**self.builtin_prompts, **self.caches.prompts()},
            rollout_slot=self.rollouts.slot(holder) if holder else GRANTED,
            ingress_classes=tuple(self.caches.ingress_classes.all()),
        )

    def observed(self, name: str) -> Observed:
        """The tenant as it is by now."""
        return self.caches.tenant(name)

    def _secrets(self, claimants: Iterable[Workspace]) -> dict[str, Manifest]:
        secret_names = {
            name
            for workspace in claimants
            for name in (
                names.credentials(workspace.spec.workspace_name),
                *(reference.secret for reference in references(workspace)),
            )
        }
        return {
            name: secret
            for name in secret_names
            if (secret := self.caches.secrets.get(names.SYSTEM_NAMESPACE, name)) is not None
        }

    def _rivals(self, workspace: Workspace, platform: PlatformSpec) -> tuple[Workspace, ...]:
        """The other workspaces with this one's host: the one that is named for it, and those that
        chose it."""
        host = effective_spec.host(workspace.spec, platform)
        name = host.removesuffix(f".{platform.ingress.domain}")
        resources = (
            *self.caches.workspaces.by_index(name),
            *self.caches.workspaces_with_host(host),
        )
        return tuple(
            rival
            for rival in _parse_all(resources)
            if rival.spec.workspace_name != workspace.spec.workspace_name and not rival.deleting
        )


def _parse_all(resources: Iterable[Json]) -> tuple[Workspace, ...]:
    """The resources that name a workspace. Another one, which only an older API server can have let
    through, is logged and left alone."""
    workspaces = []
    for resource in resources:
        try:
            workspaces.append(Workspace.parse(resource))
        except ValidationError as error:
            name = resource["metadata"]["name"]
            _log.error("resource not understood", name=name, error=format_refusal(error))
    return tuple(workspaces)
