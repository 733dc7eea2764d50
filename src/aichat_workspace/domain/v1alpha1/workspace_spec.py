"""The spec of AIChatWorkspace, which a team writes.

The CRD, the reference page and the API's schemas are generated from these models. The platform's
defaults are never written into a workspace, so that a changed setting reaches every workspace whose
spec leaves the field out.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StrictBool, StrictInt, StringConstraints

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.backup import Backup, Restore
from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import (
    LABEL_KEYS,
    ONE_LINE,
    SET,
    ByteSize,
    DnsLabel,
    DnsName,
    HttpsUrl,
    LabelKey,
    LabelValue,
    ModelText,
    Positive,
)
from aichat_workspace.domain.v1alpha1.network_settings import Issuer
from aichat_workspace.domain.v1alpha1.sign_in import Oidc
from aichat_workspace.domain.v1alpha1.sizes import Resources, Storage

PATTERN_NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$"
MAX_MODELS: Final = 32
MAX_PATTERNS: Final = 64
NO_MODEL: Final = "none"
_MAX_SECONDS: Final = 10**10  # three centuries, and far below 64 bits
_DURATION: Final = r"^[1-9][0-9]{0,4}(m|h|d)$"

_LINES: Final = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$"
MAX_RESTART_LENGTH: Final = 64
RestartText = Annotated[str, StringConstraints(max_length=MAX_RESTART_LENGTH)]

_RESERVED_RULE: Final = " && ".join(
    [
        *(f"!self.startsWith('{prefix}')" for prefix in names.RESERVED_PREFIXES),
        f"!(self in {sorted(names.RESERVED_NAMES)})",
    ]
)

WorkspaceName = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=names.WORKSPACE_NAME_MAX_LENGTH,
        pattern=names.WORKSPACE_NAME_PATTERN,
    ),
    Field(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "self == oldSelf",
                    "workspaceName is immutable: it names the tenant's namespace; create a second "
                    "workspace and delete this one instead",
                ),
                rule(
                    _RESERVED_RULE,
                    "workspaceName becomes a namespace of its own: choose a name that is not "
                    f"{', '.join(sorted(names.RESERVED_NAMES))} and does not start with "
                    f"{' or '.join(names.RESERVED_PREFIXES)}",
                ),
            ]
        }
    ),
]
PatternText = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=PATTERN_NAME_PATTERN)
]
KeepAlive = Annotated[
    str, StringConstraints(max_length=6, pattern=r"^(-1|0|[1-9][0-9]{0,4}(s|m|h))$")
]
Duration = Annotated[str, StringConstraints(max_length=6, pattern=_DURATION)]
# https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
_TOLERATION_RULES: Final[dict[str, Any]] = {
    "x-kubernetes-validations": [
        rule(
            "has(self.key) || self.operator == 'Exists'",
            "without a key every taint is tolerated: say so with operator Exists",
        ),
        rule(
            "self.operator != 'Exists' || !has(self.value) || self.value == ''",
            "operator Exists takes any value: leave value out",
        ),
        rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds is for effect NoExecute only",
        ),
    ]
}
# Ollama compares names without case, a missing tag is latest, and the host and the namespace of its
# own registry may be left out. `^` marks the beginning: names have none.
_MODEL_NAME: Final = "{0}.substring(0, ({0} + '@').indexOf('@'))"
_MODEL_KEY: Final = (
    f"('^' + {_MODEL_NAME}.lowerAscii() + "
    f"({_MODEL_NAME}.substring({_MODEL_NAME}.lastIndexOf('/') + 1).contains(':') ? '' : ':latest'))"
    ".replace('^registry.ollama.ai/', '^').replace('^library/', '^')"
)
_DISTINCT_MODELS: Final = rule(
    f"self.all(x, self.exists_one(y, {_MODEL_KEY.format('y')} == {_MODEL_KEY.format('x')}))",
    "two entries name the same model: Ollama compares names without case, takes a missing tag for "
    "latest, and registry.ollama.ai/library/x for x; remove one of them",
)


class Quota(Schema):
    """Upper bounds of all pods of the workspace together.

    Where left out, there is room for one pod of each workload, and for the certificate's solver
    where an issuer proves the host.
    """

    cpu: Positive | None = Field(default=None, description="Sum of all CPU limits.")
    memory: ByteSize | None = Field(default=None, description="Sum of all memory limits.")
    storage: ByteSize | None = Field(default=None, description="Sum of all volumes.")


class Tls(Schema):
    """The certificate of the workspace's host: one Secret or one issuer."""

    secret_name: DnsName | None = Field(
        default=None,
        description="A kubernetes.io/tls Secret in the system namespace whose annotation "
        f"{names.SECRET_FOR_ANNOTATION} names this workspace.",
    )
    issuer: Issuer | None = Field(
        default=None, description="cert-manager's issuer that makes the certificate."
    )


