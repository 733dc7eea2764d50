"""Logins are read as `docker login` writes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.oci.credentials import Login, docker_config, read_login
from aichat_workspace.oci.errors import Cause, OciError

HOST = "mirror.example.org:5000"
AUTH = {"auth": "YW5uOnNlOmNyZXQ="}  # ann:se:cret


def file(folder: Path, content: Any) -> Path:
    path = folder / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}"])
def test_a_login_is_had_by_the_registrys_name(tmp_path: Path, key: str) -> None:
    path = file(tmp_path, {"auths": {key: AUTH, "other": {"auth": "eDp5"}}})
    assert read_login(path, HOST) == Login("ann", "se:cret")


def test_docker_hub_has_a_name_of_its_own(tmp_path: Path) -> None:
    path = file(tmp_path, {"auths": {"https://index.docker.io/v1/": AUTH}})
    assert read_login(path, "docker.io") == Login("ann", "se:cret")


@pytest.mark.parametrize("content", [{}, {"auths": {}}, {"auths": {"other": AUTH}}])
def test_no_login_is_none(tmp_path: Path, content: Any) -> None:
    assert read_login(file(tmp_path, content), HOST) is None
    assert read_login(tmp_path / "nothing.json", HOST) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "can't be read"),
        ("[]", "can't be read"),
        ({"auths": {HOST: {"auth": "x"}}}, "unreadable login"),
    ],
)
def test_a_file_that_does_not_help_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(OciError, match=message) as caught:
        read_login(file(tmp_path, content), HOST)
    assert "DOCKER_CONFIG" in caught.value.fix
    assert caught.value.cause is Cause.INPUT


@pytest.mark.parametrize(
    "helper", [{"credsStore": "desktop"}, {"credHelpers": {HOST: "desktop"}, "credsStore": "other"}]
)
def test_a_password_in_a_helper_is_a_login_that_callers_have_to_name(
    tmp_path: Path, helper: Any
) -> None:
    with pytest.raises(OciError, match=r"credential helper desktop") as caught:
        read_login(file(tmp_path, {"auths": {HOST: {}}, **helper}), HOST)
    assert (caught.value.cause, caught.value.fix) == (Cause.LOGIN, "")


def test_the_file_is_dockers() -> None:
    assert docker_config({}, Path("/home/ann")) == Path("/home/ann/.docker/config.json")
    assert docker_config({"DOCKER_CONFIG": "/x"}, Path("/home/ann")) == Path("/x/config.json")


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Login("ann", "secret"))
