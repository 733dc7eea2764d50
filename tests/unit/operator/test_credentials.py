from aichat_workspace.domain.render import ReferencedSecret
from aichat_workspace.operator import credentials
from tests.unit.domain.samples import workspace


def test_two_workspaces_never_get_the_same_credentials() -> None:
    first, second = (credentials.generate(workspace(), "example.org") for _ in range(2))
    assert first.secret_key != second.secret_key
    assert first.admin_password != second.admin_password


def test_credentials_read_back_from_their_secret() -> None:
    generated = credentials.generate(workspace(), "example.org")
    assert credentials.read(credentials.manifest(workspace(), generated)) == generated
    assert generated.admin_email == "admin@team-a-aichat.example.org"


def test_a_secret_of_an_earlier_resource_belongs_to_another() -> None:
    secret = credentials.manifest(workspace(), credentials.generate(workspace(), "example.org"))
    assert credentials.belongs_to(secret, workspace())
    assert not credentials.belongs_to(secret, workspace(metadata={"uid": "uid-b"}))


def test_the_platforms_administrator_replaces_the_generated_one_and_keeps_the_key() -> None:
    generated = credentials.generate(workspace(), "localtest.me")
    given = ReferencedSecret("Opaque", {"email": "Ym9zc0BleC50ZXN0", "password": "c2VjcmV0"})
    replaced = credentials.with_admin(generated, given)
    assert (replaced.admin_email, replaced.admin_password) == ("boss@ex.test", "secret")
    assert replaced.secret_key == generated.secret_key
    assert credentials.with_admin(generated, None) is generated


def test_each_text_of_password_reset_requests_one_new_password() -> None:
    with_reset = workspace(access={"passwordReset": "monday"})
    generated = credentials.generate(workspace(), "localtest.me")
    secret = credentials.manifest(workspace(), generated)
    assert not credentials.wants_new_password(workspace(), secret)
    assert credentials.wants_new_password(with_reset, secret)
    renewed = credentials.with_new_password(generated)
    assert renewed.admin_password != generated.admin_password
    assert renewed.secret_key == generated.secret_key
    assert not credentials.wants_new_password(with_reset, credentials.manifest(with_reset, renewed))


def test_a_removed_key_is_missing() -> None:
    secret = credentials.manifest(workspace(), credentials.generate(workspace(), "localtest.me"))
    assert credentials.missing(secret) == ()
    del secret["data"]["WEBUI_ADMIN_EMAIL"]
    assert credentials.missing(secret) == ("WEBUI_ADMIN_EMAIL",)
    assert len(credentials.missing({**secret, "data": None})) == 3


def test_removing_password_reset_requests_nothing() -> None:
    with_reset = workspace(access={"passwordReset": "monday"})
    renewed = credentials.manifest(with_reset, credentials.generate(with_reset, "localtest.me"))
    assert not credentials.wants_new_password(workspace(), renewed)
    assert credentials.wants_new_password(workspace(access={"passwordReset": "friday"}), renewed)


def test_the_platforms_administrator_keeps_their_password() -> None:
    given = workspace(access={"adminSecretName": "boss", "passwordReset": "monday"})
    secret = credentials.manifest(workspace(), credentials.generate(workspace(), "localtest.me"))
    assert not credentials.wants_new_password(given, secret)