class WorkspaceIngress(Schema):
    """How people reach the workspace; the platform's where left out."""

    class_name: DnsName | None = Field(default=None, description="Its IngressClass.")
    host: DnsName | None = Field(
        default=None,
        description="Its host name, under a domain that the platform allows. "
        "<workspaceName>.<domain> when left out.",
    )
    tls: Tls | None = Field(
        default=None,
        description="Its certificate; the platform's issuer when left out, and no TLS without one. "
        "Behind a Gateway, which has the certificates itself, it only makes the address https.",
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "has(self.secretName) != has(self.issuer)",
                    "name either secretName or issuer",
                )
            ]
        },
    )


class DeletionPolicy(StrEnum):
    """What happens to the namespace when the resource is deleted."""

    DELETE = "Delete"
    RETAIN = "Retain"


class Expiry(StrEnum):
    """What happens to a workspace whose time is over."""

    DELETE = "Delete"
    SUSPEND = "Suspend"


class ModelPullPolicy(StrEnum):
    """When present models are looked up at their registries."""

    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"


class Toleration(Schema):
    """A taint of nodes that the pods accept, as in a pod."""

    key: LabelKey | None = Field(default=None, description="The taint's key; any when left out.")
    operator: Literal["Equal", "Exists"] = Field(
        default="Equal", description="Equal compares the value, Exists takes any."
    )
    value: LabelValue | None = Field(default=None, description="The taint's value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect; all when left out."
    )
    toleration_seconds: StrictInt | None = Field(
        default=None, ge=0, le=_MAX_SECONDS, description="How long a NoExecute taint is tolerated."
    )


class Scheduling(Schema):
    """Where the model server and the chat may run."""

    node_selector: dict[LabelKey, LabelValue] = Field(
        default={},
        max_length=16,
        description="Labels that the nodes must carry.",
        json_schema_extra={"x-kubernetes-validations": [LABEL_KEYS]},
    )
    tolerations: tuple[Annotated[Toleration, Field(json_schema_extra=_TOLERATION_RULES)], ...] = (
        Field(default=(), max_length=16, description="Taints that the pods accept.")
    )


class OllamaTuning(Schema):
    """How the model server runs models."""

    context_length: StrictInt | None = Field(
        default=None,
        ge=512,
        le=1_048_576,
        description="Tokens of context; more needs more memory. Ollama's choice when left out.",
    )
    keep_alive: KeepAlive | None = Field(
        default=None,
        description="How long an idle model stays in memory, as 10m; -1 always, 0 not at all. "
        "Ollama's choice (5m) when left out.",
    )
    parallel_requests: StrictInt | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Prompts a model answers at the same time, each with a context of its own in "
        "memory; some kinds of models answer one at a time whatever this says.",
    )
    loaded_models: StrictInt | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Models in memory at the same time. When left out, Ollama's choice with "
        "graphics processors, and 2 without: there it loads more than the memory holds.",
    )


class Connection(Schema):
    """An OpenAI-compatible server whose models the chat offers, too."""

    name: DnsLabel = Field(max_length=32, description="Its name in this list.")
    url: HttpsUrl = Field(description="Its base URL, as https://api.example.org/v1.")
    secret_name: DnsName = Field(
        description="A Secret in the system namespace with the key apiKey, whose annotation "
        f"{names.SECRET_FOR_ANNOTATION} names this workspace."
    )


class Access(Schema):
    """Who may use the chat."""

    admin_secret_name: DnsName | None = Field(
        default=None,
        description="A Secret in the system namespace with the keys email and password of the "
        f"first administrator, whose annotation {names.SECRET_FOR_ANNOTATION} names this "
        "workspace. Both are generated when left out.",
    )
    password_reset: Annotated[str, StringConstraints(max_length=64)] = Field(
        default="",
        description="Any text, as a date. Change it, and the first administrator gets a newly "
        "generated password and is signed out everywhere; to take it out changes nothing. With "
        "adminSecretName, change the password in that Secret instead.",
    )
    oidc: Oidc | None = Field(
        default=None,
        description="Sign-in with an identity provider; as the platform says when left out.",
    )

    sign_up: StrictBool = Field(
        default=False,
        description="Whether people may register themselves with a password; an administrator lets "
        "them in. Without the password form nobody can.",
    )
    password_form: StrictBool | None = Field(
        default=None,
        description="Whether the page for signing in asks for an address and a password; as the "
        "platform says when left out. False needs a provider.",
    )
    api_keys: StrictBool | None = Field(
        default=None,
        alias="apiKeys",
        description="Whether people may make keys of Open WebUI for programs; as the platform says "
        "when left out.",
    )
    scim: StrictBool | None = Field(
        default=None,
        description="Whether the chat serves SCIM 2.0 at /api/v1/scim/v2, where the provider adds, "
        "changes and removes people; as the platform says when left out. It needs a provider with "
        "verifiedEmailClaim.",
    )


class Restart(Schema):
    """When each workload was last restarted on demand.

    What is left out says nothing: it keeps the pods as they are.
    """

    ollama: RestartText = Field(
        default="",
        description="Any text, as a date. Change it, and the model server's pod is replaced; to "
        "take it out changes nothing.",
    )
    open_webui: RestartText = Field(
        default="", alias="openWebUI", description="The same for the chat front-end."
    )


