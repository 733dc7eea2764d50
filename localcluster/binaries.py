"""Programs built from Go modules, each once for the same sources, flags and toolchain."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from localcluster import once, toolchain
from localcluster.compiling import compile_package
from localcluster.paths import GO_MODULES, cache_dir
from localcluster.progress import Report
from localcluster.provided import Program, provided

_KUBERNETES: Final = "v1.36.3"
# What a program that is there already must be of: 1.36.
_RELEASE: Final = _KUBERNETES.removeprefix("v").rpartition(".")[0]
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
    """A main package of one of our Go modules. `links` are further names it is called by;
    `programs` are those that serve instead where the machine has them already."""

    name: str
    module: str
    package: str
    ldflags: str = "-s -w"
    links: tuple[str, ...] = field(default=())
    programs: tuple[Program, ...] = field(default=(), repr=False)  # not what it is made from


CONTROL_PLANE: Final = (
    Program("etcd", "3.6"),
    Program("kube-apiserver", _RELEASE),
    Program("kube-controller-manager", _RELEASE),
)
_NODE: Final = (
    *CONTROL_PLANE,
    Program("kube-scheduler", _RELEASE),
    Program("kubelet", _RELEASE),
    Program("kube-proxy", _RELEASE),
)
KUBERNETES: Final = GoBinary(
    "kubernetes",
    "kubernetes",
    ".",
    _VERSION_FLAGS,
    links=tuple(program.name for program in _NODE),
    programs=_NODE,
)
COREDNS: Final = GoBinary(
    "coredns", "kubernetes", "./coredns", programs=(Program("coredns", "1", ("-version",)),)
)
KUSTOMIZE: Final = GoBinary(
    "kustomize",
    "tools",
    "sigs.k8s.io/kustomize/kustomize/v5",
    programs=(Program("kustomize", "5", ("version",)),),
)
# Plays nodes whose pods run nothing: https://kwok.sigs.k8s.io
KWOK: Final = GoBinary(
    "kwok",
    "kwok",
    "sigs.k8s.io/kwok/cmd/kwok",
    programs=(Program("kwok", "0.8"),),
)


def ensure_kubernetes(report: Report, *, full: bool) -> Path:
    """The folder of Kubernetes' programs: a node's, or those of a control plane only."""
    given = provided(KUBERNETES.programs if full else CONTROL_PLANE, report)
    return given or _ensure_built(KUBERNETES, report)


def ensure(binary: GoBinary, report: Report) -> Path:
    """The folder that holds the program and its links: the machine's own where its version fits,
    else from the cache, built when that has none.

    Raises:
        CommandFailedError: the build failed; the message holds its last lines. A retry helps when
            it was the network.
    """
    return provided(binary.programs, report) or _ensure_built(binary, report)


def _ensure_built(binary: GoBinary, report: Report) -> Path:
    go = toolchain.ensure(report)
    return once.folder(
        _folder(binary, go), lambda target: _build_with_links(binary, go, target, report)
    )


def kubernetes_built(*, full: bool) -> bool:
    """Whether nothing of Kubernetes needs to be compiled: the cache or the machine has it."""
    if _folder(KUBERNETES, toolchain.find()).exists():
        return True
    return provided(KUBERNETES.programs if full else CONTROL_PLANE, _quiet) is not None


def _quiet(step: str, message: str) -> None:
    """Report nothing."""
    del step, message


def _folder(binary: GoBinary, go: toolchain.Toolchain) -> Path:
    return cache_dir() / "binaries" / f"{binary.name}-{_digest(binary, go.version)}"


def _build_with_links(
    binary: GoBinary, go: toolchain.Toolchain, target: Path, report: Report
) -> None:
    compile_package(
        go,
        binary.package,
        GO_MODULES / binary.module,
        program=target / binary.name,
        ldflags=binary.ldflags,
        environment={**toolchain.environment(go), "CGO_ENABLED": "0"},
        report=report,
    )
    for link in binary.links:
        (target / link).symlink_to(binary.name)


def _digest(binary: GoBinary, go_version: str) -> str:
    """Names the result by all that it is made from."""
    module = GO_MODULES / binary.module
    digest = hashlib.sha256(f"{go_version}\n{binary}\n".encode())
    for path in sorted(path for path in module.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(module)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
