from dataclasses import replace

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.secret_references import ReferencedSecret
from aichat_workspace.domain.render import credentials
from aichat_workspace.domain.render.context import Credentials
from tests.unit.domain.samples import workspace

NEW = credentials.new(workspace(), "example.org", "key", "password")


def secret(made_for: str = "", pair: Credentials = NEW) -> Manifest:
    """The Secret of credentials that were made for this text of passwordReset."""
    return credentials.manifest(workspace(access={"passwordReset": made_for}), pair)


def test_credentials_read_back_from_their_secret() -> None:
    assert credentials.read(secret()) == NEW
    assert NEW.admin_email == "admin@team-a-aichat.example.org"


def test_a_token_for_scim_is_kept_beside_them_and_is_no_part_of_their_copies() -> None:
    given = replace(NEW, scim_token="token")
    assert credentials.read(secret(pair=given)) == given
    assert given.digest == NEW.digest
    assert "SCIM_TOKEN" not in secret()["data"]
    assert "token" not in repr(given).replace("scim_token", "")


def test_a_secret_of_an_earlier_namesake_is_not_this_workspaces() -> None:
    assert credentials.belongs_to(secret(), workspace())
    assert not credentials.belongs_to(secret(), workspace(metadata={"uid": "uid-b"}))


def test_a_given_administrator_replaces_the_generated_one_and_keeps_the_key() -> None:
    given = ReferencedSecret("Opaque", {"email": "Ym9zc0BleC50ZXN0", "password": "c2VjcmV0"})
    combined = credentials.with_admin(NEW, given)
    assert (combined.admin_email, combined.admin_password) == ("boss@ex.test", "secret")
    assert combined.secret_key == NEW.secret_key
    assert credentials.with_admin(NEW, None) is NEW


def test_a_new_password_is_made_once_for_each_text_of_password_reset() -> None:
    monday = workspace(access={"passwordReset": "monday"})
    assert not credentials.wants_new_password(workspace(), secret())
    assert credentials.wants_new_password(monday, secret())
    renewed = replace(NEW, admin_password="another")
    assert not credentials.wants_new_password(monday, secret("monday", renewed))


def test_a_key_that_was_taken_out_is_missed_by_name() -> None:
    damaged = {key: text for key, text in secret()["data"].items() if key != "WEBUI_ADMIN_EMAIL"}
    assert credentials.missing(secret()) == ()
    assert credentials.missing({**secret(), "data": damaged}) == ("WEBUI_ADMIN_EMAIL",)
    assert len(credentials.missing({**secret(), "data": None})) == 3


def test_an_empty_password_reset_asks_for_no_new_password() -> None:
    assert not credentials.wants_new_password(workspace(), secret("monday"))
    friday = workspace(access={"passwordReset": "friday"})
    assert credentials.wants_new_password(friday, secret("monday"))


def test_a_given_administrators_password_is_not_the_operators_to_change() -> None:
    given = workspace(access={"adminSecretName": "boss", "passwordReset": "monday"})
    assert not credentials.wants_new_password(given, secret())
