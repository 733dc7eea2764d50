import base64
from collections.abc import Mapping
from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.platform_secrets import (
    MAX_AUTHORITIES_BYTES,
    NO_PLATFORM_SECRETS,
    PULL_SECRET_KEY,
    PULL_SECRET_TYPE,
    PlatformSecrets,
    has_client_secret,
    resolve_client_secret,
    resolve_platform_secrets,
    secret_names,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.samples import CERTIFICATE

KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"


def resolved(
    settings: dict[str, Any],
    secrets: Mapping[str, Manifest] | None = None,
    config_maps: Mapping[str, Manifest] | None = None,
) -> tuple[PlatformSecrets, tuple[Problem, ...]]:
    platform = PlatformSpec.model_validate(settings)
    return resolve_platform_secrets(platform, (secrets or {}).get, (config_maps or {}).get)


def pull_secret(text: str) -> Manifest:
    return {"type": PULL_SECRET_TYPE, "data": {PULL_SECRET_KEY: text}}


def test_settings_that_name_nothing_need_nothing() -> None:
    assert resolved({}) == (NO_PLATFORM_SECRETS, ())


def test_registries_passwords_come_in_the_order_of_the_settings() -> None:
    names = {"imagePullSecretNames": ["b", "a"]}
    secrets = {"a": pull_secret("YQ=="), "b": pull_secret("Yg==")}
    platform_secrets, problems = resolved(names, secrets)
    assert problems == ()
    assert [secret.data[PULL_SECRET_KEY] for secret in platform_secrets.pull_secrets] == [
        "Yg==",
        "YQ==",
    ]
    changed, _ = resolved(names, {**secrets, "a": pull_secret("eA==")})
    assert platform_secrets.pull_digest != changed.pull_digest


@pytest.mark.parametrize(
    "secret",
    [
        None,
        {"type": "Opaque", "data": {PULL_SECRET_KEY: "e30="}},
        {"type": PULL_SECRET_TYPE},
        {"type": PULL_SECRET_TYPE, "data": {PULL_SECRET_KEY: ""}},
    ],
)
def test_a_secret_that_is_missing_or_of_another_type_is_named_with_its_fix(
    secret: Manifest | None,
) -> None:
    secrets = {"registry": secret} if secret else {}
    platform_secrets, (problem,) = resolved({"imagePullSecretNames": ["registry"]}, secrets)
    assert problem.reason == "PullSecretNotFound"
    assert "Secret 'registry'" in problem.message
    assert "aichat-workspace-operator-system" in problem.message
    assert [secret.data for secret in platform_secrets.pull_secrets] == [{}]


def test_of_a_bundle_the_certificates_are_copied_and_nothing_else() -> None:
    text = f"# ours\r\n{CERTIFICATE}\n  # theirs\n{CERTIFICATE}"
    settings = {"trustedAuthorities": {"configMapName": "corp", "key": "bundle.pem"}}
    platform_secrets, problems = resolved(settings, None, {"corp": {"data": {"bundle.pem": text}}})
    assert problems == ()
    assert platform_secrets.authorities is not None
    copied = base64.b64decode(platform_secrets.authorities.data["ca.crt"]).decode()
    assert copied == CERTIFICATE * 2


BUNDLE = {"trustedAuthorities": {"configMapName": "corp"}}
TRUSTED = CERTIFICATE.replace("CERTIFICATE", "TRUSTED CERTIFICATE")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (None, "is not there"),
        ({}, "'ca.crt' has no certificates"),
        ({"other": CERTIFICATE}, "'ca.crt' has no certificates"),
        ({"ca.crt": "not a certificate"}, "'ca.crt' has no certificates"),
        ({"ca.crt": CERTIFICATE.replace("b3Vycw==", "b3Vyc")}, "not base64"),
        ({"ca.crt": CERTIFICATE.replace("b3Vycw==", "äöü")}, "not base64"),
        ({"ca.crt": CERTIFICATE.replace("b3Vycw==\n", "")}, "not base64"),
        ({"ca.crt": CERTIFICATE + CERTIFICATE[:40]}, "no whole certificate"),
        ({"ca.crt": CERTIFICATE[:40] + CERTIFICATE}, "no whole certificate"),
        ({"ca.crt": CERTIFICATE + TRUSTED}, "no whole certificate"),
        ({"ca.crt": CERTIFICATE + KEY}, "no whole certificate"),
        ({"ca.crt": CERTIFICATE + "#" * MAX_AUTHORITIES_BYTES}, "262144 are the limit"),
    ],
)
def test_a_bundle_that_is_missing_or_broken_is_named_with_its_fix(
    data: dict[str, str] | None, fault: str
) -> None:
    config_maps = {} if data is None else {"corp": {"data": data}}
    platform_secrets, (problem,) = resolved(BUNDLE, None, config_maps)
    assert problem.reason == "AuthoritiesNotFound"
    assert "ConfigMap 'corp'" in problem.message
    assert fault in problem.message
    assert platform_secrets.authorities is not None
    assert platform_secrets.authorities.data == {}


