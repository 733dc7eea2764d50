"""A workspace's generated credentials: created once, kept in the system namespace, never rotated
silently and never logged."""

import base64
from dataclasses import replace
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.secret_references import ReferencedSecret
from aichat_workspace.domain.render.components import TENANCY
from aichat_workspace.domain.render.context import Credentials
from aichat_workspace.domain.render.labels import workspace_labels
from aichat_workspace.domain.render.namespace import secret_data
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.foundation.metadata import annotations

_KEYS: Final = ("WEBUI_SECRET_KEY", "WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD")
SCIM_TOKEN: Final = "SCIM_TOKEN"  # noqa: S105  (a name)


def new(
    workspace: Workspace, domain: str, secret_key: str, password: str, scim_token: str = ""
) -> Credentials:
    """The first credentials of a workspace, from the given randomness."""
    host = names.host(workspace.spec.workspace_name, domain)
    return Credentials(secret_key, f"admin@{host}", password, scim_token)


def manifest(
    workspace: Workspace, credentials: Credentials, made_for: str | None = None
) -> Manifest:
    """The Secret of the system namespace that keeps them.

    `made_for` is the spec.access.passwordReset that the password was made for; the present one when
    left out.
    """
    if made_for is None:
        made_for = workspace.spec.access.password_reset
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
                names.PASSWORD_RESET_ANNOTATION: made_for,
            },
        },
        "type": "Opaque",
        "data": {**secret_data(credentials), **scim_data(credentials)},
    }


def scim_data(credentials: Credentials) -> dict[str, str]:
    """Return the token for SCIM as a Secret's data; nothing where there is none."""
    token = base64.b64encode(credentials.scim_token.encode()).decode()
    return {SCIM_TOKEN: token} if token else {}


def wants_new_password(workspace: Workspace, secret: Manifest) -> bool:
    """Whether spec.access.passwordReset asks for another password than the one that was made.
    Nobody asks by taking it out, nor for an administrator that the platform team gave."""
    access = workspace.spec.access
    if not access.password_reset or access.admin_secret_name:
        return False
    return reset_of(secret) != access.password_reset


def reset_of(secret: Manifest) -> str:
    """The spec.access.passwordReset that the password in the Secret was made for."""
    return annotations(secret).get(names.PASSWORD_RESET_ANNOTATION, "")


def read(secret: Manifest) -> Credentials:
    """The credentials in a Secret. Raises KeyError when one was taken out of it; the token for SCIM
    may be missing."""
    data = secret["data"]
    secret_key, email, password = (_text(data[key]) for key in _KEYS)
    return Credentials(secret_key, email, password, _text(data.get(SCIM_TOKEN, "")))


def missing(secret: Manifest) -> tuple[str, ...]:
    """The credentials that were taken out of a Secret, by their keys."""
    return tuple(key for key in _KEYS if not (secret.get("data") or {}).get(key))


def with_admin(credentials: Credentials, given: ReferencedSecret | None) -> Credentials:
    """The first administrator as given by the platform team, or as generated."""
    if given is None:
        return credentials
    email, password = (_text(given.data[key]) for key in ("email", "password"))
    return replace(credentials, admin_email=email, admin_password=password)


def _text(value: str) -> str:
    return base64.b64decode(value).decode(errors="replace")


def is_ours(secret: Manifest, workspace: Workspace) -> bool:
    """Whether this operator made it, for this or an earlier resource of the workspace's name."""
    labels = secret["metadata"].get("labels") or {}
    return (
        labels.get(names.MANAGED_BY_LABEL) == names.OPERATOR
        and labels.get(names.WORKSPACE_LABEL) == workspace.spec.workspace_name
    )


def belongs_to(secret: Manifest, workspace: Workspace) -> bool:
    return annotations(secret).get(names.OWNER_UID_ANNOTATION) == workspace.uid
