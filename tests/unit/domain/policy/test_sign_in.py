"""How people sign in: a workspace's own values, the platform's, and what is refused."""

from collections.abc import Sequence
from typing import Any

import pytest

from aichat_workspace.domain.policy import limits, sign_in
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.sign_in import Provider, SignInChoice
from tests.unit.domain.samples import workspace

OWN = {"providerURL": "https://own.example.org/a", "clientID": "own", "secretName": "own"}
SHARED = {
    "providerURL": "https://id.example.org/a",
    "clientID": "chats",
    "secretName": "shared",
    "roles": {"claim": "realm.roles", "allowed": ["staff"], "admin": ["heads"]},
    "allowedDomains": ["example.org"],
    "extraScopes": ["groups", "teams"],
    "verifiedEmailClaim": "verified_email",
}
NO_PROVIDER = PlatformSpec()
PUBLIC = PlatformSpec.model_validate(
    {"signIn": {"oidc": {"providerURL": "https://id.example.org/a", "clientID": "chats"}}}
)


def platform(allowed: Sequence[str] | None = None, **settings: Any) -> PlatformSpec:
    """A platform with a provider."""
    choices = {} if allowed is None else {"allowed": {"signIn": allowed}}
    return PlatformSpec.model_validate({"signIn": {"oidc": SHARED, **settings}, **choices})


def provider(settings: PlatformSpec, **access: Any) -> Provider | None:
    return sign_in.provider(workspace(access=access).spec, settings)


def problems(settings: PlatformSpec, **access: Any) -> list[Problem]:
    return [*sign_in.violations(workspace(access=access).spec, settings)]


class TestTheProvider:
    def test_without_any_there_is_none(self) -> None:
        assert provider(NO_PROVIDER) is None
        assert not sign_in.uses_platforms(workspace().spec, NO_PROVIDER)

    def test_it_is_the_platforms_where_the_workspace_says_nothing(self) -> None:
        assert provider(platform()) == Provider.model_validate(SHARED)
        assert sign_in.uses_platforms(workspace().spec, platform())

    def test_a_workspace_can_do_without(self) -> None:
        without = {"oidc": {"enabled": False}}
        assert provider(platform(), **without) is None
        assert not sign_in.uses_platforms(workspace(access=without).spec, platform())

    def test_its_own_has_nothing_of_the_platforms(self) -> None:
        own = provider(platform(), oidc=OWN)
        assert own == Provider.model_validate(OWN)
        assert own.roles is None
        assert own.provider_name == "SSO"
        assert not sign_in.uses_platforms(workspace(access={"oidc": OWN}).spec, platform())

    def test_parts_of_the_platforms_are_changed_field_by_field(self) -> None:
        changed = provider(platform(), oidc={"roles": {"allowed": ["team-a"]}, "signUp": False})
        assert changed is not None
        assert changed.roles is not None
        assert changed.roles.model_dump() == {
            "claim": "realm.roles",
            "allowed": ("team-a",),
            "admin": ("heads",),
        }
        assert (changed.sign_up, changed.client_id) == (False, "chats")
        assert changed.allowed_domains == ("example.org",)

    def test_a_part_that_the_platform_does_not_have_gets_its_defaults(self) -> None:
        changed = provider(platform(), oidc={"groups": {"create": True}})
        assert changed is not None
        assert changed.groups is not None
        assert changed.groups.model_dump() == {"claim": "groups", "create": True}

    @pytest.mark.parametrize(
        "emptied",
        [
            {},
            {"roles": {}},
            {"groups": {}},
            {"allowedDomains": []},
            {"extraScopes": []},
            {"roles": {"allowed": []}},
        ],
    )
    def test_an_emptied_part_says_nothing(self, emptied: dict[str, Any]) -> None:
        assert provider(platform(), oidc=emptied) == provider(platform())
        assert provider(NO_PROVIDER, oidc={**OWN, **emptied}) == provider(NO_PROVIDER, oidc=OWN)
        assert problems(platform([]), oidc=emptied) == problems(NO_PROVIDER, oidc=emptied) == []

    def test_parts_alone_are_no_provider(self) -> None:
        assert provider(NO_PROVIDER, oidc={"groups": {"create": True}}) is None


class TestTheOtherWaysIn:
    @pytest.mark.parametrize(
        ("settings", "access", "shown"),
        [
            (NO_PROVIDER, {}, True),
            (NO_PROVIDER, {"passwordForm": False}, True),
            (platform(), {}, True),
            (platform(), {"passwordForm": False}, False),
            (platform(passwordForm=False), {}, False),
            (platform(passwordForm=False), {"passwordForm": True}, True),
            (platform(passwordForm=False), {"oidc": {"enabled": False}}, True),
            (NO_PROVIDER, {"oidc": OWN, "passwordForm": False}, False),
        ],
    )
    def test_the_form_is_off_only_where_there_is_a_provider(
        self, settings: PlatformSpec, access: dict[str, Any], shown: bool
    ) -> None:
        assert sign_in.has_password_form(workspace(access=access).spec, settings) is shown

    def test_keys_are_as_the_workspace_says_and_else_as_the_platform_does(self) -> None:
        spec = workspace(access={"apiKeys": False}).spec
        assert sign_in.has_api_keys(workspace().spec, platform(apiKeys=True))
        assert not sign_in.has_api_keys(spec, platform(apiKeys=True))
        assert not sign_in.has_api_keys(workspace().spec, NO_PROVIDER)

    def test_scim_is_served_only_where_people_are_known_by_a_verified_address(self) -> None:
        assert sign_in.has_scim(workspace().spec, platform(scim=True))
        own = workspace(access={"oidc": OWN}).spec
        assert not sign_in.has_scim(own, platform(scim=True))
        assert not sign_in.has_scim(workspace().spec, platform())


