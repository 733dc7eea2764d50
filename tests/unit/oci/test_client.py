"""Logins of registries, and errors that name the fix."""

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from aichat_workspace.oci.address import parse_address
from aichat_workspace.oci.client import Registry, connect, verified
from aichat_workspace.oci.credentials import Login
from aichat_workspace.oci.errors import Cause, OciError
from localcluster.ports import free_port
from tests.contracts.registry import CONFIG, blob_of, send
from tests.fakes.registry import FakeRegistry
from tests.unit.oci.bundles import registry
from tests.waiting import eventually

LOGIN = Login("ann", "secret")
REALM = "https://auth.example.org/token"


def asks_for_password(request: httpx2.Request) -> httpx2.Response | None:
    if request.headers.get("Authorization") == LOGIN.basic:
        return None
    return httpx2.Response(401, headers={"WWW-Authenticate": 'Basic realm="a, b"'})


class TokenServer:
    """Asks for a token, and gives one for a scope."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response | None:
        if request.url.host == "auth.example.org":
            assert request.headers["Authorization"] == LOGIN.basic
            self.scopes.append(request.url.params.get("scope", ""))
            return httpx2.Response(200, json={"token": f"token-{len(self.scopes)}"})
        if request.headers.get("Authorization") == f"Bearer token-{len(self.scopes)}":
            return None
        challenge = f'Bearer realm="{REALM}",service="mirror",scope="repository:x:pull,push"'
        return httpx2.Response(401, headers={"WWW-Authenticate": challenge})


def test_a_password_is_sent_where_it_is_asked_for() -> None:
    fake = FakeRegistry(refuse=asks_for_password)
    with registry(fake, LOGIN) as connected:
        connected.check()
        blob = send(connected, CONFIG)
        assert connected.has_blob("team/thing", blob.digest)


def test_a_token_is_had_once_for_a_repository() -> None:
    server = TokenServer()
    with registry(FakeRegistry(refuse=server), LOGIN) as connected:
        blob = send(connected, CONFIG)
        assert connected.has_blob("team/thing", blob.digest)
    assert server.scopes == ["repository:team/thing:pull,push"]


def test_a_token_that_ran_out_is_renewed() -> None:
    server = TokenServer()
    with registry(FakeRegistry(refuse=server), LOGIN) as connected:
        send(connected, CONFIG)
        server.scopes.append("a new one is needed")
        assert connected.has_blob("team/thing", blob_of(CONFIG).digest)
    assert server.scopes[-1] == "repository:team/thing:pull,push"


@pytest.mark.parametrize("content", [b"{}", b"<html>"])
def test_an_answer_without_a_token_is_an_error(content: bytes) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "auth.example.org":
            return httpx2.Response(200, content=content)
        return httpx2.Response(401, headers={"WWW-Authenticate": f'Bearer realm="{REALM}"'})

    with (
        registry(FakeRegistry(refuse=answer), LOGIN) as connected,
        pytest.raises(OciError, match=f"no token was had from {REALM}: "),
    ):
        connected.check()


def test_a_password_goes_to_no_server_of_tokens_without_tls() -> None:
    def challenge(request: httpx2.Request) -> httpx2.Response:
        assert request.url.host == "mirror.example.org"
        header = 'Bearer realm="http://auth.example.org/token"'
        return httpx2.Response(401, headers={"WWW-Authenticate": header})

    with (
        registry(FakeRegistry(refuse=challenge), LOGIN) as connected,
        pytest.raises(OciError, match="without TLS"),
    ):
        connected.check()


def test_a_password_goes_to_no_other_server_of_uploads() -> None:
    seen: list[tuple[str, str | None]] = []

    def elsewhere(request: httpx2.Request) -> httpx2.Response | None:
        seen.append((request.url.host, request.headers.get("Authorization")))
        if request.url.host == "storage.example.org":
            return httpx2.Response(202 if request.method == "PATCH" else 201)
        if refusal := asks_for_password(request):
            return refusal
        return httpx2.Response(202, headers={"Location": "https://storage.example.org/1"})

    with registry(FakeRegistry(refuse=elsewhere), LOGIN) as connected:
        send(connected, CONFIG)
    assert {host for host, authorization in seen if authorization} == {"mirror.example.org"}


class Elsewhere:
    """A registry that sends uploads and reads of blobs to another host.

    That takes content, and asks for a login else.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.logins: list[tuple[str, str]] = []
        """Host and Authorization of the requests that have one."""
        self.hosts: set[str] = set()

    def __call__(self, request: httpx2.Request) -> httpx2.Response | None:
        self.hosts.add(request.url.host)
        if authorization := request.headers.get("Authorization"):
            self.logins.append((str(request.url.copy_with(path="/", query=None)), authorization))
        if str(request.url).startswith(self.place):
            if request.method == "PATCH":
                return httpx2.Response(202)
            challenge = 'Bearer realm="https://thief.example.org/token",service="x"'
            return httpx2.Response(401, headers={"WWW-Authenticate": challenge})
        if refusal := asks_for_password(request):
            return refusal
        status = 202 if request.method == "POST" else 307
        return httpx2.Response(status, headers={"Location": f"{self.place}/1"})


