"""Every name that the operator uses or gives, and what the names guarantee.

Two different workspace names never share a namespace, a host or an object. The longest suffix below
leaves room for what Kubernetes appends to pod names within 63 characters (RFC 1123 labels).
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

GROUP: Final = "apps.aichatworkspaces.io"
SERVED_VERSIONS: Final = ("v1beta1", "v1alpha1")
"""Every version, the most stable first: people write that one. All have the same schema."""
VERSION: Final = SERVED_VERSIONS[1]
"""The version of our resources that is stored, and that our programs read and write: one that the
release before serves, too (docs/decisions/0046-v1beta1.md)."""
API_VERSION: Final = f"{GROUP}/{VERSION}"
DEPRECATED_VERSIONS: Final[Mapping[str, str]] = {}
"""The versions that a later release will not serve, with the warning to who uses them."""

OPERATOR: Final = "aichat-workspace-operator"
API: Final = "aichat-workspace-api"
SYSTEM_NAMESPACE: Final = "aichat-workspace-operator-system"
FINALIZER: Final = f"{GROUP}/finalizer"

WORKSPACE_LABEL: Final = "aichatworkspace"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
REVISION_LABEL: Final = "controller-revision-hash"
TEAM_LABEL: Final = "aichatworkspaces.io/team"
PATTERNS_LABEL: Final = "aichatworkspaces.io/patterns"
COST_CENTRE_LABEL: Final = "aichatworkspaces.io/cost-centre"
"""Of a tenant's namespace: the workspace's spec.costCentre."""
OWNER_UID_ANNOTATION: Final = f"{GROUP}/workspace-uid"
OWNER_ANNOTATION: Final = f"{GROUP}/workspace"
APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
POD_TEMPLATE_ANNOTATION: Final = f"{GROUP}/pod-template"
"""Of a workload: the digest of its pod template as it was rendered."""
IMAGE_ANNOTATION: Final = f"{GROUP}/image"
"""Of a workload: its image as it was rendered."""
UPGRADES_ANNOTATION: Final = f"{GROUP}/upgrades"
"""Of the AIChatPlatform, to pause all upgrades; of a workspace, to leave it out."""
PAUSED: Final = "paused"
SKIPPED: Final = "skip"
UPGRADE_ORDER_LABEL: Final = "aichatworkspaces.io/upgrade-order"
"""Of a workspace or its team's namespace: a number; smaller ones are upgraded first."""
RESTART_ANNOTATION: Final = f"{GROUP}/restart"
"""Of a pod template: the text of spec.restart that its pods were started for."""
PULL_SECRETS_ANNOTATION: Final = f"{GROUP}/pull-secrets"
"""Of a tenant's ServiceAccounts: a digest of the registries' passwords that its copies have."""
DESTINATION_ANNOTATION: Final = f"{GROUP}/destination"
"""Of a run of the backup program: the platform's destination that it wrote to."""
SNAPSHOT_CLASS_ANNOTATION: Final = f"{GROUP}/volume-snapshot-class"
"""Of a run of the backup program after which the operator has a snapshot made: its class."""
KEEP_ANNOTATION: Final = f"{GROUP}/keep"
"""Of a VolumeSnapshot: how many are to stay once it is ready."""
PASSWORD_RESET_ANNOTATION: Final = f"{GROUP}/password-reset"
SECRETS_ANNOTATION: Final = f"{GROUP}/secrets"
RETAINED_ANNOTATION: Final = f"{GROUP}/retained"
ORPHANED_ANNOTATION: Final = f"{GROUP}/orphaned-since"
ADOPT_ANNOTATION: Final = f"{GROUP}/adopt-for"
"""The platform team sets it on a namespace to the UID of the resource that may take it over."""
PLATFORM_METADATA_ANNOTATION: Final = f"{GROUP}/platform-metadata"
"""Of a namespace: the names of the labels and annotations that are the platform's."""
SECRET_FOR_ANNOTATION: Final = f"{GROUP}/for-workspace"
REFRESH_MODELS_ANNOTATION: Final = f"{GROUP}/refresh-models"
"""On a workspace: a new text makes the operator look its models up at their registries once."""
REQUESTED_BY_ANNOTATION: Final = f"{GROUP}/requested-by"
HISTORY_ANNOTATION: Final = f"{GROUP}/history"
"""On a workspace: the API's record of its last changes, as JSON."""
PROMPTED_ANNOTATION: Final = f"{GROUP}/prompted-at"
"""On a workspace: when its models were last prompted by the API, to an hour."""

ROLE_ANNOTATION: Final = f"{GROUP}/role"
"""Of a script's account: the role that it has in its team."""
EXPIRES_ANNOTATION: Final = f"{GROUP}/expires"
"""Of a script's account: when its token ends."""

