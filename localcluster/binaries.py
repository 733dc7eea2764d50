"""Programs built from Go modules, each once for the same sources, flags and toolchain."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from localcluster import children, once, toolchain
from localcluster.errors import CommandFailedError, last_lines
from localcluster.paths import GO_MODULES, cache_dir
from localcluster.progress import Report

_KUBERNETES: Final = "v1.36.3"
_VERSION_FLAGS: Final = " ".join(
    [
        "-s -w",
        f"-X k8s.io/component-base/version.gitVersion={_KUBERNETES}",
        "-X k8s.io/component-base/version.gitMajor=1",
        "-X k8s.io/component-base/version.gitMinor=36",
    ]
)


@dataclass(frozen=True)
class GoBinary:
    """A main package of one of our Go modules. `links` are further names it is called by."""

    name: str
    module: str
    package: str
    ldflags: str = "-s -w"
    links: tuple[str, ...] = field(default=())


KUBERNETES: Final = GoBinary(
    "kubernetes",
    "kubernetes",
    ".",
    _VERSION_FLAGS,
    (
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
    ),
)
COREDNS: Final = GoBinary("coredns", "kubernetes", "./coredns")
KUSTOMIZE: Final = GoBinary("kustomize", "tools", "sigs.k8s.io/kustomize/kustomize/v5")


def ensure(binary: GoBinary, report: Report) -> Path:
    """The folder that holds the program and its links, building them when the cache has none.

    Raises:
        CommandFailedError: the build failed; the message holds its last lines. A retry helps when
            it was the network.
    """
    go = toolchain.ensure(report)
    return once.folder(
        _folder(binary, go), lambda target: _build_with_links(binary, go, target, report)
    )


def built(binary: GoBinary) -> bool:
    """Whether the cache has the program, so that nothing needs to be compiled."""
    return _folder(binary, toolchain.find()).exists()


def _folder(binary: GoBinary, go: toolchain.Toolchain) -> Path:
    return cache_dir() / "binaries" / f"{binary.name}-{_digest(binary, go.version)}"


def _build_with_links(
    binary: GoBinary, go: toolchain.Toolchain, target: Path, report: Report
) -> None:
    _build(binary, go, target, report)
    for link in binary.links:
        (target / link).symlink_to(binary.name)


def _digest(binary: GoBinary, go_version: str) -> str:
    """Names the result by all that it is made from."""
    module = GO_MODULES / binary.module
    digest = hashlib.sha256(f"{go_version}\n{binary}\n".encode())
    for path in sorted(path for path in module.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(module)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(binary: GoBinary, go: toolchain.Toolchain, target: Path, report: Report) -> None:
    log = target / "build.log"
    module = GO_MODULES / binary.module
    environment = {**toolchain.environment(go), "CGO_ENABLED": "0"}
    command = [str(go.go), "build", "-v", "-trimpath", "-ldflags", binary.ldflags]
    command += ["-o", str(target / binary.name), binary.package]
    report(binary.name, "fetching modules")
    listed = ("list", "-deps", binary.package)  # the first time this fetches its modules
    total = len(toolchain.fetch(go, listed, module, environment, report).splitlines())
    report(binary.name, f"compiling up to {total} packages")

    def tell() -> None:
        done = _compiled(log)
        far = f"compiled {done} of up to {total} packages" if done < total * 0.97 else "linking"
        report(binary.name, far)

    with log.open("wb") as out:
        failed = children.follow(command, out, tell, cwd=module, environment=environment)
    if failed:
        raise CommandFailedError(f"building {binary.name} failed:\n{last_lines(log)}")


def _compiled(log: Path) -> int:
    """Packages named so far; what is said of downloads begins with "go: "."""
    lines = log.read_text(errors="replace").splitlines()
    return sum(not line.startswith(("go: ", "#")) for line in lines)
