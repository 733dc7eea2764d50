"""Bodies about what there is to choose."""

from pydantic import Field

from aichat_workspace.api.schemas.base import ApiModel, with_example
from aichat_workspace.domain.v1alpha1.backup import DestinationKind


class IngressClassChoice(ApiModel):
    """An IngressClass of the cluster."""

    name: str = Field(description="For spec.ingress.className.")
    is_default: bool = Field(description="Whether it is the cluster's default.")


class StorageClassChoice(ApiModel):
    """A StorageClass of the cluster."""

    name: str = Field(description="For storageClassName.")
    is_default: bool = Field(description="Whether it is the cluster's default.")
    can_grow: bool = Field(description="Whether its volumes can be made larger later.")


class NewWorkspace(ApiModel):
    """What a workspace gets that names none of it."""

    cpu: str = Field(description="Sum of its CPU limits.")
    memory: str = Field(description="Sum of its memory limits.")
    storage: str = Field(description="Sum of its volumes.")
    storage_class: str | None = Field(
        description="Its volumes' StorageClass; null for the cluster's default."
    )
    ingress_class: str | None = Field(
        description="Its IngressClass; null for the cluster's default."
    )
    issuer: str | None = Field(description="cert-manager's issuer; null for none.")


class SizeClassChoice(ApiModel):
    """A size class of the platform, and what a workspace of it may use."""

    name: str = Field(description="For spec.className.")
    description: str = Field(description="What it is for; empty for nothing said.")
    cpu: str = Field(description="Sum of its CPU limits.")
    memory: str = Field(description="Sum of its memory limits.")
    storage: str = Field(description="Sum of its volumes.")
    model_memory: str = Field(description="The model server's share of that memory.")
    gpus: int = Field(description="Its graphics processors.")
    models: tuple[str, ...] = Field(description="Models of a workspace that names none.")
    fits: bool = Field(
        description="Whether one more workspace of it fits the platform's ceiling and, with "
        "`team`, that team's quota."
    )
    obstacle: str = Field(description="Why it does not fit; empty where it does.")


class BackupDestinationChoice(ApiModel):
    """A place that backups may go to."""

    name: str = Field(description="For spec.backup.destination.")
    description: str = Field(description="What it is for; empty for nothing said.")
    kind: DestinationKind = Field(
        description="A bucket (s3), a volume of each workspace, or snapshots of the chat's volume: "
        "only a bucket has backups that other workspaces can begin with, and only snapshots need "
        "no passphrase."
    )
    is_default: bool = Field(
        description="Whether the backups of a workspace that names none go there; false for each "
        "without `team`."
    )


class WorkspaceQuota(ApiModel):
    """How many workspaces a team may have, by the narrowest of its own quotas."""

    used: int = Field(description="How many it has.")
    hard: int = Field(description="How many it may have.")
    remaining: int = Field(description="How many more it may have.")


class OptionsDocument(ApiModel):
    """What a workspace may choose. Names may be patterns: example.org/* for a prefix, * for all."""

    model_config = with_example(
        {
            "storageClasses": [{"name": "fast-ssd", "isDefault": True, "canGrow": True}],
            "ingressClasses": [{"name": "traefik", "isDefault": True}],
            "issuers": ["letsencrypt"],
            "gpuResources": ["nvidia.com/gpu"],
            "nodeSelectorKeys": ["topology.kubernetes.io/zone"],
            "tolerationKeys": ["nvidia.com/gpu"],
            "signIn": ["People", "APIKeys"],
            "newWorkspace": {
                "cpu": "6",
                "memory": "10Gi",
                "storage": "22Gi",
                "storageClass": "fast-ssd",
                "ingressClass": "traefik",
                "issuer": "letsencrypt",
            },
            "workspaces": {"used": 10, "hard": 12, "remaining": 2},
            "sizeClasses": [
                {
                    "name": "small",
                    "description": "A few people, small models",
                    "cpu": "3",
                    "memory": "6Gi",
                    "storage": "12Gi",
                    "modelMemory": "4Gi",
                    "gpus": 0,
                    "models": ["gemma2:2b"],
                    "fits": True,
                    "obstacle": "",
                }
            ],
            "backupDestinations": [
                {
                    "name": "offsite",
                    "description": "Another region",
                    "kind": "s3",
                    "isDefault": True,
                }
            ],
        }
    )

    storage_classes: tuple[StorageClassChoice, ...] = Field(
        description="Those of the cluster that the platform allows, by name, as of ten seconds ago "
        "at most."
    )
    ingress_classes: tuple[IngressClassChoice, ...] = Field(
        description="Those of the cluster that the platform allows, by name, as of ten seconds ago "
        "at most."
    )
    issuers: tuple[str, ...] = Field(
        description="cert-manager's ClusterIssuers that the platform allows, whether or not they "
        "are there."
    )
    gpu_resources: tuple[str, ...] = Field(
        description="Resources of graphics processors that the platform allows, whether or not a "
        "node has them."
    )
    node_selector_keys: tuple[str, ...] = Field(description="Labels of nodes that it allows.")
    toleration_keys: tuple[str, ...] = Field(description="Taints of nodes that it allows.")
    sign_in: tuple[str, ...] = Field(
        description="What of signing in to chats a workspace may decide itself, as "
        "spec.allowed.signIn of the AIChatPlatform has it; * for all."
    )
    new_workspace: NewWorkspace = Field(description="What a workspace gets that chooses nothing.")
    workspaces: WorkspaceQuota | None = Field(
        description="Of the team; null without `team`, and for one whose quotas do not count "
        "workspaces."
    )
    size_classes: tuple[SizeClassChoice, ...] = Field(
        description="The platform's size classes that the team may choose or, without `team`, any "
        "of your teams, in the platform's order."
    )
    backup_destinations: tuple[BackupDestinationChoice, ...] = Field(
        description="Where backups may go, for the team or, without `team`, for any of your teams, "
        "in the platform's order."
    )