def test_a_bundle_is_read_once_for_all_workspaces() -> None:
    config_maps = {"corp": {"data": {"ca.crt": f"# for every workspace\n{CERTIFICATE}"}}}
    first, second = (resolved(BUNDLE, None, config_maps)[0] for _ in range(2))
    assert first.authorities is second.authorities


def test_a_block_of_blanks_without_an_end_is_read_line_by_line() -> None:
    """Something that reads it again from each blank does not come to an end."""
    blanks = "\n" * (MAX_AUTHORITIES_BYTES - 1024)
    text = CERTIFICATE + CERTIFICATE[: CERTIFICATE.index("\n")] + blanks
    _, (problem,) = resolved(BUNDLE, None, {"corp": {"data": {"ca.crt": text}}})
    assert "no whole certificate" in problem.message


FOR_ALL = {"annotations": {"apps.aichatworkspaces.io/for-workspace": "*"}}
CLIENT: Manifest = {"metadata": FOR_ALL, "type": "Opaque", "data": {"clientSecret": "aHVzaA=="}}
WITH_PROVIDER = PlatformSpec.model_validate(
    {
        "imagePullSecretNames": ["registry"],
        "signIn": {
            "oidc": {
                "providerURL": "https://id.example.org/a",
                "clientID": "chats",
                "secretName": "login",
            }
        },
    }
)


def test_the_settings_name_the_client_secret_beside_registries_passwords() -> None:
    assert secret_names(WITH_PROVIDER) == {"registry", "login"}
    assert secret_names(PlatformSpec()) == frozenset()


def test_of_the_client_secret_nothing_else_is_copied() -> None:
    original = {**CLIENT, "data": {**CLIENT["data"], "other": "eA=="}}
    secret, problem = resolve_client_secret(WITH_PROVIDER, {"login": original}.get)
    assert (dict(secret.data), problem) == ({"clientSecret": "aHVzaA=="}, None)
    assert resolve_client_secret(PlatformSpec(), {"login": CLIENT}.get)[1] is None


def test_a_public_client_has_no_secret_and_lacks_none() -> None:
    oidc = {"providerURL": "https://id.example.org/a", "clientID": "chats"}
    public = PlatformSpec.model_validate({"signIn": {"oidc": oidc}})
    assert has_client_secret(WITH_PROVIDER)
    assert not has_client_secret(public)
    assert secret_names(public) == frozenset()
    assert resolve_client_secret(public, lambda _: CLIENT)[1] is None


@pytest.mark.parametrize(
    "secret",
    [
        None,
        {**CLIENT, "data": {}},
        {**CLIENT, "data": None},
        {**CLIENT, "metadata": {}},
        {**CLIENT, "metadata": {"annotations": {"apps.aichatworkspaces.io/for-workspace": "a/b"}}},
    ],
)
def test_a_client_secret_that_is_missing_or_for_one_workspace_is_named_with_its_fix(
    secret: Manifest | None,
) -> None:
    copy, problem = resolve_client_secret(WITH_PROVIDER, lambda _: secret)
    assert problem is not None
    assert problem.reason == "ClientSecretNotFound"
    for word in ("Secret 'login'", "clientSecret", "for-workspace: '*'", "operator-system"):
        assert word in problem.message
    assert dict(copy.data) == {}