def upload(connected: Registry) -> None:
    send(connected, CONFIG)


def read(connected: Registry) -> None:
    b"".join(connected.blob("team/thing", blob_of(CONFIG).digest))


FLOWS = pytest.mark.parametrize("flow", [read, upload])


@FLOWS
@pytest.mark.parametrize(
    "place", ["https://storage.example.org", "https://mirror.example.org:8443"]
)
def test_the_login_goes_to_no_place_that_another_host_names(
    flow: Callable[[Registry], None], place: str
) -> None:
    fake = Elsewhere(place)
    with (
        registry(FakeRegistry(refuse=fake), LOGIN) as connected,
        pytest.raises(
            OciError, match=r"status 401 \(.*example.org, where mirror.example.org keeps"
        ),
    ):
        flow(connected)
    assert {url for url, _ in fake.logins} == {"https://mirror.example.org/"}
    assert "thief.example.org" not in fake.hosts


@FLOWS
@pytest.mark.parametrize("place", ["http://storage.example.org", "http://mirror.example.org"])
def test_a_registry_with_tls_names_no_place_without_it(
    flow: Callable[[Registry], None], place: str
) -> None:
    fake = FakeRegistry(refuse=Elsewhere(place))
    with (
        registry(fake, LOGIN) as connected,
        pytest.raises(OciError, match=rf"names {place}/1, without TLS"),
    ):
        flow(connected)


@pytest.mark.parametrize(
    ("status", "login", "fix"),
    [
        (401, None, "docker login mirror.example.org"),
        (403, LOGIN, "let ann read and write mirror.example.org/team/thing"),
        (404, None, "create the project or repository mirror.example.org/team/thing"),
        (413, None, "client_max_body_size 0"),
        (429, None, "try again later"),
    ],
)
def test_a_refusal_names_the_fix(status: int, login: Login | None, fix: str) -> None:
    body = {"errors": [{"code": "DENIED", "message": "no more"}]}
    fake = FakeRegistry(refuse=lambda _: httpx2.Response(status, json=body))
    with registry(fake, login) as connected, pytest.raises(OciError) as caught:
        send(connected, CONFIG)
    assert fix in caught.value.fix
    assert "--" not in caught.value.fix, "options are those of a program"
    assert caught.value.why == "DENIED no more"
    assert caught.value.what.endswith("was not pushed to mirror.example.org/team/thing")


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", "with --ca"),
        ("[SSL: WRONG_VERSION_NUMBER]", "write http://mirror.example.org"),
        ("[Errno 111] Connection refused", "runs and can be reached from here"),
    ],
)
def test_a_registry_that_does_not_answer_is_named_with_the_fix(error: str, fix: str) -> None:
    def refuse(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError(error)

    with registry(FakeRegistry(refuse=refuse)) as connected, pytest.raises(OciError) as caught:
        connected.check()
    assert fix in caught.value.fix
    assert caught.value.cause is Cause.UNREACHABLE


def test_a_registry_that_gives_another_manifest_is_refused() -> None:
    digest = f"sha256:{'0' * 64}"
    body = (
        b'{"layers": [], "config": {"mediaType": "a", "digest": "'
        + digest.encode()
        + b'", "size": 1}}'
    )
    fake = FakeRegistry(refuse=lambda _: httpx2.Response(200, content=body))
    with registry(fake) as connected, pytest.raises(OciError, match="gave another manifest"):
        connected.manifest("team/thing", digest)


def test_a_file_without_authorities_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    with (
        pytest.raises(OciError, match=r"ca.pem can't be read.*--ca"),
        connect(parse_address("mirror.example.org"), authorities=file),
    ):
        pass
    file.write_text("no certificate")
    with (
        pytest.raises(OciError, match=r"--ca"),
        connect(parse_address("mirror.example.org"), authorities=file),
    ):
        pass
    assert issubclass(ssl.SSLError, OSError)


def test_the_end_of_a_short_blob_is_an_error() -> None:
    with pytest.raises(OciError, match="of it: it has sha256"):
        b"".join(verified(iter((CONFIG[1:],)), blob_of(CONFIG), "of it"))


@pytest.mark.parametrize("text", ["", "HOST", "a b", "https://", "host/Path", "ftp://host"])
def test_what_is_no_registry_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(OciError, match="write HOST"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "name", "is_plain"),
    [
        ("mirror.example.org", "mirror.example.org", False),
        ("https://mirror.example.org:5000/a/b/", "mirror.example.org:5000/a/b", False),
        ("http://127.0.0.1:5000", "127.0.0.1:5000", True),
    ],
)
def test_a_registry_has_a_port_a_path_and_perhaps_no_tls(
    text: str, name: str, is_plain: bool
) -> None:
    address = parse_address(text)
    assert (str(address), address.is_plain) == (name, is_plain)


