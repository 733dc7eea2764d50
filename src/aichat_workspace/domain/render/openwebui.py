"""Render the chat front-end: Open WebUI in a Deployment, with its data on a claim."""

from typing import Any, Final

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.models.name import parse_model
from aichat_workspace.domain.policy import effective_spec, sign_in
from aichat_workspace.domain.policy.secret_references import (
    CLIENT_SECRET,
    OIDC,
    PLATFORM_OIDC,
    SCIM,
    connection,
)
from aichat_workspace.domain.render import chat_preparation
from aichat_workspace.domain.render.address import has_tls
from aichat_workspace.domain.render.components import OLLAMA_PORT, OPENWEBUI, OPENWEBUI_PORT
from aichat_workspace.domain.render.containers import (
    container_resources,
    container_security,
    env,
    http_probe,
)
from aichat_workspace.domain.render.context import Tenant
from aichat_workspace.domain.render.credentials import SCIM_TOKEN
from aichat_workspace.domain.render.placement import pod_security
from aichat_workspace.domain.render.ways_out import with_ways_out
from aichat_workspace.domain.v1alpha1.network_settings import IpFamily
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.sign_in import Provider

# The image runs as any user of group 0 (open-webui#20813).
_USER: Final = 1000
_ROOT_GROUP: Final = 0
DATA: Final = "/app/backend/data"


def render(tenant: Tenant) -> tuple[Manifest, ...]:
    return (
        tenant.claim(tenant.openwebui, OPENWEBUI),
        tenant.service(tenant.openwebui, OPENWEBUI, OPENWEBUI_PORT),
        _deployment(tenant),
    )


def data_security(platform: PlatformSpec) -> dict[str, Any]:
    """Return the security context of all pods that write the chat's data."""
    return pod_security(platform, _USER, _ROOT_GROUP)


def _deployment(tenant: Tenant) -> Manifest:
    chat = _container(tenant)
    init_container = chat_preparation.container(chat, _administrator(tenant), DATA)
    return tenant.manifest(
        "apps/v1",
        "Deployment",
        tenant.openwebui,
        OPENWEBUI,
        spec={
            "replicas": 0 if tenant.stops_chat else tenant.replicas,
            # Its volume is ReadWriteOnce: the old pod must end before the new one starts.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": tenant.selector(OPENWEBUI)},
            "template": with_ways_out(
                tenant,
                OPENWEBUI,
                tenant.pod_template(
                    OPENWEBUI, chat, data_security(tenant.platform), "data", [init_container]
                ),
            ),
        },
    )


def _container(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": OPENWEBUI,
        "image": tenant.image(OPENWEBUI),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": OPENWEBUI_PORT, "protocol": "TCP"}],
        "env": [*_settings(tenant), *_secret_settings(tenant), *_connections(tenant)],
        "resources": container_resources(tenant.share(OPENWEBUI)),
        # It writes to its static folder at start.
        "securityContext": container_security(read_only_root=False),
        "volumeMounts": [
            {"name": "data", "mountPath": DATA},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (a mount of its own)
        ],
        "startupProbe": http_probe("/health", periodSeconds=2, failureThreshold=300),
        "readinessProbe": http_probe("/health/db", periodSeconds=10, timeoutSeconds=5),
        "livenessProbe": http_probe(
            "/health", periodSeconds=20, timeoutSeconds=10, failureThreshold=6
        ),
    }


