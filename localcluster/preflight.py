"""What a full cluster needs of the machine, checked before anything is begun."""

import os
import subprocess
from collections.abc import Iterator
from typing import Final

from localcluster.errors import MissingPrerequisitesError
from localcluster.images.requirements import DEBIAN_PACKAGES as FOR_IMAGES

_FOR_THE_NODE: Final = {
    "containerd": "runs the containers",
    "runc": "starts them",
    "containernetworking-plugins": "connects them",
    "iproute2": "makes their network",
    "iptables": "makes services reachable",
    "conntrack": "makes services reachable",
}
DEBIAN_PACKAGES: Final = {**_FOR_THE_NODE, **FOR_IMAGES}


def check() -> None:
    """Raises MissingPrerequisitesError with everything that is missing, and the fix of each."""
    problems = [*_problems()]
    if problems:
        raise MissingPrerequisitesError("\n".join(("this machine lacks:", *problems)))


def missing_packages() -> list[str]:
    return [name for name in DEBIAN_PACKAGES if not _installed(name)]


def install() -> None:
    """Install what is missing with apt-get. Raises CalledProcessError when that fails."""
    missing = missing_packages()
    if missing:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", *missing]):
            subprocess.run(["apt-get", *command], check=True, env=environment)


def _problems() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "  - root: a node makes networks and mounts; run this as root"
    missing = missing_packages()
    if missing:
        for name in missing:
            yield f"  - {name}: {DEBIAN_PACKAGES[name]}"
        yield f"    install them with: apt-get install -y {' '.join(missing)}"


def _installed(package: str) -> bool:
    ran = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout == "installed"
