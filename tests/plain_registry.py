"""Debian's docker-registry: a plain registry of the OCI distribution API, with blobs on a disk."""

import ssl
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from localcluster.certificates import KeyPair
from tests.waiting import eventually

LOCATION: Final = {"Location": ["?"]}
"""The headers by which Ollama finds a blob: docs/airgapped.md."""


def download(folder: Path) -> Path:
    """Unpack Debian's program, and return it: installed, it would become a service here."""
    folder.mkdir()
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "download", "-qq", "--option=APT::Sandbox::User=root", "docker-registry"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    return folder / "usr" / "bin" / "docker-registry"


@contextmanager
def running(
    program: Path,
    folder: Path,
    address: str,
    headers: Mapping[str, Sequence[str]],
    pair: KeyPair | None = None,
) -> Iterator[None]:
    """Run it with an empty store below ``folder`` at HOST:PORT; with a key pair by TLS."""
    folder.mkdir()
    http: dict[str, Any] = {"addr": address, "headers": {**headers}}
    if pair:
        http["tls"] = {"certificate": str(pair.certificate), "key": str(pair.key)}
    settings = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "store")}},
        "http": http,
    }
    (folder / "registry.yml").write_text(yaml.safe_dump(settings))
    log = folder / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [program, "serve", folder / "registry.yml"], stdout=out, stderr=out
        )
    try:
        url = f"{'https' if pair else 'http'}://{address}/v2/"
        eventually(lambda: _answers(url), "the registry answers", 60, log.read_text)
        yield
    finally:
        server.terminate()
        server.wait(timeout=10)


def _answers(url: str) -> bool:
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    try:
        urllib.request.urlopen(url, timeout=5, context=trust).close()
    except OSError:
        return False
    return True
