"""The chat front-end: Open WebUI in a Deployment, its data on a claim."""

from typing import Any, Final

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.models.name import parse_model
from aichat_workspace.domain.policy import effective_spec
from aichat_workspace.domain.policy.secret_references import OIDC, connection
from aichat_workspace.domain.render import admin_password
from aichat_workspace.domain.render.context import (
    OLLAMA_PORT,
    OPENWEBUI,
    OPENWEBUI_PORT,
    Tenant,
    container_resources,
    container_security,
    env,
    has_tls,
    http_probe,
    pod_security,
)

# The image runs as any user of group 0 (open-webui#20813).
_USER: Final = 1000
_ROOT_GROUP: Final = 0
_DATA: Final = "/app/backend/data"


def render(tenant: Tenant) -> tuple[Manifest, ...]:
    return (
        tenant.claim(tenant.openwebui, OPENWEBUI),
        tenant.service(tenant.openwebui, OPENWEBUI, OPENWEBUI_PORT),
        _deployment(tenant),
    )


def _deployment(tenant: Tenant) -> Manifest:
    chat = _container(tenant)
    first = admin_password.container(chat, _administrator(tenant), _DATA)
    security = pod_security(_USER, _ROOT_GROUP)
    return tenant.manifest(
        "apps/v1",
        "Deployment",
        tenant.openwebui,
        OPENWEBUI,
        spec={
            "replicas": tenant.replicas,
            # Its volume is ReadWriteOnce: the old pod must let go before the new one starts.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": tenant.selector(OPENWEBUI)},
            "template": tenant.pod_template(OPENWEBUI, chat, security, "data", [first]),
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
        # It writes to its own static folder at start.
        "securityContext": container_security(read_only_root=False),
        "volumeMounts": [
            {"name": "data", "mountPath": _DATA},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (a mount of its own)
        ],
        "startupProbe": http_probe("/health", periodSeconds=2, failureThreshold=300),
        "readinessProbe": http_probe("/health/db", periodSeconds=10, timeoutSeconds=5),
        "livenessProbe": http_probe(
            "/health", periodSeconds=20, timeoutSeconds=10, failureThreshold=6
        ),
    }


def _settings(tenant: Tenant) -> list[dict[str, Any]]:
    """https://docs.openwebui.com/getting-started/env-configuration"""
    ollama_url = f"http://{tenant.ollama}:{OLLAMA_PORT}"
    return env(
        ENV=tenant.spec.workspace_env,
        HOME=_DATA,
        PORT=str(OPENWEBUI_PORT),
        OLLAMA_BASE_URL=ollama_url,
        DEFAULT_MODELS=_first_model(tenant),
        ENABLE_OPENAI_API=str(bool(tenant.spec.connections)).lower(),
        # Settings come from here at every start, not from the first start's database.
        ENABLE_PERSISTENT_CONFIG="False",
        # Without this, sign-up would be open again after a restart.
        ENABLE_SIGNUP=str(tenant.spec.access.sign_up).lower(),
        # Everyone in a workspace may use every model of the workspace.
        BYPASS_MODEL_ACCESS_CONTROL="true",
        WEBUI_URL=tenant.url,
        CORS_ALLOW_ORIGIN=f"{tenant.url};http://localhost:{OPENWEBUI_PORT};"
        f"http://127.0.0.1:{OPENWEBUI_PORT}",
        # Ollama refuses tools for a model that can't call them (gemma2 is one), so chats offer none
        # unless a model's own entry says otherwise: domain/models/tools.py.
        DEFAULT_MODEL_PARAMS='{"function_calling": "legacy"}',
        # Documents are read by a model of the model server; nothing is downloaded at start.
        RAG_EMBEDDING_ENGINE="ollama",
        RAG_EMBEDDING_MODEL=effective_spec.embedding_model(tenant.spec, tenant.platform) or "",
        RAG_OLLAMA_BASE_URL=ollama_url,
        UVICORN_WORKERS="1",
        ENABLE_VERSION_UPDATE_CHECK="false",
        DO_NOT_TRACK="true",
        **_secure_cookies(tenant),
        **_oidc(tenant),
    )


def _secure_cookies(tenant: Tenant) -> dict[str, str]:
    if not has_tls(tenant.spec, tenant.platform):
        return {}
    return dict.fromkeys(("WEBUI_SESSION_COOKIE_SECURE", "WEBUI_AUTH_COOKIE_SECURE"), "true")


def _oidc(tenant: Tenant) -> dict[str, str]:
    """https://docs.openwebui.com/features/auth/sso/"""
    oidc = tenant.spec.access.oidc
    if oidc is None:
        return {}
    access = tenant.spec.access
    return {
        # One role for all who are new. Whoever the provider knows may come in at once; whoever
        # registers may not, and with both ways open nobody may.
        "DEFAULT_USER_ROLE": "user" if oidc.sign_up and not access.sign_up else "pending",
        "OPENID_PROVIDER_URL": oidc.provider_url,
        "OPENID_REDIRECT_URI": f"{tenant.url}/oauth/oidc/callback",
        "OAUTH_CLIENT_ID": oidc.client_id,
        "OAUTH_PROVIDER_NAME": oidc.provider_name,
        "ENABLE_OAUTH_SIGNUP": str(oidc.sign_up).lower(),
    }


def _connections(tenant: Tenant) -> list[dict[str, Any]]:
    """Open WebUI reads one list of URLs and one of keys. Kubernetes puts the keys, which stay in
    their Secrets, into the list."""
    found = tenant.spec.connections
    if not found:
        return []
    keys = {f"CONNECTION_{n}_KEY": each for n, each in enumerate(found)}
    return [
        *(
            _from_secret(tenant, name, connection(each.name), "apiKey")
            for name, each in keys.items()
        ),
        {"name": "OPENAI_API_BASE_URLS", "value": ";".join(each.url for each in found)},
        {"name": "OPENAI_API_KEYS", "value": ";".join(f"$({name})" for name in keys)},
    ]


def _from_secret(tenant: Tenant, name: str, purpose: str, key: str) -> dict[str, Any]:
    reference = {"name": tenant.copy_name(purpose), "key": key}
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}


def _first_model(tenant: Tenant) -> str:
    """The model a new chat begins with, by the name that Ollama lists."""
    return str(parse_model(tenant.spec.models[0])) if tenant.spec.models else ""


def _secret_settings(tenant: Tenant) -> list[dict[str, Any]]:
    found = [*_administrator(tenant), _from_credentials(tenant, "WEBUI_SECRET_KEY")]
    if tenant.spec.access.oidc:
        found.append(_from_secret(tenant, "OAUTH_CLIENT_SECRET", OIDC, "clientSecret"))
    return found


def _administrator(tenant: Tenant) -> list[dict[str, Any]]:
    keys = ("WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD")
    return [_from_credentials(tenant, key) for key in keys]


def _from_credentials(tenant: Tenant, key: str) -> dict[str, Any]:
    return {"name": key, "valueFrom": {"secretKeyRef": {"name": tenant.secret, "key": key}}}
