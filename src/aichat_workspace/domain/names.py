"""Every name the operator uses or makes, and the guarantees the names carry.

A workspace's names are injective: two different workspace names never share a namespace, a host
or an object. The longest suffix below leaves room for what Kubernetes appends to pod names within
63 characters (RFC 1123 labels).
"""

from typing import Final

GROUP: Final = "apps.aichatworkspaces.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

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
OWNER_UID_ANNOTATION: Final = f"{GROUP}/workspace-uid"
OWNER_ANNOTATION: Final = f"{GROUP}/workspace"
APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
PASSWORD_RESET_ANNOTATION: Final = f"{GROUP}/password-reset"
RETAINED_ANNOTATION: Final = f"{GROUP}/retained"
SECRET_FOR_ANNOTATION: Final = f"{GROUP}/for-workspace"
REQUESTED_BY_ANNOTATION: Final = f"{GROUP}/requested-by"

MANAGED_SELECTOR: Final = f"{MANAGED_BY_LABEL}={OPERATOR}"

WORKSPACE_NAME_MAX_LENGTH: Final = 45
WORKSPACE_NAME_PATTERN: Final = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
_CREDENTIALS: Final = "-credentials"
API_SESSION: Final = "aichat-workspace-api-session"
"""The Secret in the system namespace whose key signs browsers' sessions with the API; no
workspace's credentials have such a name."""
SESSION_KEY: Final = "key"
RESERVED_PREFIXES: Final = ("kube-", "openshift-")
API_SUBDOMAIN: Final = "workspaces"
"""The API is served at this name under the platform's domain."""
RESERVED_NAMES: Final = frozenset({"default", API_SUBDOMAIN, SYSTEM_NAMESPACE})


def ollama(workspace: str) -> str:
    """Name of the model server's StatefulSet, Service, ServiceAccount and claim."""
    return f"{workspace}-ollama"


def openwebui(workspace: str) -> str:
    """Name of the chat front-end's Deployment, Service, Ingress, ServiceAccount and claim."""
    return f"{workspace}-openwebui"


def credentials(workspace: str) -> str:
    """Name of the Secret in the system namespace that holds the workspace's credentials."""
    return f"{workspace}{_CREDENTIALS}"


def workspace_of_credentials(secret: str) -> str | None:
    """The workspace whose credentials have this name, or None for no such name."""
    return secret.removesuffix(_CREDENTIALS) if secret.endswith(_CREDENTIALS) else None


def part_of(workspace: str) -> str:
    return f"aichat-workspace-{workspace}"


def host(workspace: str, domain: str) -> str:
    """The workspace's host name. One label below the domain, so no two workspaces can share it."""
    return f"{workspace}.{domain}"
