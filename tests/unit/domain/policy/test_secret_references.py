from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.policy.secret_references import references, resolve
from tests.unit.domain.samples import workspace

OWNER = f"{names.SYSTEM_NAMESPACE}/aichatworkspace-team-a"
OIDC = {"providerURL": "https://id.test/x", "clientID": "c", "secretName": "login"}


def secret(owner: str = OWNER, **data: str) -> dict[str, Any]:
    marks = {names.SECRET_FOR_ANNOTATION: owner}
    return {"metadata": {"annotations": marks}, "type": "Opaque", "data": data}


def test_every_field_that_names_a_secret_is_a_reference() -> None:
    asked = workspace(
        ingress={"tls": {"secretName": "certificate"}},
        access={"adminSecretName": "first", "oidc": OIDC},
        connections=[{"name": "big", "url": "https://m.test/v1", "secretName": "models"}],
    )
    found = {each.purpose: each.secret for each in references(asked)}
    assert found == {
        "tls": "certificate",
        "admin": "first",
        "oidc": "login",
        "connection-big": "models",
    }


def test_a_secret_that_names_the_workspace_is_found_with_the_keys_it_needs_only() -> None:
    held = secret(clientSecret="aHVzaA==", other="eA==")
    found, problem = resolve(workspace(access={"oidc": OIDC}), lambda _: held)
    assert problem is None
    assert found["oidc"].data == {"clientSecret": "aHVzaA=="}
    assert "aHVzaA==" not in repr(found)


@pytest.mark.parametrize("held", [None, secret("default/other", clientSecret="x"), secret("")])
def test_one_that_is_missing_and_anothers_are_told_in_the_same_words(
    held: dict[str, Any] | None,
) -> None:
    found, problem = resolve(workspace(access={"oidc": OIDC}), lambda _: held)
    _, missing = resolve(workspace(access={"oidc": OIDC}), lambda _: None)
    assert [each.data for each in found.values()] == [{}]
    assert problem == missing
    assert problem is not None
    assert f"{names.SECRET_FOR_ANNOTATION}: {OWNER}" in problem.message


def test_a_missing_key_is_named() -> None:
    _, problem = resolve(workspace(access={"oidc": OIDC}), lambda _: secret(wrong="eA=="))
    assert problem is not None
    assert problem.reason == "SecretIncomplete"
    assert "clientSecret" in problem.message
    assert "the platform team adds them in namespace" in problem.message


def test_contents_decide_the_copys_name() -> None:
    def digest(value: str) -> str:
        held = secret(clientSecret=value)
        found, _ = resolve(workspace(access={"oidc": OIDC}), lambda _: held)
        return found["oidc"].digest

    assert digest("eA==") == digest("eA==") != digest("eQ==")
