"""Build the base of images with a shell and Python: Debian, from the machine's mirror."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from localcluster import certificates
from localcluster.build.images import cache
from localcluster.build.images.oci import EPOCH, Config, Image
from localcluster.build.images.run import run_with_log
from localcluster.progress import Report

NAME: Final = "docker.io/localcluster/base:1"
SUITE: Final = "bookworm"
PACKAGES: Final = (
    "python3",
    "python3-venv",  # so that a Containerfile can install what is locked
    "ca-certificates",
    "libstdc++6",
    "libgomp1",
)
_EXCLUDED: Final = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
# Run with the new root as $1, in this order; AUTHORITY is our certificate's path.
_HOOKS: Final = (
    'cp "$AUTHORITY" "$1/usr/local/share/ca-certificates/localcluster.crt"',
    'chroot "$1" update-ca-certificates',
    'mkdir -p "$1/etc/uv" && touch "$1/etc/uv/uv.toml" "$1/etc/pip.conf"',  # see package_index
    'rm -f "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/apt/sources.list"',
    'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/* "$1/etc/machine-id"',
)
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def ensure_base(report: Report) -> Image:
    """Return the base as an image with ``sh`` and ``python3``."""
    layer = ensure_base_layer(report)
    config = Config(command=("/bin/bash",), environment={"PATH": PATH})
    return cache.ensure_image(NAME, [layer], config)


def ensure_base_layer(report: Report) -> Path:
    """Return the base's only layer; build it if the cache has none.

    Raises:
        CommandFailedError: mmdebstrap failed; a retry helps when it was the network.
    """
    certificate = certificates.ensure().certificate
    inputs = cache.key(SUITE, repr((PACKAGES, _EXCLUDED, _HOOKS)), certificate)
    return cache.ensure("layers", "base", inputs, lambda target: _make(target, certificate, report))


def sources(index_targets: str) -> tuple[str, ...]:
    """Return Debian's own archives among apt's sources, as lines of a sources.list.

    ``index_targets`` has a line with address, suite and component for each source.
    """
    suites = {SUITE, f"{SUITE}-updates", f"{SUITE}-security"}
    targets = (line.split() for line in index_targets.splitlines())
    lines = (
        f"deb {target[0]} {target[1]} main"
        for target in targets
        if len(target) == 3 and target[1] in suites and target[2] == "main"
    )
    return tuple(dict.fromkeys(lines))


def _make(target: Path, certificate: Path, report: Report) -> None:
    report("base image", "making a Debian file system (about 40 s)")
    with cache.scratch() as folder:
        archive = folder / "base.tar"
        run_with_log(
            _command(archive, sources(index_targets())),
            log=folder / "mmdebstrap.log",
            on_tick=lambda lines: report("base image", f"mmdebstrap wrote {lines} lines"),
            environment={
                **os.environ,
                "SOURCE_DATE_EPOCH": str(EPOCH),
                "AUTHORITY": str(certificate),
            },
        )
        archive.rename(target)


def _command(target: Path, mirrors: Iterable[str]) -> list[str]:
    command = ["mmdebstrap", "--variant=essential", f"--include={','.join(PACKAGES)}"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED]
    command += [f"--customize-hook={hook}" for hook in _HOOKS]
    return [*command, SUITE, str(target), *mirrors]


def index_targets() -> str:
    """Return apt's sources; none if there is no apt, so that mmdebstrap uses its default."""
    line_format = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    if shutil.which("apt-get") is None:
        return ""
    command = ["apt-get", "indextargets", "--format", line_format, "Created-By: Packages"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
