"""A registry as a company has one: at an address of its own, by TLS, and it asks who comes.

It is Debian's docker-registry, in a network namespace; the name of its images is its address, so
that nothing needs to be told to this machine's resolver.
"""

import base64
import json
import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from localcluster import certificates
from localcluster.build.images.package_index import mounts

ADDRESS: Final = "198.51.100.2"  # TEST-NET-2
_NAMESPACE: Final = "demo-registry"
_USER, _PASSWORD = "platform", "only for tests"
_HASH: Final = "$2b$12$aDedLHX7nzDkQ7pLvdale.BsI/oOk1LtUeO2odMNBVF7h546evU8."  # bcrypt
_READY_SECONDS: Final = 30


@dataclass(frozen=True)
class Registry:
    """`folder` is private to the test, and so are buildah's images, settings and trust in it."""

    folder: Path

    @property
    def sign_in(self) -> Path:
        """As `buildah login` writes it."""
        return self.folder / "auth.json"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def environment(self) -> dict[str, str]:
        """In which buildah may push, and its builds reach what this machine's package index is."""
        return {
            **os.environ,
            "HOME": str(self.folder),  # .config/containers/certs.d is read there
            "REGISTRY_AUTH_FILE": str(self.sign_in),
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }

    def buildah(self, *arguments: str) -> None:
        subprocess.run(["buildah", *arguments], env=self.environment(), check=True)

    def tags(self, repository: str) -> list[str]:
        listed: Any = json.loads(_get(f"v2/{repository}/tags/list"))
        return sorted(listed["tags"])


@contextmanager
def running(folder: Path) -> Iterator[Registry]:
    """It runs, and this machine has its network, until the end."""
    registry = Registry(folder)
    _write_settings(registry)
    program = _program(folder)
    _remove_network()
    _add_network()
    command = ["ip", "netns", "exec", _NAMESPACE, str(program), "serve"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*command, str(folder / "registry.yml")], stdout=log, stderr=log)
    try:
        _await(folder / "log")
        yield registry
    finally:
        server.terminate()
        server.wait(timeout=10)
        _remove_network()
        # buildah's driver mounts its folder on itself
        subprocess.run(["umount", registry.store / "overlay"], capture_output=True, check=False)


def _program(folder: Path) -> Path:
    """Debian's, unpacked only: installed, it would become a service of this machine."""
    unpacked = folder / "program"
    unpacked.mkdir()
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "download", "-qq", "--option=APT::Sandbox::User=root", "docker-registry"],
    ):
        subprocess.run(command, cwd=unpacked, check=True)
    (package,) = unpacked.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)
    return unpacked / "usr" / "bin" / "docker-registry"


def _write_settings(registry: Registry) -> None:
    folder = registry.folder
    certificate = certificates.issue(certificates.ensure(), folder / "pki", [ADDRESS])
    (folder / "htpasswd").write_text(f"{_USER}:{_HASH}\n")
    settings = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "auth": {"htpasswd": {"realm": "demo", "path": str(folder / "htpasswd")}},
        "http": {
            "addr": f"{ADDRESS}:443",
            "tls": {"certificate": str(certificate.certificate), "key": str(certificate.key)},
        },
    }
    (folder / "registry.yml").write_text(yaml.safe_dump(settings))

    trusted = folder / ".config" / "containers" / "certs.d" / ADDRESS
    trusted.mkdir(parents=True)
    (trusted / "ca.crt").write_bytes(certificates.ensure().certificate.read_bytes())
    registry.sign_in.write_text(json.dumps({"auths": {ADDRESS: {"auth": _credentials()}}}))
    lent = json.dumps(mounts(os.environ, folder))
    (folder / "containers.conf").write_text(f"[containers]\nvolumes = {lent}\n")
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{registry.store}"\n'
        f'runroot = "{folder / "run"}"\n'
    )


def _credentials() -> str:
    return base64.b64encode(f"{_USER}:{_PASSWORD}".encode()).decode()


def _add_network() -> None:
    inside = ("-n", _NAMESPACE)
    for command in (
        ("netns", "add", _NAMESPACE),
        ("link", "add", _NAMESPACE, "type", "veth", "peer", "name", "eth0", "netns", _NAMESPACE),
        ("addr", "add", "198.51.100.1/30", "dev", _NAMESPACE),
        ("link", "set", _NAMESPACE, "up"),
        (*inside, "addr", "add", f"{ADDRESS}/30", "dev", "eth0"),
        (*inside, "link", "set", "eth0", "up"),
    ):
        subprocess.run(["ip", *command], check=True)


def _remove_network() -> None:
    """Its end of the pair of devices, and with it ours, goes with the namespace."""
    subprocess.run(["ip", "netns", "delete", _NAMESPACE], capture_output=True, check=False)


def _await(log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            _get("v2/")
        except OSError as error:  # refused, or reset while it starts
            if time.monotonic() > deadline:
                raise AssertionError(f"no registry: {error}\n{log.read_text()}") from error
            time.sleep(0.1)
        else:
            return


def _get(path: str) -> bytes:
    request = urllib.request.Request(
        f"https://{ADDRESS}/{path}", headers={"Authorization": f"Basic {_credentials()}"}
    )
    trust = ssl.create_default_context(cafile=str(certificates.ensure().certificate))
    with urllib.request.urlopen(request, timeout=5, context=trust) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body
