"""The Secrets that a workspace names: which they are, and whether it may have them.

A referenced Secret lives in the system namespace, where team leads can't read, and says itself
which one resource it serves. So nobody gets another team's secret by naming it.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.workspace import Workspace

TLS: Final = "tls"
ADMIN: Final = "admin"
OIDC: Final = "oidc"


@dataclass(frozen=True, slots=True)
class ReferencedSecret:
    """A Secret that the workspace names, by what it is for. Its values are base64 text and left
    out of every repr."""

    type: str
    data: Mapping[str, str] = field(repr=False)

    @property
    def digest(self) -> str:
        text = "\n".join((self.type, *(f"{key}={self.data[key]}" for key in sorted(self.data))))
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def connection(name: str) -> str:
    """What the Secret of an OpenAI-compatible connection is for."""
    return f"connection-{name}"


@dataclass(frozen=True, slots=True)
class SecretReference:
    """What a Secret is for, the field that names it, and the keys that it must have."""

    purpose: str
    field: str
    secret: str
    keys: tuple[str, ...]


def references(workspace: Workspace) -> Iterator[SecretReference]:
    spec = workspace.spec
    if spec.ingress.tls and (name := spec.ingress.tls.secret_name):
        yield SecretReference(TLS, "spec.ingress.tls.secretName", name, ("tls.crt", "tls.key"))
    if name := spec.access.admin_secret_name:
        yield SecretReference(ADMIN, "spec.access.adminSecretName", name, ("email", "password"))
    if spec.access.oidc:
        name = spec.access.oidc.secret_name
        yield SecretReference(OIDC, "spec.access.oidc.secretName", name, ("clientSecret",))
    for each in spec.connections:
        field = f"spec.connections[{each.name}].secretName"
        yield SecretReference(connection(each.name), field, each.secret_name, ("apiKey",))


def resolve(
    workspace: Workspace, find: Callable[[str], Manifest | None]
) -> tuple[dict[str, ReferencedSecret], Problem | None]:
    """The referenced Secrets by what they are for, and what is wrong with the first bad one. A
    bad one is empty: what comes from it can be named, not made."""
    found: dict[str, ReferencedSecret] = {}
    first: Problem | None = None
    for each in references(workspace):
        kept, problem = read(workspace, each, find(each.secret))
        first = first or problem
        found[each.purpose] = kept or ReferencedSecret("", {})
    return found, first


def read(
    workspace: Workspace, wanted: SecretReference, secret: Manifest | None
) -> tuple[ReferencedSecret | None, Problem | None]:
    """What the workspace may have of a Secret, or what is wrong with it."""
    problem = _problem(workspace, wanted, secret)
    if problem or secret is None:
        return None, problem
    kept = {key: secret["data"][key] for key in wanted.keys}
    return ReferencedSecret(secret.get("type", "Opaque"), kept), None


def _problem(
    workspace: Workspace, wanted: SecretReference, secret: Manifest | None
) -> Problem | None:
    where = f"Secret {wanted.secret!r} of {wanted.field}"
    mark = f"{names.SECRET_FOR_ANNOTATION}: {workspace.namespace}/{workspace.name}"
    marks = secret["metadata"].get("annotations") or {} if secret else {}
    if marks.get(names.SECRET_FOR_ANNOTATION) != f"{workspace.namespace}/{workspace.name}":
        # The same words whether it is missing or another's: existence is a secret, too.
        return Problem(
            "SecretNotFound",
            f"{where} is not there, or not for this workspace; the platform team makes it in "
            f"namespace {names.SYSTEM_NAMESPACE} with the annotation {mark}",
        )
    missing = [key for key in wanted.keys if key not in ((secret or {}).get("data") or {})]
    if missing:
        return Problem(
            "SecretIncomplete",
            f"{where} lacks the keys {', '.join(missing)}; the platform team adds them in "
            f"namespace {names.SYSTEM_NAMESPACE}",
        )
    return None
