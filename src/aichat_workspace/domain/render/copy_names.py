"""Names of a tenant's copies of Secrets: which of its Secrets are the operator's copies."""

import re
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.policy.secret_references import (
    BACKUP,
    PLATFORM_OIDC,
    RESTORE,
    SCIM,
)

AUTHORITIES: Final = "authorities"
_OWN_COPY: Final = re.compile(r"([a-z0-9-]+-)?[0-9a-f]{10}")
_PLATFORM_COPY: Final = re.compile(
    rf"pull-[1-9]|({AUTHORITIES}|{PLATFORM_OIDC}|{SCIM})-[0-9a-f]{{10}}"
)


def is_copy(secret: str, workspace: str) -> bool:
    """Whether a tenant's Secret of this name is a copy that the operator named by its contents.

    cert-manager's Secrets and people's own are not.
    """
    purpose = _purpose(secret, workspace)
    return bool(_OWN_COPY.fullmatch(purpose) or _PLATFORM_COPY.fullmatch(purpose))


def is_backup_copy(secret: str, workspace: str) -> bool:
    """Whether it is a copy of a store's keys and of the passphrase that seals backups."""
    is_of_runs = _purpose(secret, workspace).startswith((f"{BACKUP}-", f"{RESTORE}-"))
    return is_of_runs and is_copy(secret, workspace)


def is_platform_copy(secret: str, workspace: str) -> bool:
    """Whether a tenant's Secret of this name is a copy of what the platform's settings ask for."""
    return bool(_PLATFORM_COPY.fullmatch(_purpose(secret, workspace)))


def _purpose(secret: str, workspace: str) -> str:
    """Return what follows the workspace's name; empty for a Secret without that name."""
    prefix = f"{names.openwebui(workspace)}-"
    return secret[len(prefix) :] if secret.startswith(prefix) else ""