def _settings(tenant: Tenant) -> list[dict[str, Any]]:
    """Return Open WebUI's settings.

    https://docs.openwebui.com/getting-started/env-configuration
    """
    ollama_url = f"http://{tenant.ollama}:{OLLAMA_PORT}"
    return env(
        ENV=tenant.spec.workspace_env,
        HOME=DATA,
        PORT=str(OPENWEBUI_PORT),
        OLLAMA_BASE_URL=ollama_url,
        DEFAULT_MODELS=_first_model(tenant),
        ENABLE_OPENAI_API=str(bool(tenant.spec.connections)).lower(),
        # Settings come from the environment at every start, not from the database.
        ENABLE_PERSISTENT_CONFIG="False",
        # Without this, sign-up would be open again after a restart.
        ENABLE_SIGNUP=str(tenant.spec.access.sign_up).lower(),
        # Everyone in a workspace may use every model of the workspace.
        BYPASS_MODEL_ACCESS_CONTROL="true",
        WEBUI_URL=tenant.url,
        CORS_ALLOW_ORIGIN=f"{tenant.url};http://localhost:{OPENWEBUI_PORT};"
        f"http://127.0.0.1:{OPENWEBUI_PORT}",
        # Ollama refuses tools for a model that can't call them (as gemma2), so chats offer none
        # unless a model's own entry says otherwise (domain/models/tools.py).
        DEFAULT_MODEL_PARAMS='{"function_calling": "legacy"}',
        # The model server's embedding model reads documents: Open WebUI downloads none at start.
        RAG_EMBEDDING_ENGINE="ollama",
        RAG_EMBEDDING_MODEL=effective_spec.embedding_model(tenant.spec, tenant.platform) or "",
        RAG_OLLAMA_BASE_URL=ollama_url,
        UVICORN_WORKERS="1",
        ENABLE_VERSION_UPDATE_CHECK="false",
        DO_NOT_TRACK="true",
        **_listener(tenant),
        **_secure_cookies(tenant),
        **_oidc(tenant),
        **_ways_to_sign_in(tenant),
    )


def _listener(tenant: Tenant) -> dict[str, str]:
    """Return where it listens, when that is not IPv4: its server listens on one family only."""
    return {"HOST": "::"} if tenant.platform.network.ip_family is IpFamily.IPV6 else {}


def _secure_cookies(tenant: Tenant) -> dict[str, str]:
    if not has_tls(tenant.spec, tenant.platform):
        return {}
    return dict.fromkeys(("WEBUI_SESSION_COOKIE_SECURE", "WEBUI_AUTH_COOKIE_SECURE"), "true")


def _oidc(tenant: Tenant) -> dict[str, str]:
    """Return the settings of the identity provider.

    https://docs.openwebui.com/features/auth/sso/
    """
    oidc = sign_in.provider(tenant.spec, tenant.platform)
    if oidc is None:
        return {}
    # All new accounts get the same role. Those from the provider may use the chat at once, those
    # who register may not; with both allowed, all wait for an administrator. So do people who come
    # without any role where roles decide: Open WebUI refuses only those who have others.
    is_user = oidc.sign_up and not tenant.spec.access.sign_up and oidc.roles is None
    return {
        "DEFAULT_USER_ROLE": "user" if is_user else "pending",
        "OPENID_PROVIDER_URL": oidc.provider_url,
        "OPENID_REDIRECT_URI": f"{tenant.url}/oauth/oidc/callback",
        "OAUTH_CLIENT_ID": oidc.client_id,
        # A public client has nothing else, and with a secret a stolen code is worth nothing.
        "OAUTH_CODE_CHALLENGE_METHOD": "S256",
        "OAUTH_PROVIDER_NAME": oidc.provider_name,
        "ENABLE_OAUTH_SIGNUP": str(oidc.sign_up).lower(),
        **_scopes(oidc),
        **_roles(oidc),
        **_groups(oidc),
        **_addresses(oidc),
    }


def _scopes(oidc: Provider) -> dict[str, str]:
    """Return Open WebUI's own three with those that are asked for besides."""
    if not oidc.extra_scopes:
        return {}
    scopes = dict.fromkeys(("openid", "email", "profile", *oidc.extra_scopes))
    return {"OAUTH_SCOPES": " ".join(scopes)}


def _roles(oidc: Provider) -> dict[str, str]:
    if oidc.roles is None:
        return {}
    return {
        "ENABLE_OAUTH_ROLE_MANAGEMENT": "true",
        "OAUTH_ROLES_CLAIM": oidc.roles.claim,
        "OAUTH_ALLOWED_ROLES": ",".join(oidc.roles.allowed),
        "OAUTH_ADMIN_ROLES": ",".join(oidc.roles.admin),
    }


