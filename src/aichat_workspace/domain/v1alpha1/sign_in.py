"""How people sign in to chats: by an identity provider, SCIM, passwords and keys.

The platform has one provider for all workspaces. A workspace may change parts of it, or have its
own. https://docs.openwebui.com/features/auth/sso/ says what Open WebUI makes of them.
"""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StrictBool, StringConstraints

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import SET, DnsName, HttpsUrl

FOR_ALL_WORKSPACES: Final = "*"
"""The value of the annotation of a Secret that the platform's settings name."""
_MAX_ROLES: Final = 32

# Open WebUI follows dots into objects, and then looks for the whole name.
Claim = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[!-~]+$")]
# Open WebUI splits the list at commas, and takes spaces around a role away.
_EDGE: Final = r"[^\x00-\x20\x7f-\xa0,]"
Role = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=128, pattern=rf"^{_EDGE}([^\x00-\x1f\x7f-\x9f,]*{_EDGE})?$"
    ),
]
ClientId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
ProviderName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Roles = Annotated[tuple[Role, ...], Field(max_length=_MAX_ROLES)]
Domains = Annotated[tuple[DnsName, ...], Field(max_length=64)]
# https://www.rfc-editor.org/rfc/rfc6749#section-3.3
Scope = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!#-\[\]-~]+$")]
Scopes = Annotated[tuple[Scope, ...], Field(max_length=16)]

_PROVIDER_URL: Final = "The provider's /.well-known/openid-configuration."
_PUBLIC_CLIENT: Final = (
    "Left out for a public client, which signs in by PKCE alone: the chat's administrators can "
    "read a secret."
)
_EXTRA_SCOPES: Final = (
    "Scopes to ask for besides openid, email and profile, where the provider gives roles or groups "
    "only for a scope of their own, as Dex does for groups. A provider refuses a scope that it "
    "does not know."
)
_PROVIDER_NAME: Final = "What the sign-in button says."
_ROLES_CLAIM: Final = (
    "The claim with a person's roles, as roles or realm_access.roles: a list, or a text with "
    "commas."
)
_ALLOWED_ROLES: Final = "Roles that may use the chat; * for everyone who has any role."
_ADMIN_ROLES: Final = "Roles that administer the chat."
_GROUPS_CLAIM: Final = "The claim with a person's groups: a list, or a text with semicolons."
_CREATE_GROUPS: Final = "Whether a group that the chat does not have is made there."
_ALLOWED_DOMAINS: Final = (
    "Domains of the email addresses that get in, each written out, as example.org; all when left "
    "out."
)
_VERIFIED_EMAIL: Final = (
    "A claim that has a person's address only where the provider has verified it. People are then "
    "known by that address, those without one are refused, and one whose address has an account "
    "in the chat already gets that account. Without it nobody does: Open WebUI does not look at "
    "email_verified."
)


NOBODY_WITHOUT_ROLES: Final = "name a role in allowed or in admin: without any nobody gets in"


class RoleMapping(Schema):
    """Who gets in, and who administers the chat, by roles that the provider gives."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "has(self.allowed) && self.allowed.size() > 0 || "
                    "has(self.admin) && self.admin.size() > 0",
                    NOBODY_WITHOUT_ROLES,
                )
            ]
        }
    )

    claim: Claim = Field(default="roles", description=_ROLES_CLAIM)
    allowed: Roles = Field(default=(), description=_ALLOWED_ROLES, json_schema_extra=SET)
    admin: Roles = Field(default=(), description=_ADMIN_ROLES, json_schema_extra=SET)


class GroupMapping(Schema):
    """The groups of the chat that people are in, by groups that the provider gives."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "has(self.claim) || has(self.create)",
                    "name the claim, or say whether groups are created; leave groups out for none",
                )
            ]
        }
    )

    claim: Claim = Field(default="groups", description=_GROUPS_CLAIM)
    create: StrictBool = Field(default=False, description=_CREATE_GROUPS)


class Provider(Schema):
    """An identity provider, as it is for all workspaces that say nothing else."""

    provider_url: HttpsUrl = Field(alias="providerURL", description=_PROVIDER_URL)
    client_id: ClientId = Field(alias="clientID", description="The chats' client ID there.")
    secret_name: DnsName | None = Field(
        default=None,
        description="A Secret in the system namespace with the key clientSecret and the annotation "
        f"{names.SECRET_FOR_ANNOTATION}: '{FOR_ALL_WORKSPACES}'. Workspaces get copies. "
        f"{_PUBLIC_CLIENT}",
    )
    extra_scopes: Scopes = Field(default=(), description=_EXTRA_SCOPES, json_schema_extra=SET)
    provider_name: ProviderName = Field(default="SSO", description=_PROVIDER_NAME)
    sign_up: StrictBool = Field(
        default=True,
        description="Whether people who sign in there for the first time get an account.",
    )
    roles: RoleMapping | None = Field(
        default=None,
        description="Roles that the provider gives; when left out, everyone whom it signs in is a "
        "user. People who come without any role wait for an administrator.",
    )
    groups: GroupMapping | None = Field(
        default=None,
        description="Groups that the provider gives; the chat's administrators alone decide when "
        "left out.",
    )
    allowed_domains: Domains = Field(
        default=(), description=_ALLOWED_DOMAINS, json_schema_extra=SET
    )
    verified_email_claim: Claim | None = Field(default=None, description=_VERIFIED_EMAIL)


