import base64
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.policy.blocking import blocked_kinds
from aichat_workspace.domain.policy.secret_references import references, resolve
from tests.unit.domain.samples import workspace

OWNER = f"{names.SYSTEM_NAMESPACE}/aichatworkspace-team-a"
OIDC = {"providerURL": "https://id.test/x", "clientID": "c", "secretName": "login"}


def secret(owner: str = OWNER, **data: str) -> dict[str, Any]:
    annotations = {names.SECRET_FOR_ANNOTATION: owner}
    return {"metadata": {"annotations": annotations}, "type": "Opaque", "data": data}


def test_every_field_that_names_a_secret_is_a_reference() -> None:
    referring = workspace(
        ingress={"tls": {"secretName": "certificate"}},
        access={"adminSecretName": "first", "oidc": OIDC},
        connections=[{"name": "big", "url": "https://m.test/v1", "secretName": "models"}],
    )
    secrets = {reference.purpose: reference.secret for reference in references(referring)}
    assert secrets == {
        "tls": "certificate",
        "admin": "first",
        "oidc": "login",
        "connection-big": "models",
    }


def test_a_secret_of_the_workspace_is_resolved_with_the_needed_keys_only() -> None:
    stored = secret(clientSecret="aHVzaA==", other="eA==")
    resolved, problem = resolve(workspace(access={"oidc": OIDC}), lambda _: stored)
    assert problem is None
    assert resolved["oidc"].data == {"clientSecret": "aHVzaA=="}
    assert "aHVzaA==" not in repr(resolved)


@pytest.mark.parametrize("stored", [None, secret("default/other", clientSecret="x"), secret("")])
def test_a_missing_secret_and_anothers_have_the_same_message(
    stored: dict[str, Any] | None,
) -> None:
    resolved, problem = resolve(workspace(access={"oidc": OIDC}), lambda _: stored)
    _, missing = resolve(workspace(access={"oidc": OIDC}), lambda _: None)
    assert [referenced.data for referenced in resolved.values()] == [{}]
    assert problem == missing
    assert problem is not None
    assert f"{names.SECRET_FOR_ANNOTATION}: {OWNER}" in problem.message


@pytest.mark.parametrize(("key", "reason"), [(b"sk-1;2", "SecretNotUsable"), (b"sk-1", None)])
def test_an_api_key_that_open_webui_would_split_is_refused(key: bytes, reason: str | None) -> None:
    connections = [{"name": "big", "url": "https://m.test/v1", "secretName": "models"}]
    stored = secret(apiKey=base64.b64encode(key).decode())
    resolved, problem = resolve(workspace(connections=connections), lambda _: stored)
    assert (problem.reason if problem else None) == reason
    assert bool(resolved["connection-big"].data) == (reason is None)
    if problem:
        assert "apiKey in Secret 'models' of spec.connections[big].secretName" in problem.message
        assert "sk-1" not in problem.message
        assert blocked_kinds([problem]) >= {"Secret", "Deployment"}


def test_a_missing_key_is_named() -> None:
    _, problem = resolve(workspace(access={"oidc": OIDC}), lambda _: secret(wrong="eA=="))
    assert problem is not None
    assert problem.reason == "SecretIncomplete"
    assert "clientSecret" in problem.message
    assert "the platform team adds them in namespace" in problem.message


def test_the_digest_depends_on_the_contents_only() -> None:
    def digest(value: str) -> str:
        stored = secret(clientSecret=value)
        resolved, _ = resolve(workspace(access={"oidc": OIDC}), lambda _: stored)
        return resolved["oidc"].digest

    assert digest("eA==") == digest("eA==") != digest("eQ==")
