from aichat_workspace.domain.render import ReferencedSecret
from aichat_workspace.operator import credentials
from tests.unit.domain.samples import workspace


def test_two_workspaces_never_get_the_same_credentials() -> None:
    one, other = (credentials.generate(workspace(), "example.org") for _ in range(2))
    assert one.secret_key != other.secret_key
    assert one.admin_password != other.admin_password


def test_credentials_read_back_from_their_secret() -> None:
    made = credentials.generate(workspace(), "example.org")
    assert credentials.read(credentials.manifest(workspace(), made)) == made
    assert made.admin_email == "admin@team-a-aichat.example.org"


def test_a_secret_of_an_earlier_namesake_is_not_this_workspaces() -> None:
    secret = credentials.manifest(workspace(), credentials.generate(workspace(), "example.org"))
    assert credentials.belongs_to(secret, workspace())
    assert not credentials.belongs_to(secret, workspace(metadata={"uid": "uid-b"}))


def test_a_given_administrator_replaces_the_generated_one_and_keeps_the_key() -> None:
    made = credentials.generate(workspace(), "localtest.me")
    given = ReferencedSecret("Opaque", {"email": "Ym9zc0BleC50ZXN0", "password": "c2VjcmV0"})
    found = credentials.with_admin(made, given)
    assert (found.admin_email, found.admin_password) == ("boss@ex.test", "secret")
    assert found.secret_key == made.secret_key
    assert credentials.with_admin(made, None) is made


def test_a_new_password_is_made_once_for_each_text_of_password_reset() -> None:
    asked = workspace(access={"passwordReset": "monday"})
    made = credentials.generate(workspace(), "localtest.me")
    held = credentials.manifest(workspace(), made)
    assert not credentials.wants_new_password(workspace(), held)
    assert credentials.wants_new_password(asked, held)
    renewed = credentials.with_new_password(made)
    assert renewed.admin_password != made.admin_password
    assert renewed.secret_key == made.secret_key
    assert not credentials.wants_new_password(asked, credentials.manifest(asked, renewed))


def test_a_key_that_was_taken_out_is_missed_by_name() -> None:
    secret = credentials.manifest(workspace(), credentials.generate(workspace(), "localtest.me"))
    assert credentials.missing(secret) == ()
    del secret["data"]["WEBUI_ADMIN_EMAIL"]
    assert credentials.missing(secret) == ("WEBUI_ADMIN_EMAIL",)
    assert len(credentials.missing({**secret, "data": None})) == 3


def test_nobody_asks_for_a_new_password_by_taking_the_wish_out() -> None:
    asked = workspace(access={"passwordReset": "monday"})
    renewed = credentials.manifest(asked, credentials.generate(asked, "localtest.me"))
    assert not credentials.wants_new_password(workspace(), renewed)
    assert credentials.wants_new_password(workspace(access={"passwordReset": "friday"}), renewed)


def test_a_given_administrators_password_is_not_the_operators_to_change() -> None:
    given = workspace(access={"adminSecretName": "boss", "passwordReset": "monday"})
    held = credentials.manifest(workspace(), credentials.generate(workspace(), "localtest.me"))
    assert not credentials.wants_new_password(given, held)
