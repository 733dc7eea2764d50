"""Generate the page of Open WebUI's settings: which come from the resources, and what lasts.

A test on a node compares the keys with the source text in the image (tests/e2e/test_people.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aichat_workspace.documentation.markdown import GENERATED, table
from aichat_workspace.domain import versions

_FIXED: Final = "always the same"
_MADE: Final = "made by the operator"
_ADDRESS: Final = "`spec.ingress` of both"
_TLS: Final = "on with TLS"
_PROVIDER: Final = "`oidc.{}`"


@dataclass(frozen=True, slots=True)
class ChatSetting:
    """A variable of Open WebUI that the operator sets."""

    variable: str
    source: str
    """Where its value comes from, in Markdown."""
    key: str = ""
    """The key under which administrators change it in the chat; empty where they can't."""


SETTINGS: Final = (
    ChatSetting("BYPASS_MODEL_ACCESS_CONTROL", _FIXED),
    ChatSetting("CORS_ALLOW_ORIGIN", _ADDRESS),
    ChatSetting("DEFAULT_MODELS", "`spec.models`, the first", "ui.default_models"),
    ChatSetting("DEFAULT_MODEL_PARAMS", _FIXED, "models.default_params"),
    ChatSetting(
        "DEFAULT_USER_ROLE", "`oidc`, `oidc.roles` and `access.signUp`", "ui.default_user_role"
    ),
    ChatSetting("DO_NOT_TRACK", _FIXED),
    ChatSetting("ENABLE_API_KEYS", "`apiKeys`", "auth.enable_api_keys"),
    ChatSetting("ENABLE_LOGIN_FORM", "`passwordForm`", "ui.enable_login_form"),
    ChatSetting(
        "ENABLE_OAUTH_GROUP_CREATION", _PROVIDER.format("groups"), "oauth.enable_group_creation"
    ),
    ChatSetting(
        "ENABLE_OAUTH_GROUP_MANAGEMENT", _PROVIDER.format("groups"), "oauth.enable_group_mapping"
    ),
    ChatSetting(
        "ENABLE_OAUTH_ROLE_MANAGEMENT", _PROVIDER.format("roles"), "oauth.enable_role_mapping"
    ),
    ChatSetting("ENABLE_OAUTH_SIGNUP", _PROVIDER.format("signUp"), "oauth.enable_signup"),
    ChatSetting("ENABLE_OPENAI_API", "`spec.connections`", "openai.enable"),
    ChatSetting("ENABLE_PERSISTENT_CONFIG", _FIXED),
    ChatSetting("ENABLE_SCIM", "`scim`"),
    ChatSetting("ENABLE_SIGNUP", "`access.signUp`", "ui.enable_signup"),
    ChatSetting("ENABLE_VERSION_UPDATE_CHECK", _FIXED),
    ChatSetting("ENV", "`spec.workspaceENV`"),
    ChatSetting("HOME", _FIXED),
    ChatSetting("HOST", "`spec.network.ipFamily` of the platform"),
    ChatSetting("OAUTH_ADMIN_ROLES", _PROVIDER.format("roles"), "oauth.admin_roles"),
    ChatSetting(
        "OAUTH_ALLOWED_DOMAINS", _PROVIDER.format("allowedDomains"), "oauth.allowed_domains"
    ),
    ChatSetting("OAUTH_ALLOWED_ROLES", _PROVIDER.format("roles"), "oauth.allowed_roles"),
    ChatSetting("OAUTH_CLIENT_ID", _PROVIDER.format("clientID"), "oauth.client_id"),
    ChatSetting("OAUTH_CLIENT_SECRET", _PROVIDER.format("secretName"), "oauth.client_secret"),
    ChatSetting("OAUTH_CODE_CHALLENGE_METHOD", _FIXED, "oauth.code_challenge_method"),
    ChatSetting("OAUTH_EMAIL_CLAIM", _PROVIDER.format("verifiedEmailClaim"), "oauth.email_claim"),
    ChatSetting("OAUTH_GROUPS_CLAIM", _PROVIDER.format("groups"), "oauth.group_claim"),
    ChatSetting(
        "OAUTH_MERGE_ACCOUNTS_BY_EMAIL",
        _PROVIDER.format("verifiedEmailClaim"),
        "oauth.merge_accounts_by_email",
    ),
    ChatSetting("OAUTH_PROVIDER_NAME", _PROVIDER.format("providerName"), "oauth.provider_name"),
    ChatSetting("OAUTH_ROLES_CLAIM", _PROVIDER.format("roles"), "oauth.roles_claim"),
    ChatSetting("OAUTH_SCOPES", _PROVIDER.format("extraScopes"), "oauth.scopes"),
    ChatSetting("OLLAMA_BASE_URL", _MADE, "ollama.base_urls"),
    ChatSetting("OPENAI_API_BASE_URLS", "`spec.connections`", "openai.api_base_urls"),
    ChatSetting("OPENAI_API_KEYS", "`spec.connections`", "openai.api_keys"),
    ChatSetting("OPENID_PROVIDER_URL", _PROVIDER.format("providerURL"), "oauth.provider_url"),
    ChatSetting("OPENID_REDIRECT_URI", _ADDRESS, "oauth.redirect_uri"),
    ChatSetting("PORT", _FIXED),
    ChatSetting("RAG_EMBEDDING_ENGINE", _FIXED, "rag.embedding_engine"),
    ChatSetting("RAG_EMBEDDING_MODEL", "`spec.embeddingModel`", "rag.embedding_model"),
    ChatSetting("RAG_OLLAMA_BASE_URL", _MADE, "rag.ollama.base_url"),
    ChatSetting("SCIM_AUTH_PROVIDER", "`scim`"),
    ChatSetting("SCIM_TOKEN", "`scim`; made by the operator"),
    ChatSetting("USER_PERMISSIONS_FEATURES_API_KEYS", "`apiKeys`", "user.permissions"),
    ChatSetting("UVICORN_WORKERS", _FIXED),
    ChatSetting("WEBUI_ADMIN_EMAIL", "made, or `access.adminSecretName`"),
    ChatSetting("WEBUI_ADMIN_PASSWORD", "made, or `access.adminSecretName`"),
    ChatSetting("WEBUI_AUTH_COOKIE_SECURE", _TLS),
    ChatSetting("WEBUI_SECRET_KEY", _MADE),
    ChatSetting("WEBUI_SESSION_COOKIE_SECURE", _TLS),
    ChatSetting("WEBUI_URL", _ADDRESS, "webui.url"),
)
DERIVED: Final = frozenset({"OLLAMA_BASE_URL", "USER_PERMISSIONS_FEATURES_API_KEYS"})
"""Variables that are only a part of their key's value."""
_DATA: Final = (
    "chats, users, groups and their permissions, prompts, tools, functions, knowledge, entries of "
    "models"
)
_IN_MEMORY: Final = (
    "until the chat's pod starts again: then it is as below, or Open WebUI's own default"
)
_INTRODUCTION: Final = f"""# The chat's settings

Open WebUI {versions.OPEN_WEBUI} has some 430 settings in its administrators' pages. This is what
becomes of a change there.

| what | how long it lasts |
|---|---|
| {_DATA} | as long as the chat's volume |
| every setting of the administrators' pages | {_IN_MEMORY} |
| variables without a key below | nobody changes them in the chat |

Settings are read from the resources at every start (`ENABLE_PERSISTENT_CONFIG` is off), so what a
database has kept of an earlier installation does not count, either. A pod starts again after each
change of the spec, a new image, a restart on demand, or the loss of its node. Change a setting for
good in the resource; one that no field has can't be kept yet.

`oidc`, `passwordForm`, `apiKeys` and `scim` are below `spec.access` of a workspace, and below
`spec.signIn` of the AIChatPlatform for all. A variable is set only where its field asks for
something."""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join((*_lines(), ""))


def _lines() -> Iterator[str]:
    changeable = [setting for setting in SETTINGS if setting.key]
    yield from (GENERATED, _INTRODUCTION, "", "## Until the next start", "")
    yield from table(
        ("variable", "key in Open WebUI", "comes from"),
        ((f"`{row.variable}`", f"`{row.key}`", row.source) for row in changeable),
    )
    fixed = [setting for setting in SETTINGS if not setting.key]
    yield from ("", "## Never changed in the chat", "")
    yield from table(
        ("variable", "comes from"), ((f"`{row.variable}`", row.source) for row in fixed)
    )
