"""The page of the chat's settings has exactly the variables that are rendered."""

from typing import Any

import pytest

from aichat_workspace.documentation import chat_settings
from aichat_workspace.documentation.chat_settings import SETTINGS
from aichat_workspace.domain.policy.secret_references import PLATFORM_OIDC, SCIM, connection
from aichat_workspace.domain.render import ReferencedSecret, render
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.samples import CREDENTIALS, workspace

PROVIDER: dict[str, Any] = {
    "providerURL": "https://id.example.org/a",
    "clientID": "chats",
    "secretName": "login",
    "roles": {"allowed": ["staff"]},
    "groups": {"create": True},
    "allowedDomains": ["example.org"],
    "extraScopes": ["groups"],
    "verifiedEmailClaim": "email",
}
EVERYTHING = PlatformSpec.model_validate(
    {
        "signIn": {"oidc": PROVIDER, "passwordForm": False, "apiKeys": True, "scim": True},
        "ingress": {"defaultCertificate": True},
        "network": {"ipFamily": "IPv6"},
    }
)
SERVER = {"name": "a", "url": "https://a.example.org/v1", "secretName": "key"}
SECRETS = {
    PLATFORM_OIDC: ReferencedSecret("Opaque", {"clientSecret": ""}),
    SCIM: ReferencedSecret("Opaque", {"SCIM_TOKEN": ""}),
    connection("a"): ReferencedSecret("Opaque", {"apiKey": ""}),
}


def rendered() -> set[str]:
    """The variables of a chat that asks for everything."""
    manifests = render(workspace(connections=[SERVER]), EVERYTHING, CREDENTIALS, SECRETS)
    (deployment,) = (manifest for manifest in manifests if manifest["kind"] == "Deployment")
    (chat,) = deployment["spec"]["template"]["spec"]["containers"]
    return {variable["name"] for variable in chat["env"]} - {"CONNECTION_0_KEY"}


def test_every_variable_that_is_rendered_has_a_row_and_no_other() -> None:
    variables = [setting.variable for setting in SETTINGS]
    assert variables == sorted(variables)
    assert set(variables) == rendered()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.variable)
def test_a_row_says_whether_the_chat_can_change_it(
    setting: chat_settings.ChatSetting,
) -> None:
    changeable, fixed = chat_settings.page().split("## Never changed in the chat")
    (part, other) = (changeable, fixed) if setting.key else (fixed, changeable)
    assert f"| `{setting.variable}` |" in part
    assert f"| `{setting.variable}` |" not in other