def _groups(oidc: Provider) -> dict[str, str]:
    if oidc.groups is None:
        return {}
    return {
        "ENABLE_OAUTH_GROUP_MANAGEMENT": "true",
        "OAUTH_GROUPS_CLAIM": oidc.groups.claim,
        "ENABLE_OAUTH_GROUP_CREATION": str(oidc.groups.create).lower(),
    }


def _addresses(oidc: Provider) -> dict[str, str]:
    settings = {}
    if oidc.allowed_domains:
        settings["OAUTH_ALLOWED_DOMAINS"] = ",".join(oidc.allowed_domains)
    if oidc.verified_email_claim:
        settings["OAUTH_EMAIL_CLAIM"] = oidc.verified_email_claim
        settings["OAUTH_MERGE_ACCOUNTS_BY_EMAIL"] = "true"
    return settings


def _ways_to_sign_in(tenant: Tenant) -> dict[str, str]:
    """Return what is not as Open WebUI has it by itself, so that no other pod changes.

    Without the form the operator's own sign-in, by the same password, goes on:
    ENABLE_PASSWORD_AUTH stays.
    """
    settings = {}
    if not sign_in.has_password_form(tenant.spec, tenant.platform):
        settings["ENABLE_LOGIN_FORM"] = "false"
    if sign_in.has_api_keys(tenant.spec, tenant.platform):
        # The second is the permission of people who are no administrators.
        settings |= {"ENABLE_API_KEYS": "true", "USER_PERMISSIONS_FEATURES_API_KEYS": "true"}
    if sign_in.has_scim(tenant.spec, tenant.platform):
        settings |= {"ENABLE_SCIM": "true", "SCIM_AUTH_PROVIDER": "oidc"}
    return settings


def _connections(tenant: Tenant) -> list[dict[str, Any]]:
    """Return one list of the servers' URLs and one of their keys, as Open WebUI reads them.

    The keys stay in their Secrets, and Kubernetes expands them in the list.
    """
    servers = tenant.spec.connections
    if not servers:
        return []
    key_variables = [f"CONNECTION_{n}_KEY" for n in range(len(servers))]
    return [
        *(
            _from_secret(tenant, variable, connection(server.name), "apiKey")
            for variable, server in zip(key_variables, servers, strict=True)
        ),
        {"name": "OPENAI_API_BASE_URLS", "value": ";".join(server.url for server in servers)},
        {"name": "OPENAI_API_KEYS", "value": ";".join(f"$({name})" for name in key_variables)},
    ]


def _from_secret(tenant: Tenant, name: str, purpose: str, key: str) -> dict[str, Any]:
    reference = {"name": tenant.copy_name(purpose), "key": key}
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}


def _first_model(tenant: Tenant) -> str:
    """Return the model of a new chat, as Ollama lists it; empty without models."""
    return str(parse_model(tenant.spec.models[0])) if tenant.spec.models else ""


def _secret_settings(tenant: Tenant) -> list[dict[str, Any]]:
    variables = [*_administrator(tenant), _from_credentials(tenant, "WEBUI_SECRET_KEY")]
    for purpose in (OIDC, PLATFORM_OIDC):
        if purpose in tenant.referenced:
            secret = _from_secret(tenant, "OAUTH_CLIENT_SECRET", purpose, CLIENT_SECRET)
            variables.append(secret)
    if SCIM in tenant.referenced:
        variables.append(_from_secret(tenant, SCIM_TOKEN, SCIM, SCIM_TOKEN))
    return variables


def _administrator(tenant: Tenant) -> list[dict[str, Any]]:
    keys = ("WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD")
    return [_from_credentials(tenant, key) for key in keys]


def _from_credentials(tenant: Tenant, key: str) -> dict[str, Any]:
    return {"name": key, "valueFrom": {"secretKeyRef": {"name": tenant.secret, "key": key}}}
