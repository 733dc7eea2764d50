"""What is known of one workspace name at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.planning.observed import NOTHING, Observed
from aichat_workspace.domain.planning.rollout import GRANTED, RolloutSlot
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace


@dataclass(frozen=True, slots=True)
class NewSecrets:
    """Randomness for credentials that do not exist yet. Never shown."""

    secret_key: str = field(repr=False)
    admin_password: str = field(repr=False)
    scim_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a decision and its report read. It does not change meanwhile."""

    claimants: tuple[Workspace, ...]
    """The resources that name the workspace."""
    platform: PlatformSpec
    new_secrets: NewSecrets
    observed: Observed = NOTHING
    """The tenant's namespace and its objects."""
    secrets: Mapping[str, Manifest] = field(default_factory=dict)
    """Secrets of the system namespace by name: the credentials, and those that claimants
    and the settings name."""
    rivals: tuple[Workspace, ...] = ()
    """Other workspaces that may have the same host: they chose it, or have its name."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Patterns by name."""
    rollout_slot: RolloutSlot = GRANTED
    """Whether the workspace may change its pods if the platform asks for other ones."""
    ingress_classes: tuple[Manifest, ...] = ()
    storage_classes: tuple[Manifest, ...] = ()
    snapshot_classes: tuple[Manifest, ...] = ()
    """Its VolumeSnapshotClasses; none where the cluster does not have the kind."""
    clock_ahead: timedelta | None = timedelta()
    """How far the operator's clock is ahead of the API server's; None while that is unknown."""
    config_maps: Mapping[str, Manifest] = field(default_factory=dict)
    """ConfigMaps of the system namespace that the settings name, by name."""
    backup_image: str = ""
    """The operator's own image, which has the backup program; empty where that is unknown."""
    unknown_settings: Mapping[str, str] = field(default_factory=dict)
    """Top-level settings that can't be read and have no earlier value, and why."""
    platform_generation: int = 0
    """Of the AIChatPlatform; 0 where there is none."""
