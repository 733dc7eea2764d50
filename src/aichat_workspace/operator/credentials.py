"""A workspace's generated credentials: made once, stored in the system namespace, never rotated
silently and never logged."""

import base64
import secrets
from dataclasses import replace
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.policy.secret_references import ReferencedSecret
from aichat_workspace.domain.render.context import TENANCY, Credentials, workspace_labels
from aichat_workspace.domain.render.namespace import secret_data
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.kube.objects import annotations, labels

_KEYS: Final = ("WEBUI_SECRET_KEY", "WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD")
_KEY_BYTES: Final = 48
_PASSWORD_BYTES: Final = 18


def generate(workspace: Workspace, domain: str) -> Credentials:
    """Generate credentials from the operating system's randomness."""
    return Credentials(
        secret_key=secrets.token_urlsafe(_KEY_BYTES),
        admin_email=f"admin@{names.host(workspace.spec.workspace_name, domain)}",
        admin_password=secrets.token_urlsafe(_PASSWORD_BYTES),
    )


def manifest(workspace: Workspace, credentials: Credentials) -> dict[str, Any]:
    """Return the Secret for a workspace's credentials."""
    tenant = workspace.spec.workspace_name
    name = names.credentials(tenant)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": names.SYSTEM_NAMESPACE,
            "labels": workspace_labels(tenant, name, TENANCY),
            "annotations": {
                names.OWNER_UID_ANNOTATION: workspace.uid,
                names.PASSWORD_RESET_ANNOTATION: workspace.spec.access.password_reset,
            },
        },
        "type": "Opaque",
        "data": secret_data(credentials),
    }


def wants_new_password(workspace: Workspace, secret: dict[str, Any]) -> bool:
    """Return whether spec.access.passwordReset requests a new password.

    Removing it requests none, and it does not apply to the platform team's own administrator."""
    access = workspace.spec.access
    if not access.password_reset or access.admin_secret_name:
        return False
    last_reset: str = annotations(secret).get(names.PASSWORD_RESET_ANNOTATION, "")
    return last_reset != access.password_reset


def with_new_password(credentials: Credentials) -> Credentials:
    """Return the credentials with another generated password."""
    return replace(credentials, admin_password=secrets.token_urlsafe(_PASSWORD_BYTES))


def read(secret: dict[str, Any]) -> Credentials:
    """Read the credentials from a Secret. Raises KeyError when one is missing."""
    return Credentials(*(_text(secret["data"][key]) for key in _KEYS))


def missing(secret: dict[str, Any]) -> tuple[str, ...]:
    """Return the keys that are missing from a Secret."""
    return tuple(key for key in _KEYS if not (secret.get("data") or {}).get(key))


def with_admin(credentials: Credentials, admin: ReferencedSecret | None) -> Credentials:
    """Return the credentials with the platform team's administrator, where there is one."""
    if admin is None:
        return credentials
    email, password = (_text(admin.data[key]) for key in ("email", "password"))
    return replace(credentials, admin_email=email, admin_password=password)


def _text(value: str) -> str:
    return base64.b64decode(value).decode(errors="replace")


def is_ours(secret: dict[str, Any], workspace: Workspace) -> bool:
    """Return whether this operator made it, for this or an earlier resource of the name."""
    return (
        labels(secret).get(names.MANAGED_BY_LABEL) == names.OPERATOR
        and labels(secret).get(names.WORKSPACE_LABEL) == workspace.spec.workspace_name
    )


def belongs_to(secret: dict[str, Any], workspace: Workspace) -> bool:
    """Return whether it was made for exactly this resource."""
    return annotations(secret).get(names.OWNER_UID_ANNOTATION) == workspace.uid
