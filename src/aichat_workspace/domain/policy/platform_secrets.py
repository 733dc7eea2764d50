"""What the platform's settings name in the system namespace for every workspace: the passwords of
images' registries, certificate authorities, and the identity provider's client secret.

Only the platform team writes settings. The client secret has an annotation nevertheless: of other
Secrets the operator keeps no data in memory.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.secret_references import CLIENT_SECRET, ReferencedSecret
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.network_settings import TrustedAuthorities
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.sign_in import FOR_ALL_WORKSPACES
from aichat_workspace.foundation.metadata import annotations

PULL_SECRET_TYPE: Final = "kubernetes.io/dockerconfigjson"  # noqa: S105  (a type)
PULL_SECRET_KEY: Final = ".dockerconfigjson"  # noqa: S105  (a name)
AUTHORITIES_KEY: Final = "ca.crt"
MAX_AUTHORITIES_BYTES: Final = 256 * 1024
"""Every workspace has a copy, so the cluster's store has that much of it for each."""
_BLOCK: Final = "-----BEGIN "
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"

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


def secret_names(platform: PlatformSpec) -> frozenset[str]:
    """Return the names of the Secrets that the settings name."""
    client_secret = _client_secret_name(platform)
    return frozenset(
        (
            *platform.image_pull_secret_names,
            *((client_secret,) if client_secret else ()),
            *platform.backup.secret_names,
        )
    )


def has_client_secret(platform: PlatformSpec) -> bool:
    """Whether the platform's provider knows chats by a secret. A public client has none."""
    return _client_secret_name(platform) is not None


def _client_secret_name(platform: PlatformSpec) -> str | None:
    provider = platform.sign_in.oidc
    return provider.secret_name if provider else None


def resolve_client_secret(
    platform: PlatformSpec, find_secret: FindObject
) -> tuple[ReferencedSecret, Problem | None]:
    """Return the client secret of the platform's provider, empty where it is missing, and why."""
    name = _client_secret_name(platform)
    nothing = ReferencedSecret("", {})
    if name is None:
        return nothing, None
    secret = find_secret(name)
    data = ((secret or {}).get("data") or {}).get(CLIENT_SECRET)
    is_marked = secret is not None and (
        annotations(secret).get(names.SECRET_FOR_ANNOTATION) == FOR_ALL_WORKSPACES
    )
    if secret is not None and data and is_marked:
        return ReferencedSecret(secret.get("type", "Opaque"), {CLIENT_SECRET: data}), None
    return nothing, Problem(
        Reason.CLIENT_SECRET_NOT_FOUND,
        f"Secret {name!r} of spec.signIn.oidc.secretName of the AIChatPlatform is "
        f"not there, or lacks the key {CLIENT_SECRET} or the annotation "
        f"{names.SECRET_FOR_ANNOTATION}: '{FOR_ALL_WORKSPACES}'; the platform team makes it in "
        f"namespace {names.SYSTEM_NAMESPACE}",
    )


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
    fault = "is not there"
    if config_map is not None:
        text = (config_map.get("data") or {}).get(reference.key, "")
        bundle, fault = _read_bundle(text)
        if bundle is not None:
            return bundle, None
        fault = f"can't be used: its key {reference.key!r} {fault}"
    message = (
        f"ConfigMap {reference.config_map_name!r} of spec.trustedAuthorities of the AIChatPlatform "
        f"{fault}; the platform team makes it in namespace {names.SYSTEM_NAMESPACE}, with "
        f"certificates in PEM under {reference.key!r}"
    )
    return ReferencedSecret("", {}), Problem(Reason.AUTHORITIES_NOT_FOUND, message)


# Every decision of every workspace asks for the same text.
@lru_cache(maxsize=4)
def _read_bundle(text: str) -> tuple[ReferencedSecret | None, str]:
    """Return the certificates of a text, or what is wrong with it."""
    size = len(text.encode())
    if size > MAX_AUTHORITIES_BYTES:
        return None, f"has {size} bytes, and {MAX_AUTHORITIES_BYTES} are the limit"
    certificates = [*_certificates(text)]
    if not certificates:
        return None, "has no certificates in PEM"
    if len(certificates) < text.count(_BLOCK):
        return None, (
            f"has a block that is no whole certificate: all have to begin with {_BEGIN}, and end "
            f"with {_END}, on lines of their own"
        )
    if not all(map(_is_base64, certificates)):
        return None, "has a certificate that is not base64"
    lines = "".join(f"{_BEGIN}\n{block}\n{_END}\n" for block in certificates)
    data = base64.b64encode(lines.encode()).decode()
    return ReferencedSecret("Opaque", {AUTHORITIES_KEY: data}), ""


def _certificates(text: str) -> Iterator[str]:
    """Yield what is in each whole block of a certificate."""
    block: list[str] | None = None
    for line in map(str.strip, text.splitlines()):
        if line.startswith(_BLOCK):
            block = [] if line == _BEGIN else None
        elif line == _END and block is not None:
            yield "\n".join(block)
            block = None
        elif block is not None and line:
            block.append(line)


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode("".join(text.split()), validate=True))
    except ValueError:  # a wrong character, or one that is not ASCII
        return False
