"""Gathers what a decision reads. Nothing here starts, stops or writes anything."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from pydantic import ValidationError

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.snapshot import NewSecrets, Snapshot
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.rollout import GRANTED
from aichat_workspace.domain.policy import effective_spec
from aichat_workspace.domain.policy.ownership import choose_claimant, name_taken
from aichat_workspace.domain.policy.platform_secrets import (
    secret_names as platform_secret_names,
)
from aichat_workspace.domain.policy.secret_references import references
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.base import format_refusal
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.foundation.metadata import annotations
from aichat_workspace.kube.objects import Json, uid
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.rollouts import Rollouts

_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Takes snapshots from the caches."""

    caches: Caches
    rollouts: Rollouts
    builtin_prompts: Mapping[str, str]
    new_secrets: Callable[[], NewSecrets]
    clock_ahead: Callable[[], timedelta | None]
    """How far the operator's clock is ahead of the API server's; None while that is unknown."""
    backup_image: Callable[[], str] = str
    """The operator's own image; empty where it does not run in a pod."""

    def take(self, name: str) -> Snapshot:
        """Everything known of the resources that name a workspace, and of its tenant."""
        platform = self.caches.settings.spec()
        observed = self.caches.tenant(name)
        claimants = self._claimants(name, observed.namespace)
        holder = choose_claimant(claimants, observed.namespace) if claimants else None
        return Snapshot(
            claimants=claimants,
            platform=platform,
            platform_generation=self.caches.settings.generation,
            unknown_settings=self._unknown_settings(),
            new_secrets=self.new_secrets(),
            observed=observed,
            secrets=self._secrets(claimants, platform),
            config_maps=self._config_maps(platform),
            rivals=self._rivals(holder, platform) if holder else (),
            prompts={**self.builtin_prompts, **self.caches.prompts()},
            rollout_slot=self.rollouts.slot(holder) if holder else GRANTED,
            ingress_classes=tuple(self.caches.ingress_classes.all()),
            storage_classes=tuple(self.caches.storage_classes.all()),
            snapshot_classes=tuple(self.caches.snapshot_classes.all()),
            clock_ahead=self.clock_ahead(),
            backup_image=self.backup_image(),
        )

    def observed(self, name: str) -> Observed:
        """The tenant as it is by now."""
        return self.caches.tenant(name)

    def holder(self, name: str) -> Workspace | None:
        """The resource that has the workspace now; None where none names it."""
        namespace = self.caches.namespaces.get("", name)
        claimants = self._claimants(name, namespace)
        return choose_claimant(claimants, namespace) if claimants else None

    def current(self, workspace: Workspace) -> Workspace | None:
        """The resource as it is by now; None when it is gone."""
        resource = self.caches.workspaces.get(workspace.namespace, workspace.name)
        if resource is None or uid(resource) != workspace.uid:
            return None
        return Workspace.parse(resource)

    def _claimants(self, name: str, namespace: Manifest | None) -> tuple[Workspace, ...]:
        """The resources that name the workspace, without those that know that they lost it to the
        one that has it: there may be thousands, and to read one takes time."""
        resources = self.caches.workspaces.by_index(name)
        if len(resources) == 1:
            return _parse_all(resources)
        owner = annotations(namespace).get(names.OWNER_UID_ANNOTATION) if namespace else None
        settled = {
            uid(resource): resource
            for resource in resources
            if uid(resource) != owner and _knows_its_rejection(resource)
        }
        others = _parse_all(resource for resource in resources if uid(resource) not in settled)
        if not others:
            return _parse_all(resources)
        message = name_taken(others[0], choose_claimant(others, namespace)).message
        mistaken = (
            resource for resource in settled.values() if _ready(resource).get("message") != message
        )
        return (*others, *_parse_all(mistaken))

    def _unknown_settings(self) -> dict[str, str]:
        settings = self.caches.settings.in_force
        return {name: settings.not_understood[name] for name in sorted(settings.unknown)}

    def _config_maps(self, platform: PlatformSpec) -> dict[str, Manifest]:
        if platform.trusted_authorities is None:
            return {}
        name = platform.trusted_authorities.config_map_name
        config_map = self.caches.bundles.get(names.SYSTEM_NAMESPACE, name)
        return {} if config_map is None else {name: config_map}

    def _secrets(
        self, claimants: Iterable[Workspace], platform: PlatformSpec
    ) -> dict[str, Manifest]:
        secret_names = {
            *platform_secret_names(platform),
            *(
                name
                for workspace in claimants
                for name in (
                    names.credentials(workspace.spec.workspace_name),
                    *(reference.secret for reference in references(workspace)),
                )
            ),
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
        own_name = workspace.spec.workspace_name  # of which there may be thousands
        others = [
            resource for resource in resources if resource["spec"].get("workspaceName") != own_name
        ]
        return tuple(rival for rival in _parse_all(others) if not rival.deleting)


def _ready(resource: Json) -> Json:
    conditions: list[Json] = (resource.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == "Ready"), {})


def _knows_its_rejection(resource: Json) -> bool:
    """Whether a resource that only waits for another to go says so already."""
    ready, metadata = _ready(resource), resource["metadata"]
    return (
        ready.get("reason") == Reason.WORKSPACE_NAME_TAKEN
        and ready.get("observedGeneration") == metadata.get("generation")
        and "deletionTimestamp" not in metadata
        and not resource["spec"].get("expiresAfter")
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