class TestWhatIsRefused:
    def test_nothing_is_without_choices_of_its_own(self) -> None:
        assert problems(platform([], apiKeys=True, scim=True, passwordForm=False)) == []

    @pytest.mark.parametrize(
        ("access", "choice", "field"),
        [
            ({"oidc": OWN}, "Provider", "spec.access.oidc.providerURL"),
            ({"oidc": {"enabled": False}}, "NoProvider", "spec.access.oidc.enabled"),
            ({"oidc": {"signUp": False}}, "People", "spec.access.oidc.signUp"),
            ({"oidc": {"roles": {"allowed": ["a"]}}}, "People", "spec.access.oidc.roles"),
            ({"oidc": {"allowedDomains": ["a.b"]}}, "People", "spec.access.oidc.allowedDomains"),
            ({"oidc": {"extraScopes": ["groups"]}}, "People", "spec.access.oidc.extraScopes"),
            ({"oidc": {"groups": {"create": True}}}, "Groups", "spec.access.oidc.groups"),
            ({"passwordForm": False}, "PasswordForm", "spec.access.passwordForm"),
            ({"apiKeys": True}, "APIKeys", "spec.access.apiKeys"),
            ({"scim": True}, "SCIM", "spec.access.scim"),
        ],
    )
    def test_a_choice_is_the_workspaces_only_where_the_platform_leaves_it(
        self, access: dict[str, Any], choice: str, field: str
    ) -> None:
        others = [other for other in SignInChoice if other not in (choice, SignInChoice.ALL)]
        (problem,) = problems(platform(others), **access)
        assert (problem.reason, problem.field) == ("SignInNotAllowed", field)
        assert f"add {choice} to spec.allowed.signIn" in problem.message
        assert problems(platform([choice]), **access) == []
        assert problems(platform(["*"]), **access) == problems(platform(), **access) == []

    @pytest.mark.parametrize(
        "client",
        [
            {},
            {**OWN, "clientID": "chats"},
            {**OWN, "clientID": " Chats"},
            {"providerURL": "https://alias.example.org:443/a", "clientID": "CHATS"},
        ],
    )
    def test_scopes_of_the_platforms_client_are_the_platforms(self, client: dict[str, Any]) -> None:
        wider = {**client, "extraScopes": ["Mail.Read", "groups", "offline_access"]}
        (problem,) = problems(platform(), oidc=wider)
        field = "spec.access.oidc.extraScopes"
        assert (problem.reason, problem.field) == ("SignInNotAllowed", field)
        assert f"{field} has Mail.Read, offline_access, which" in problem.message
        assert "spec.signIn.oidc.extraScopes of the AIChatPlatform" in problem.message
        assert problem in [*limits.violations(workspace(access={"oidc": wider}).spec, platform())]
        assert problems(platform(), oidc={**client, "extraScopes": ["groups"]}) == []

    def test_scopes_of_a_workspaces_own_client_are_the_workspaces(self) -> None:
        own = {**OWN, "extraScopes": ["Mail.Read"]}
        assert problems(platform(), oidc=own) == problems(NO_PROVIDER, oidc=own) == []
        off = {"enabled": False, "extraScopes": ["Mail.Read"]}
        assert problems(platform(), oidc=off) == []

    def test_what_is_as_the_platform_says_is_no_choice(self) -> None:
        assert problems(platform([]), apiKeys=False, passwordForm=True, scim=False) == []
        assert problems(platform([]), oidc={"providerName": "Ours"}) == []
        none = PlatformSpec.model_validate({"allowed": {"signIn": []}})
        assert problems(none, oidc={"enabled": False}) == []

    @pytest.mark.parametrize(
        ("settings", "access", "field", "fix"),
        [
            (NO_PROVIDER, {"oidc": {"signUp": False}}, "oidc", "add providerURL"),
            (NO_PROVIDER, {"passwordForm": False}, "passwordForm", "leave passwordForm out"),
            (
                platform(),
                {"oidc": {"enabled": False}, "passwordForm": False},
                "passwordForm",
                "nobody could sign in",
            ),
            (
                PUBLIC,
                {"oidc": {"roles": {"claim": "roles"}}},
                "oidc.roles",
                "without any nobody gets in",
            ),
            (NO_PROVIDER, {"oidc": {**OWN, "roles": {"claim": "a"}}}, "oidc.roles", "name a role"),
            (NO_PROVIDER, {"scim": True}, "scim", "oidc.verifiedEmailClaim"),
            (platform(), {"oidc": OWN, "scim": True}, "scim", "oidc.verifiedEmailClaim"),
        ],
    )
    def test_a_choice_that_lacks_what_it_needs_is_named_with_its_fix(
        self, settings: PlatformSpec, access: dict[str, Any], field: str, fix: str
    ) -> None:
        (problem,) = problems(settings, **access)
        assert (problem.reason, problem.field) == ("SignInIncomplete", f"spec.access.{field}")
        assert fix in problem.message
        assert problem in [*limits.violations(workspace(access=access).spec, settings)]