MANAGED_SELECTOR: Final = f"{MANAGED_BY_LABEL}={OPERATOR}"

RESTORE_STAGING: Final = ".restore"
"""In a chat's data folder: where a restore has its data until it is in place. While it is
there, a restore has not ended."""
RESTORE_LEFTOVERS: Final = ".restore-old"
"""In a chat's data folder: old data that a restore could not remove."""
RESTORE_MARK: Final = ".restored"
"""In a chat's data folder: which restore its data come from, by the name of its Job."""

PREPARATION: Final = "prepare"
"""The init container of a chat."""
UPGRADE_COPY: Final = ".before-upgrade"
"""In a chat's data folder: its data as they were before another image of Open WebUI."""

NO_SIZE_CLASS: Final = "none"
"""What people answer who choose no size class."""
WORKSPACE_NAME_MAX_LENGTH: Final = 45
WORKSPACE_NAME_PATTERN: Final = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
EMAIL_PATTERN: Final = r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f]+$"
"""An address with which somebody signs in to a chat."""
_CREDENTIALS: Final = "-credentials"
API_SESSION: Final = "aichat-workspace-api-session"
"""The Secret in the system namespace whose key encrypts browsers' sessions with the API. No
workspace's credentials have such a name."""
SESSION_KEY: Final = "key"
SETTINGS_RECORD: Final = "aichat-workspace-settings"
"""The ConfigMap in the system namespace with the platform's settings in force."""
RESERVED_PREFIXES: Final = ("kube-", "openshift-")
API_SUBDOMAIN: Final = "workspaces"
"""The API is served at this label under the platform's domain."""
SMOKE_TESTS_TEAM: Final = "aichat-smoke-tests"
"""The namespace where a deployment tests itself: a tenant of this name could block them all."""
# `svc`: a cluster's DNS tries the search list first, so it looks for `NAME.NAMESPACE.svc` in a
# namespace of that name, which could answer for every workspace's model server.
RESERVED_NAMES: Final = frozenset(
    {"default", "svc", API_SUBDOMAIN, SMOKE_TESTS_TEAM, SYSTEM_NAMESPACE}
)


def ollama(workspace: str) -> str:
    """Return the name of the model server's StatefulSet, Service, ServiceAccount and claim."""
    return f"{workspace}-ollama"


def openwebui(workspace: str) -> str:
    """Return the name of the chat's Deployment, Service, Ingress, ServiceAccount and claim."""
    return f"{workspace}-openwebui"


def credentials(workspace: str) -> str:
    """Return the name of the Secret with the workspace's credentials, in the system namespace."""
    return f"{workspace}{_CREDENTIALS}"


def workspace_of_credentials(secret: str) -> str | None:
    """Return the workspace whose credentials have this name, or None for any other Secret."""
    return secret.removesuffix(_CREDENTIALS) if secret.endswith(_CREDENTIALS) else None


def pull_secret(workspace: str, number: int) -> str:
    """Return the name of the workspace's copy of a Secret with registries' passwords."""
    return f"{openwebui(workspace)}-pull-{number}"


def backup(workspace: str) -> str:
    """Return the name of the CronJob that backs the chat up, and of its network policy.

    With the longest workspace name it has the 52 characters that a CronJob's name may have.
    https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
    """
    return f"{workspace}-backup"


def backup_run(workspace: str, request: str) -> str:
    """Return the name of the Job that makes the backup which this text asks for.

    The same text has the same Job, so nothing is made twice.
    """
    return f"{backup(workspace)}-{hashlib.sha256(request.encode()).hexdigest()[:8]}"


def backups(workspace: str) -> str:
    """Return the name of the claim with the workspace's backups, where they go to a volume."""
    return f"{workspace}-backups"


def volume_snapshot(workspace: str, run_uid: str) -> str:
    """Return the name of the VolumeSnapshot that is made after this run of the backup program.

    The same run has the same one, so nothing is made twice.
    """
    return f"{backup(workspace)}-{hashlib.sha256(run_uid.encode()).hexdigest()[:8]}"


def part_of(workspace: str) -> str:
    """Return the value of the label app.kubernetes.io/part-of."""
    return f"aichat-workspace-{workspace}"


def host(workspace: str, domain: str) -> str:
    """Return the workspace's host: one label below the domain, so no two workspaces share it."""
    return f"{workspace}.{domain}"


def is_listed(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is the name, its prefix as in example.org/*, or *."""
    prefix, slash, _ = name.rpartition("/")
    return any(
        pattern in (name, "*") or (bool(slash) and pattern == f"{prefix}/*") for pattern in patterns
    )
