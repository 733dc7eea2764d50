from aichat_workspace.operator import secrets
from tests.unit.domain.samples import workspace


def test_two_workspaces_never_get_the_same_credentials() -> None:
    one, other = (secrets.generate(workspace(), "example.org") for _ in range(2))
    assert one.secret_key != other.secret_key
    assert one.admin_password != other.admin_password


def test_credentials_read_back_from_their_secret() -> None:
    made = secrets.generate(workspace(), "example.org")
    assert secrets.read(secrets.manifest(workspace(), made)) == made
    assert made.admin_email == "admin@team-a-aichat.example.org"


def test_a_secret_of_an_earlier_namesake_is_not_this_workspaces() -> None:
    secret = secrets.manifest(workspace(), secrets.generate(workspace(), "example.org"))
    assert secrets.belongs(secret, workspace())
    assert not secrets.belongs(secret, workspace(metadata={"uid": "uid-b"}))
