"""A real S3-compatible server over a folder: versitygw, built from source."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from aichat_workspace.backup.stores.s3 import connect
from localcluster.build import binaries
from localcluster.certificates import KeyPair
from localcluster.ports import free_port
from localcluster.progress import silent
from tests.waiting import eventually

ACCESS_KEY: Final = "backup"
SECRET_KEY: Final = "made up for tests"
BUCKET: Final = "backups"
_REGION: Final = "us-east-1"
_END_SECONDS: Final = 30


@dataclass(frozen=True)
class S3Server:
    """A server with one empty bucket."""

    endpoint: str
    process_id: int

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the server take connections and answer nothing meanwhile."""
        os.kill(self.process_id, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process_id, signal.SIGCONT)

    @property
    def environment(self) -> dict[str, str]:
        """What a client reads of it."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": _REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def send(self, method: str, path: str, content: bytes = b"") -> httpx2.Response:
        """Send a request of S3's API."""
        with connect(self.environment) as client:
            return client.request(method, path, content=content).raise_for_status()


@contextmanager
def s3_server(
    folder: Path, address: str = "127.0.0.1", pair: KeyPair | None = None
) -> Iterator[S3Server]:
    """Run the server at an address of this machine, with TLS if it has a certificate.

    Its data and its log are in the folder."""
    program = binaries.ensure(binaries.VERSITYGW, silent) / "versitygw"
    (folder / "buckets").mkdir(parents=True)
    port = free_port()
    tls = ("--cert", pair.certificate, "--key", pair.key) if pair else ()
    command = [program, "--port", f"{address}:{port}", *tls, "posix", folder / "buckets"]
    keys = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603  (our own program)
            [str(part) for part in command], env={**os.environ, **keys}, stdout=out, stderr=out
        )
    try:
        eventually(
            lambda: process.poll() is not None or _listens(address, port),
            "the S3 server to listen",
            story=log.read_text,
        )
        assert process.poll() is None, log.read_text()
        server = S3Server(f"{'https' if pair else 'http'}://{address}:{port}", process.pid)
        server.send("PUT", f"/{BUCKET}")
        yield server
    finally:
        process.terminate()
        process.wait(_END_SECONDS)


def _listens(address: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((address, port), timeout=1)):
            return True
    except OSError:
        return False
