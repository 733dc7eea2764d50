from aichat_workspace.operator.credentials import new_secrets


def test_two_workspaces_never_get_the_same_credentials() -> None:
    first, second = new_secrets(), new_secrets()
    assert first.secret_key != second.secret_key
    assert first.admin_password != second.admin_password


def test_secrets_do_not_show() -> None:
    secrets = new_secrets()
    assert secrets.secret_key not in repr(secrets)
    assert secrets.admin_password not in repr(secrets)