@contextmanager
def local_registry(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the local node's registry as a process of its own."""
    command = [sys.executable, "-m", "localcluster.registry", "--listen", f"127.0.0.1:{port}"]
    options = ["--data", str(folder / "data"), "--models", str(folder / "models")]
    options += ["--blob-host", "localhost", "--upstream", ""]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (our own program)
            [*command, *options], stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(port: int) -> None:
    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    eventually(listens, "the registry listens")


def test_a_registry_that_is_killed_in_the_midst_of_a_blob_gets_only_the_rest_of_it(
    tmp_path: Path,
) -> None:
    size = 24 * 2**20
    whole = os.urandom(2**20) * (size // 2**20)
    port, offsets = free_port(), []
    with (
        ExitStack() as processes,
        connect(parse_address(f"http://127.0.0.1:{port}")) as connected,
    ):
        process = processes.enter_context(local_registry(tmp_path, port))
        wait_for(port)

        def content(offset: int) -> Iterator[bytes]:
            offsets.append(offset)
            for start in range(offset, size, 2**20):
                if len(offsets) == 1 and start >= size // 2:
                    eventually(lambda: _stored_bytes(tmp_path) > 2**20, "something is stored")
                    process.kill()
                    process.wait()
                yield whole[start : min(start + 2**20, size)]

        def start_again(_: float) -> None:
            if len(offsets) == 1:
                processes.enter_context(local_registry(tmp_path, port))
                wait_for(port)

        connected.pause = start_again
        connected.push_blob("team/thing", blob_of(whole), content)
        assert len(offsets) == 2
        assert 2**20 < offsets[1] < size
        assert connected.has_blob("team/thing", blob_of(whole).digest)


def _stored_bytes(folder: Path) -> int:
    uploads = (folder / "data").rglob("uploads/*")
    return sum(path.stat().st_size for path in uploads)


@pytest.mark.parametrize("status", [400, 404, 416])
def test_an_upload_that_the_registry_has_given_up_is_begun_by_the_next_push(status: int) -> None:
    fake = FakeRegistry()

    def refuse(request: httpx2.Request) -> httpx2.Response | None:
        if request.method == "PATCH":
            raise httpx2.WriteError("the connection broke")
        return (
            httpx2.Response(status)
            if "/uploads/" in request.url.path and (request.method == "GET")
            else None
        )

    fake.refuse = refuse
    with (
        registry(fake) as connected,
        pytest.raises(OciError, match="the connection broke") as error,
    ):
        send(connected, CONFIG)
    assert error.value.cause is Cause.UNREACHABLE
    assert "run this again" in error.value.fix
