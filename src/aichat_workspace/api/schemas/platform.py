"""Bodies about the platform."""

from pydantic import (
    Field,
)

from aichat_workspace.api.schemas.base import ApiModel, with_example
from aichat_workspace.api.schemas.workspace import Finding
from aichat_workspace.domain.reasons import Reason


class PatternDocument(ApiModel):
    """A system prompt that a workspace can offer as a model."""

    name: str = Field(description="For spec.patterns.")
    prompt: str = Field(description="The system prompt.")
    origin: str = Field(description="Built in, or the ConfigMap that has it.")


class PatternList(ApiModel):
    """Patterns to choose from."""

    model_config = with_example(
        {
            "items": [
                {
                    "name": "explain_code",
                    "prompt": "You explain code to everyone who reads it first.",
                    "origin": "built in",
                }
            ]
        }
    )

    items: tuple[PatternDocument, ...] = Field(description="In the order of their names.")


class ModelUse(ApiModel):
    """A model in use, counted over the workspaces that the caller may see."""

    name: str = Field(description="For spec.models.")
    workspaces: int = Field(description="How many of them.")
    size_bytes: int | None = Field(
        description="Bytes to download, as their operator reports; null while none has it."
    )


class ModelList(ApiModel):
    """Models to choose from."""

    model_config = with_example(
        {
            "allowedRegistries": ["registry.ollama.ai"],
            "embeddingModel": "nomic-embed-text",
            "inUse": [{"name": "gemma2:2b", "workspaces": 3, "sizeBytes": 1_629_518_495}],
        }
    )

    allowed_registries: tuple[str, ...] = Field(
        description="Registries that models may come from; any when empty."
    )
    embedding_model: str | None = Field(description="The platform's, for documents.")
    in_use: tuple[ModelUse, ...] = Field(description="The most used first.")


class Defaults(ApiModel):
    """What a workspace gets unless it sets its own."""

    cpu_request: str = Field(description="CPU request of the container.")
    cpu_limit: str = Field(description="CPU limit of the container.")
    memory_request: str = Field(description="Memory request of the container.")
    memory_limit: str = Field(
        description="Memory limit; the container is stopped when it exceeds it."
    )
    storage: str = Field(description="Size of its volume.")


class Ceilings(ApiModel):
    """What one workspace may have at most."""

    cpu: str = Field(description="Sum of all CPU limits.")
    memory: str = Field(description="Sum of all memory limits.")
    storage: str = Field(description="Sum of all volumes.")
    gpus: int = Field(description="Graphics processors.")


class Choices(ApiModel):
    """What a workspace may name: names, example.org/* for a prefix, or * for all. What the platform
    uses by itself is always allowed."""

    node_selector_keys: tuple[str, ...] = Field(description="Node labels.")
    toleration_keys: tuple[str, ...] = Field(description="Taints of nodes.")
    gpu_resources: tuple[str, ...] = Field(description="Resources of graphics processors.")
    storage_classes: tuple[str, ...] = Field(description="StorageClasses.")
    ingress_classes: tuple[str, ...] = Field(description="IngressClasses.")
    issuers: tuple[str, ...] = Field(description="cert-manager's ClusterIssuers.")
    sign_in: tuple[str, ...] = Field(
        description="What of signing in to chats, as spec.allowed.signIn of the AIChatPlatform: "
        "its words, or * for all."
    )


class PlatformDiagnosis(ApiModel):
    """What keeps the platform from working as its settings ask, the most urgent first."""

    model_config = with_example(
        {
            "isKnown": True,
            "summary": "none of the namespaces traefik is there",
            "findings": [
                {
                    "condition": "PeopleAdmitted",
                    "reason": Reason.NOBODY_ADMITTED,
                    "code": Reason.NOBODY_ADMITTED.code,
                    "severity": Reason.NOBODY_ADMITTED.severity,
                    "message": "none of the namespaces traefik is there",
                    "advice": Reason.NOBODY_ADMITTED.fix,
                    "reference": Reason.NOBODY_ADMITTED.reference,
                }
            ],
        }
    )

    is_known: bool = Field(description="Whether the operator has said anything of it.")
    summary: str = Field(description="One sentence.")
    findings: tuple[Finding, ...] = Field(description="The most important first.")


class UpgradesDocument(ApiModel):
    """Whether changed pod templates reach workspaces."""

    model_config = with_example({"paused": False, "mayChange": True})

    paused: bool = Field(description="No further workspace changes its pods until it is resumed.")
    may_change: bool = Field(description="Whether the caller may pause and resume.")


class PlatformDocument(ApiModel):
    """The platform's settings that matter when creating a workspace."""

    model_config = with_example(
        {
            "domain": "example.org",
            "allowedDomains": [],
            "ceiling": {"cpu": "64", "memory": "256Gi", "storage": "1Ti", "gpus": 8},
            "ollama": {
                "cpuRequest": "500m",
                "cpuLimit": "4",
                "memoryRequest": "1Gi",
                "memoryLimit": "8Gi",
                "storage": "20Gi",
            },
            "openWebUI": {
                "cpuRequest": "100m",
                "cpuLimit": "2",
                "memoryRequest": "512Mi",
                "memoryLimit": "2Gi",
                "storage": "2Gi",
            },
            "embeddingModel": "nomic-embed-text",
            "allowedRegistries": [],
            "allowed": {
                "nodeSelectorKeys": ["topology.kubernetes.io/zone"],
                "tolerationKeys": ["nvidia.com/gpu"],
                "gpuResources": ["nvidia.com/gpu"],
                "storageClasses": ["*"],
                "ingressClasses": [],
                "issuers": [],
                "signIn": [],
            },
            "hasBackupPassphrase": True,
            "tls": True,
            "version": "1.0.0",
        }
    )

    domain: str = Field(description="Workspaces are served at <workspaceName>.<domain>.")
    allowed_domains: tuple[str, ...] = Field(
        description="Further domains under which a workspace may name its own host."
    )
    ceiling: Ceilings = Field(description="What one workspace may have at most.")
    ollama: Defaults = Field(description="The model server's share.")
    open_webui: Defaults = Field(alias="openWebUI", description="The chat front-end's share.")
    embedding_model: str | None = Field(
        description="Model that reads uploaded documents; null for none."
    )
    allowed_registries: tuple[str, ...] = Field(
        description="Registries that models may come from; any when empty."
    )
    allowed: Choices = Field(description="What a workspace may choose by name.")
    has_backup_passphrase: bool = Field(
        description="Whether the settings name what seals credentials in backups; without it none "
        "are made."
    )
    tls: bool = Field(description="Whether workspaces are served by TLS.")
    version: str = Field(description="This API's.")