_OWN_PROVIDER_RULES: Final[dict[str, Any]] = {
    "x-kubernetes-validations": [
        rule(
            "has(self.providerURL) == has(self.clientID) && "
            "(has(self.providerURL) || !has(self.secretName))",
            "name providerURL and clientID, and secretName for a client with a secret, for a "
            "provider of its own, or none of them for the platform's",
        ),
        rule(
            "has(self.providerURL) || !has(self.verifiedEmailClaim)",
            "verifiedEmailClaim is the platform's to set for its provider; leave it out, or name a "
            "provider of its own",
        ),
    ]
}


class OwnRoleMapping(Schema):
    """A workspace's roles; the platform's where left out."""

    claim: Claim | None = Field(default=None, description=_ROLES_CLAIM)
    allowed: Roles | None = Field(default=None, description=_ALLOWED_ROLES, json_schema_extra=SET)
    admin: Roles | None = Field(default=None, description=_ADMIN_ROLES, json_schema_extra=SET)


class OwnGroupMapping(Schema):
    """A workspace's groups; the platform's where left out."""

    claim: Claim | None = Field(default=None, description=_GROUPS_CLAIM)
    create: StrictBool | None = Field(default=None, description=_CREATE_GROUPS)


class Oidc(Schema):
    """A workspace's sign-in with an identity provider.

    With providerURL it is its own, of which nothing is the platform's. Without, it is the
    platform's, and what is left out here is as the platform says.
    """

    model_config = ConfigDict(json_schema_extra=_OWN_PROVIDER_RULES)

    enabled: StrictBool = Field(
        default=True, description="False for no provider, not even the platform's."
    )
    provider_url: HttpsUrl | None = Field(
        default=None, alias="providerURL", description=_PROVIDER_URL
    )
    client_id: ClientId | None = Field(
        default=None, alias="clientID", description="The chat's client ID there."
    )
    secret_name: DnsName | None = Field(
        default=None,
        description="A Secret in the system namespace with the key clientSecret, whose annotation "
        f"{names.SECRET_FOR_ANNOTATION} names this workspace. {_PUBLIC_CLIENT}",
    )
    extra_scopes: Scopes | None = Field(
        default=None,
        description=f"{_EXTRA_SCOPES} With the platform's client only scopes that the platform "
        "asks for.",
        json_schema_extra=SET,
    )
    provider_name: ProviderName | None = Field(default=None, description=_PROVIDER_NAME)
    sign_up: StrictBool | None = Field(
        default=None,
        description="Whether people who sign in there for the first time get an account. With "
        "spec.access.signUp and without roles they wait for an administrator, as all who register "
        "do.",
    )
    roles: OwnRoleMapping | None = Field(
        default=None, description="Roles that the provider gives, and what they may do."
    )
    groups: OwnGroupMapping | None = Field(
        default=None, description="Groups that the provider gives."
    )
    allowed_domains: Domains | None = Field(
        default=None, description=_ALLOWED_DOMAINS, json_schema_extra=SET
    )
    verified_email_claim: Claim | None = Field(default=None, description=_VERIFIED_EMAIL)


class SignInChoice(StrEnum):
    """What of signing in a workspace may decide itself."""

    PROVIDER = "Provider"
    """A provider of its own."""
    NO_PROVIDER = "NoProvider"
    """That it has none."""
    PEOPLE = "People"
    """Who gets in by the platform's provider: signUp, roles, domains and scopes."""
    GROUPS = "Groups"
    """Which groups of the platform's provider it takes over."""
    PASSWORD_FORM = "PasswordForm"  # noqa: S105  (a word)
    API_KEYS = "APIKeys"
    SCIM = "SCIM"
    ALL = "*"
    """All of these, and what later releases know."""


NOBODY_WITHOUT_FORM: Final = (
    "without the form nobody could sign in: name a provider in oidc, or leave passwordForm out"
)
SCIM_NEEDS_VERIFIED_EMAIL: Final = (
    "people whom SCIM adds sign in by their address: name oidc.verifiedEmailClaim, or leave scim "
    "out"
)


class SignIn(Schema):
    """How people sign in to chats, where a workspace says nothing else."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "!has(self.passwordForm) || self.passwordForm || has(self.oidc)",
                    NOBODY_WITHOUT_FORM,
                ),
                rule(
                    "!has(self.scim) || !self.scim || "
                    "has(self.oidc) && has(self.oidc.verifiedEmailClaim)",
                    SCIM_NEEDS_VERIFIED_EMAIL,
                ),
            ]
        }
    )

    oidc: Provider | None = Field(
        default=None,
        description="The identity provider of all workspaces; none when left out.",
    )
    password_form: StrictBool = Field(
        default=True,
        description="Whether the page for signing in asks for an address and a password. It does "
        "in a workspace without a provider, whatever this says.",
    )
    api_keys: StrictBool = Field(
        default=False,
        alias="apiKeys",
        description="Whether people may make keys of Open WebUI for programs.",
    )
    scim: StrictBool = Field(
        default=False,
        description="Whether chats serve SCIM 2.0 at /api/v1/scim/v2, where the provider adds, "
        "changes and removes people. Each has a token of its own, in its credentials.",
    )
