"""How people sign in to one workspace's chat: its own values, else the platform's."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.sign_in import (
    NOBODY_WITHOUT_FORM,
    NOBODY_WITHOUT_ROLES,
    SCIM_NEEDS_VERIFIED_EMAIL,
    Oidc,
    Provider,
    SignInChoice,
)
from aichat_workspace.domain.v1alpha1.workspace_spec import Access, WorkspaceSpec

_OIDC: Final = "spec.access.oidc"
_SWITCHES: Final = {
    "password_form": ("passwordForm", SignInChoice.PASSWORD_FORM),
    "api_keys": ("apiKeys", SignInChoice.API_KEYS),
    "scim": ("scim", SignInChoice.SCIM),
}
_PARTS: Final = {
    "sign_up": ("signUp", SignInChoice.PEOPLE),
    "roles": ("roles", SignInChoice.PEOPLE),
    "allowed_domains": ("allowedDomains", SignInChoice.PEOPLE),
    "extra_scopes": ("extraScopes", SignInChoice.PEOPLE),
    "groups": ("groups", SignInChoice.GROUPS),
}


def provider(spec: WorkspaceSpec, platform: PlatformSpec) -> Provider | None:
    """Return the identity provider that people sign in with; None for none."""
    own, shared = spec.access.oidc, platform.sign_in.oidc
    if own is None:
        return shared
    if not own.enabled:
        return None
    written = _written(own)
    if own.provider_url:
        return Provider.model_validate(written)
    return shared and Provider.model_validate(_merged(shared.model_dump(), written))


def uses_platforms(spec: WorkspaceSpec, platform: PlatformSpec) -> bool:
    """Whether people sign in with the platform's provider."""
    own = spec.access.oidc
    return provider(spec, platform) is not None and (own is None or own.provider_url is None)


def has_password_form(spec: WorkspaceSpec, platform: PlatformSpec) -> bool:
    """Whether the page for signing in asks for a password; always where it is the only way in."""
    return bool(_switch("password_form", spec, platform)) or provider(spec, platform) is None


def has_api_keys(spec: WorkspaceSpec, platform: PlatformSpec) -> bool:
    """Whether people may make keys of Open WebUI."""
    return _switch("api_keys", spec, platform)


def has_scim(spec: WorkspaceSpec, platform: PlatformSpec) -> bool:
    """Whether the provider manages people by SCIM. They sign in by their verified address."""
    source = provider(spec, platform)
    return (
        _switch("scim", spec, platform)
        and source is not None
        and source.verified_email_claim is not None
    )


def violations(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """Yield a problem for each choice that the platform does not leave to workspaces, and for each
    that lacks what it needs."""
    yield from _not_allowed(spec, platform)
    yield from _wider_scopes(spec, platform)
    yield from _incomplete(spec, platform)


def _not_allowed(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    allowed = platform.allowed.sign_in
    for field, choice in _choices(spec.access, platform):
        if not {choice, SignInChoice.ALL} & {*allowed}:
            yield Problem(
                Reason.SIGN_IN_NOT_ALLOWED,
                f"{field} is set, and the platform decides it for all workspaces; leave it out, or "
                f"ask the platform team to add {choice} to spec.allowed.signIn of the "
                "AIChatPlatform",
                field,
            )


def _wider_scopes(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    """Yield a problem for scopes that the platform does not ask for with its client.

    People who sign in to any chat of that client would give this chat's administrators tokens for
    what the provider grants the client. A provider has one client by many addresses, so the
    client's ID alone says whose it is.
    """
    source, shared = provider(spec, platform), platform.sign_in.oidc
    if source is None or shared is None or _client(source) != _client(shared):
        return
    wider = [scope for scope in source.extra_scopes if scope not in shared.extra_scopes]
    if wider:
        field = f"{_OIDC}.extraScopes"
        yield Problem(
            Reason.SIGN_IN_NOT_ALLOWED,
            f"{field} has {', '.join(wider)}, which the platform does not ask for with its client; "
            "leave that out, name a client of the workspace's own in providerURL and clientID, or "
            "ask the platform team to add it to spec.signIn.oidc.extraScopes of the AIChatPlatform",
            field,
        )


def _client(source: Provider) -> str:
    """Return the client's ID as a provider that ignores case and spaces around it reads it."""
    return source.client_id.strip().casefold()


def _choices(access: Access, platform: PlatformSpec) -> Iterator[tuple[str, SignInChoice]]:
    """Yield each field by which the workspace differs from the platform, with what it decides."""
    own, shared = access.oidc, platform.sign_in.oidc
    if own is not None and not own.enabled:
        if shared is not None:
            yield f"{_OIDC}.enabled", SignInChoice.NO_PROVIDER
    elif own is not None and own.provider_url:
        yield f"{_OIDC}.providerURL", SignInChoice.PROVIDER
    elif own is not None:
        yield from _changed_parts(own)
    for name, (field, choice) in _SWITCHES.items():
        if getattr(access, name) not in (None, getattr(platform.sign_in, name)):
            yield f"spec.access.{field}", choice


def _written(own: Oidc) -> dict[str, Any]:
    """Return what a workspace says of a provider: an emptied list or part says nothing."""
    return _without_empty(own.model_dump(exclude={"enabled"}, exclude_none=True))


def _without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    full = {
        name: _without_empty(value) if isinstance(value, Mapping) else value
        for name, value in fields.items()
    }
    return {name: value for name, value in full.items() if value not in ({}, ())}


def _changed_parts(own: Oidc) -> Iterator[tuple[str, SignInChoice]]:
    written = _written(own)
    for name, (field, choice) in _PARTS.items():
        if name in written:
            yield f"{_OIDC}.{field}", choice


def _incomplete(spec: WorkspaceSpec, platform: PlatformSpec) -> Iterator[Problem]:
    access, source = spec.access, provider(spec, platform)
    if access.oidc and access.oidc.enabled and source is None and _written(access.oidc):
        message = (
            f"{_OIDC} names no provider, and the platform has none; add providerURL and clientID, "
            "or ask the platform team to set spec.signIn.oidc of the AIChatPlatform"
        )
        yield Problem(Reason.SIGN_IN_INCOMPLETE, message, _OIDC)
    if (
        source is not None
        and source.roles is not None
        and not any((source.roles.allowed, source.roles.admin))
    ):
        field = f"{_OIDC}.roles"
        yield Problem(Reason.SIGN_IN_INCOMPLETE, f"{field}: {NOBODY_WITHOUT_ROLES}", field)
    if access.password_form is False and source is None:
        field = "spec.access.passwordForm"
        yield Problem(Reason.SIGN_IN_INCOMPLETE, f"{field} is false: {NOBODY_WITHOUT_FORM}", field)
    if access.scim and (source is None or source.verified_email_claim is None):
        field = "spec.access.scim"
        yield Problem(
            Reason.SIGN_IN_INCOMPLETE, f"{field} is true: {SCIM_NEEDS_VERIFIED_EMAIL}", field
        )


def _switch(name: str, spec: WorkspaceSpec, platform: PlatformSpec) -> bool:
    own: bool | None = getattr(spec.access, name)
    shared: bool = getattr(platform.sign_in, name)
    return shared if own is None else own


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the base with the changes, field by field also in objects."""
    merged = {
        name: _merged(base[name] or {}, value) if isinstance(value, Mapping) else value
        for name, value in changes.items()
    }
    return {**base, **merged}