class WorkspaceSpec(Schema):
    """The spec of AIChatWorkspace."""

    workspace_name: WorkspaceName = Field(
        description="Name of the workspace and of the namespace it becomes. Unique in the "
        "cluster, immutable; lower-case letters, digits and hyphens, starting with a letter.",
        examples=["team-a-aichat"],
    )
    display_name: Annotated[str, StringConstraints(max_length=64, pattern=ONE_LINE)] = Field(
        default="", description="What people call it; one line. It may be another one's, too."
    )
    description: Annotated[str, StringConstraints(max_length=1024, pattern=_LINES)] = Field(
        default="", description="What it is for, for people."
    )
    labels: dict[LabelKey, LabelValue] = Field(
        default={},
        max_length=16,
        description="Marks to find workspaces by in lists. Nothing else reads them, and no object "
        "gets them.",
        json_schema_extra={"x-kubernetes-validations": [LABEL_KEYS]},
    )
    cost_centre: LabelValue = Field(
        default="",
        description="Who pays for it. The workspace's namespace gets it as the label "
        f"{names.COST_CENTRE_LABEL}; pods do not, for they would restart.",
    )
    workspace_env: Annotated[
        str, StringConstraints(min_length=1, max_length=16, pattern=r"^[a-z][a-z0-9-]*$")
    ] = Field(
        default="dev",
        alias="workspaceENV",
        description="Open WebUI's ENV. With dev it serves its API documentation at /docs.",
    )
    models: tuple[ModelText, ...] = Field(
        default=(),
        max_length=MAX_MODELS,
        description="Models to download, by Ollama name: [host[:port]/][namespace/]name[:tag], and "
        "after an @ the digest that they must have, as sha256:…. "
        "Patterns are built on the first one.",
        examples=[["gemma2:2b"]],
        json_schema_extra={**SET, "x-kubernetes-validations": [_DISTINCT_MODELS]},
    )
    model_pull_policy: ModelPullPolicy = Field(
        default=ModelPullPolicy.IF_NOT_PRESENT,
        description="IfNotPresent downloads what is missing. Always also looks present models up "
        "at their registries, at each start of the model server and once a day, and follows tags "
        "that have moved.",
    )
    patterns: tuple[PatternText, ...] = Field(
        default=(),
        max_length=MAX_PATTERNS,
        description="System prompts to offer as models of their own, by name: built-in ones, or "
        "keys of ConfigMaps that the platform team labelled for it.",
        examples=[["explain_code", "create_summary"]],
        json_schema_extra=SET,
    )
    embedding_model: ModelText | None = Field(
        default=None,
        description="Model that reads uploaded documents; the platform's when left out, "
        f"{NO_MODEL} for no documents.",
    )
    class_name: DnsLabel | None = Field(
        default=None,
        description="The platform's size class, which gives what resources, storage and models "
        "here leave out; none when left out.",
    )
    resources: Resources = Field(
        default=Resources(), description="What the workloads get of a node."
    )
    storage: Storage = Field(default=Storage(), description="The workspace's volumes.")
    quota: Quota = Field(
        default=Quota(),
        description="Upper bounds of the whole workspace, within the platform's ceiling.",
    )
    ingress: WorkspaceIngress = Field(
        default=WorkspaceIngress(), description="How people reach the workspace."
    )
    suspended: StrictBool = Field(
        default=False,
        description="Stops both workloads; everything else and all data stay.",
    )
    restart: Restart = Field(
        default=Restart(),
        description="Replaces the pods of a workload once, at once and with the images that they "
        "have; a suspended workspace has none.",
    )
    backup: Backup | None = Field(
        default=None,
        description="When the chat is backed up, and where to; never when left out.",
    )
    restore: Restore | None = Field(
        default=None,
        description="A backup whose data replace the chat's, once. The chat stops meanwhile.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.DELETE,
        description="What deleting the resource does: Delete removes the namespace with all data, "
        "Retain stops the workloads and keeps it.",
    )
    namespace_uid: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None,
        alias="namespaceUID",
        description="UID of a retained namespace of this name that this workspace takes over.",
    )
    expires_after: Duration | None = Field(
        default=None,
        description="Age at which the workspace ends, as 90m, 36h or 30d; never when left out. "
        "The condition ExpiresSoon says so a day before.",
    )
    expiry: Expiry = Field(
        default=Expiry.DELETE,
        description="What spec.expiresAfter does: Delete deletes the resource, as deletionPolicy "
        "says, Suspend stops both workloads until expiresAfter is raised or removed.",
    )
    connections: tuple[Connection, ...] = Field(
        default=(),
        max_length=8,
        description="OpenAI-compatible servers whose models the chat offers, too.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    access: Access = Field(default=Access(), description="Who may use the chat.")
    scheduling: Scheduling = Field(default=Scheduling(), description="Where the pods may run.")
    ollama: OllamaTuning = Field(
        default=OllamaTuning(), description="How the model server runs models."
    )
