"""The private registry of the tests on a node, on loopback."""

import gc
import hashlib
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from localcluster import certificates
from localcluster.build.images.oci import Config, Image, write_archive
from tests.e2e.private_registry import (
    PASSWORD,
    USER,
    PrivateRegistry,
    basic,
    docker_config,
    private_registry,
)

RIGHT = basic(USER, PASSWORD)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    layer = tmp_path / "layer.tar"
    layer.write_bytes(b"a layer")
    return write_archive(tmp_path / "image.tar", "example.org/a/b:1", [layer], Config())


@pytest.fixture
def authority(tmp_path: Path) -> certificates.KeyPair:
    return certificates.ensure(tmp_path / "authority")


@pytest.fixture
def registry(
    image: Image, authority: certificates.KeyPair, tmp_path: Path
) -> Iterator[PrivateRegistry]:
    pair = certificates.issue(authority, tmp_path, ["127.0.0.1"])
    with private_registry({"a/b": image.archive}, pair, "127.0.0.1") as registry:
        yield registry


def fetch(
    registry: PrivateRegistry,
    authority: certificates.KeyPair,
    path: str,
    authorization: str = RIGHT,
) -> httpx2.Response:
    """As a container runtime asks."""
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    with httpx2.Client(verify=trust, headers={"Authorization": authorization}) as client:
        return client.get(f"https://127.0.0.1:{registry.port}/v2/{path}")


def test_an_image_is_pulled_with_the_password(
    registry: PrivateRegistry, authority: certificates.KeyPair, image: Image
) -> None:
    manifest = fetch(registry, authority, "a/b/manifests/1").content
    assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == image.digest
    for descriptor in (json.loads(manifest)["config"], *json.loads(manifest)["layers"]):
        blob = fetch(registry, authority, f"a/b/blobs/{descriptor['digest']}").content
        assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == descriptor["digest"]
    assert registry.served == ["a/b"]
    assert registry.refused == 0


@pytest.mark.parametrize("authorization", ["", basic(USER, "another"), "Bearer x"])
def test_without_the_password_nothing_is(
    registry: PrivateRegistry, authority: certificates.KeyPair, authorization: str
) -> None:
    for path in ("", "a/b/manifests/1", f"a/b/blobs/sha256:{'0' * 64}"):
        response = fetch(registry, authority, path, authorization)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic")
    assert (registry.refused, registry.served) == (3, [])


def test_without_the_authority_it_is_not_trusted(registry: PrivateRegistry, tmp_path: Path) -> None:
    another = certificates.ensure(tmp_path / "another")
    with pytest.raises(httpx2.ConnectError, match="certificate verify failed"):
        fetch(registry, another, "")


def test_what_it_has_not_is_not_found(
    registry: PrivateRegistry, authority: certificates.KeyPair
) -> None:
    for path in ("c/manifests/1", f"c/blobs/sha256:{'0' * 64}", f"a/b/blobs/sha256:{'0' * 64}"):
        assert fetch(registry, authority, path).status_code == 404


def test_the_login_file_has_the_password_for_the_registry() -> None:
    login = json.loads(docker_config("192.0.2.10:5444"))
    auth = login["auths"]["192.0.2.10:5444"]["auth"]
    assert f"Basic {auth}" == RIGHT


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_an_idle_client_leaves_no_connection(
    authority: certificates.KeyPair, tmp_path: Path
) -> None:
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    pair = certificates.issue(authority, tmp_path, ["127.0.0.1"])
    with private_registry({}, pair, "127.0.0.1") as registry:
        client = trust.wrap_socket(
            socket.create_connection(("127.0.0.1", registry.port)), server_hostname="127.0.0.1"
        )
        client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n")
        assert client.recv(100)
    gc.collect()  # what is left open warns now
    client.close()
