"""What the platform's settings name in the system namespace for every workspace: the passwords of
images' registries, and certificate authorities.

Unlike what a workspace refers to, it needs no annotation: only the platform team writes settings.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.secret_references import ReferencedSecret
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.network_settings import TrustedAuthorities
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec

PULL_SECRET_TYPE: Final = "kubernetes.io/dockerconfigjson"  # noqa: S105  (a type)
PULL_SECRET_KEY: Final = ".dockerconfigjson"  # noqa: S105  (a name)
AUTHORITIES_KEY: Final = "ca.crt"
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----"
)

FindObject = Callable[[str], Manifest | None]
"""Returns the system namespace's object of a name."""


@dataclass(frozen=True, slots=True)
class PlatformSecrets:
    """What every tenant gets a copy of."""

    pull_secrets: tuple[ReferencedSecret, ...] = ()
    """In the order in which the settings name them."""
    authorities: ReferencedSecret | None = None

    @property
    def pull_digest(self) -> str:
        """A digest of the registries' passwords, by which a tenant shows which ones it has."""
        digests = " ".join(secret.digest for secret in self.pull_secrets)
        return hashlib.sha256(digests.encode()).hexdigest()[:10]


NO_PLATFORM_SECRETS: Final = PlatformSecrets()


def resolve_platform_secrets(
    platform: PlatformSpec, find_secret: FindObject, find_config_map: FindObject
) -> tuple[PlatformSecrets, tuple[Problem, ...]]:
    """Return what the settings name, and a problem for each thing that is missing or unusable.

    Such a thing is empty: objects that use it can be named, but not written.
    """
    problems = []
    pull_secrets = []
    for name in platform.image_pull_secret_names:
        secret, problem = _pull_secret(name, find_secret(name))
        pull_secrets.append(secret)
        problems.append(problem)
    authorities = None
    if reference := platform.trusted_authorities:
        authorities, problem = _authorities(reference, find_config_map(reference.config_map_name))
        problems.append(problem)
    return PlatformSecrets(tuple(pull_secrets), authorities), tuple(filter(None, problems))


def _pull_secret(name: str, secret: Manifest | None) -> tuple[ReferencedSecret, Problem | None]:
    where = f"Secret {name!r} of spec.imagePullSecretNames of the AIChatPlatform"
    fix = (
        f"the platform team makes it in namespace {names.SYSTEM_NAMESPACE} with "
        "kubectl create secret docker-registry"
    )
    nothing = ReferencedSecret(PULL_SECRET_TYPE, {})
    if secret is None:
        return nothing, Problem(Reason.PULL_SECRET_NOT_FOUND, f"{where} is not there; {fix}")
    data = (secret.get("data") or {}).get(PULL_SECRET_KEY)
    if secret.get("type") != PULL_SECRET_TYPE or not data:
        message = f"{where} is not of type {PULL_SECRET_TYPE} with a key {PULL_SECRET_KEY}; {fix}"
        return nothing, Problem(Reason.PULL_SECRET_NOT_FOUND, message)
    return ReferencedSecret(PULL_SECRET_TYPE, {PULL_SECRET_KEY: data}), None


def _authorities(
    reference: TrustedAuthorities, config_map: Manifest | None
) -> tuple[ReferencedSecret, Problem | None]:
    """Return the certificates alone: what else the ConfigMap has is nobody's in a tenant."""
    text = ((config_map or {}).get("data") or {}).get(reference.key, "")
    blocks = _CERTIFICATE.findall(text)
    certificates = [block for block in blocks if _is_base64(block)]
    if certificates and len(certificates) == len(blocks):
        lines = "".join(
            f"-----BEGIN CERTIFICATE-----\n{block.strip()}\n-----END CERTIFICATE-----\n"
            for block in certificates
        )
        data = base64.b64encode(lines.encode()).decode()
        return ReferencedSecret("Opaque", {AUTHORITIES_KEY: data}), None
    message = (
        f"ConfigMap {reference.config_map_name!r} of spec.trustedAuthorities of the AIChatPlatform "
        f"is not there, or its key {reference.key!r} has no certificates in PEM; the platform team "
        f"makes it in namespace {names.SYSTEM_NAMESPACE}"
    )
    return ReferencedSecret("", {}), Problem(Reason.AUTHORITIES_NOT_FOUND, message)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return False
    return True
