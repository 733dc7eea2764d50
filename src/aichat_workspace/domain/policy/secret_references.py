"""The Secrets that a workspace refers to, and whether it may use them.

A referenced Secret is in the system namespace, where team leads can't read. Its annotation names
the one workspace that may use it, so a team can't get another team's Secret by naming it.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.foundation.metadata import annotations

TLS: Final = "tls"
ADMIN: Final = "admin"
OIDC: Final = "oidc"
PLATFORM_OIDC: Final = "platform-oidc"
"""The platform's provider's, and so no reference of the workspace: its pods follow it by turns."""
SCIM: Final = "scim"
"""Generated, where the platform or the workspace asks for it; pods follow it by turns, too."""
BACKUP: Final = "backup"
"""The platform's: a destination's keys and the passphrase, for runs of the backup program alone."""
RESTORE: Final = "restore"
"""The same, of the destination that a restore reads."""
CLIENT_SECRET: Final = "clientSecret"  # noqa: S105  (a name)
_API_KEY: Final = "apiKey"


@dataclass(frozen=True, slots=True)
class ReferencedSecret:
    """What a workspace may use of a Secret that it refers to."""

    type: str
    """The Secret's type, as Opaque or kubernetes.io/tls."""
    data: Mapping[str, str] = field(repr=False)
    """The keys that it needs, with base64 text; never in a repr."""

    @property
    def digest(self) -> str:
        """Name the tenant's immutable copy, so that changed contents get a new name."""
        text = "\n".join((self.type, *(f"{key}={self.data[key]}" for key in sorted(self.data))))
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def connection(name: str) -> str:
    """Return the purpose of the Secret of an OpenAI-compatible connection."""
    return f"connection-{name}"


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A field of the spec that names a Secret."""

    purpose: str
    """TLS, ADMIN, OIDC, or a connection's."""
    field: str
    """The field's path, for messages."""
    secret: str
    """The Secret's name."""
    keys: tuple[str, ...]
    """The keys that it must have."""


def references(workspace: Workspace) -> Iterator[SecretReference]:
    """Yield every Secret that the workspace's spec names."""
    spec = workspace.spec
    if spec.ingress.tls and (name := spec.ingress.tls.secret_name):
        yield SecretReference(TLS, "spec.ingress.tls.secretName", name, ("tls.crt", "tls.key"))
    if name := spec.access.admin_secret_name:
        yield SecretReference(ADMIN, "spec.access.adminSecretName", name, ("email", "password"))
    oidc = spec.access.oidc
    if oidc and oidc.enabled and (name := oidc.secret_name):
        yield SecretReference(OIDC, "spec.access.oidc.secretName", name, (CLIENT_SECRET,))
    for server in spec.connections:
        field = f"spec.connections[{server.name}].secretName"
        yield SecretReference(connection(server.name), field, server.secret_name, (_API_KEY,))


def resolve(
    workspace: Workspace, find: Callable[[str], Manifest | None]
) -> tuple[dict[str, ReferencedSecret], Problem | None]:
    """Return the referenced Secrets by their purpose, and the problem of the first bad one.

    A bad Secret is empty: objects that use it can be named, but not written.
    """
    secrets: dict[str, ReferencedSecret] = {}
    first_problem: Problem | None = None
    for reference in references(workspace):
        secret, problem = read(workspace, reference, find(reference.secret))
        first_problem = first_problem or problem
        secrets[reference.purpose] = secret or ReferencedSecret("", {})
    return secrets, first_problem


def read(
    workspace: Workspace, reference: SecretReference, secret: Manifest | None
) -> tuple[ReferencedSecret | None, Problem | None]:
    """Return what the workspace may use of a Secret, or what is wrong with it."""
    problem = _problem(workspace, reference, secret)
    if problem or secret is None:
        return None, problem
    data = {key: secret["data"][key] for key in reference.keys}
    return ReferencedSecret(secret.get("type", "Opaque"), data), None


def _problem(
    workspace: Workspace, reference: SecretReference, secret: Manifest | None
) -> Problem | None:
    where = f"Secret {reference.secret!r} of {reference.field}"
    owner = f"{workspace.namespace}/{workspace.name}"
    if secret is None or annotations(secret).get(names.SECRET_FOR_ANNOTATION) != owner:
        # The same message whether it is missing or another's: existence is a secret, too.
        return Problem(
            Reason.SECRET_NOT_FOUND,
            f"{where} is not there, or not for this workspace; the platform team makes it in "
            f"namespace {names.SYSTEM_NAMESPACE} with the annotation "
            f"{names.SECRET_FOR_ANNOTATION}: {owner}",
        )
    data = secret.get("data") or {}
    missing = [key for key in reference.keys if key not in data]
    if missing:
        return Problem(
            Reason.SECRET_INCOMPLETE,
            f"{where} lacks the keys {', '.join(missing)}; the platform team adds them in "
            f"namespace {names.SYSTEM_NAMESPACE}",
        )
    if _API_KEY in reference.keys and b";" in base64.b64decode(data[_API_KEY]):
        return Problem(
            Reason.SECRET_NOT_USABLE,
            f"the key {_API_KEY} in {where} contains ';', at which Open WebUI splits its list of "
            f"keys; the platform team puts a key without it in namespace {names.SYSTEM_NAMESPACE}",
        )
    return None
