"""Build programs from Go modules, each once for the same sources, flags and toolchain."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from localcluster.build import toolchain
from localcluster.build.compiler import GoPackage, compile_package
from localcluster.build.provided import Program, provided_folder
from localcluster.errors import CommandFailedError
from localcluster.paths import GO_MODULES, cache_dir, kubernetes_release
from localcluster.processes import locks
from localcluster.progress import Report, silent

_KUBERNETES: Final = "v1.36.3"


def _release(version: str) -> str:
    """Return the release of a version, as 1.36 of v1.36.3."""
    return version.removeprefix("v").rpartition(".")[0]


def _version_flags(version: str) -> str:
    return " ".join(
        [
            "-s -w",
            f"-X k8s.io/component-base/version.gitVersion={version}",
            "-X k8s.io/component-base/version.gitMajor=1",
            f"-X k8s.io/component-base/version.gitMinor={_release(version).partition('.')[2]}",
        ]
    )


# The release that an installed program must have.
_RELEASE: Final = _release(_KUBERNETES)


@dataclass(frozen=True)
class GoBinary:
    """A program of one of our Go modules. Its repr is part of the cache's key."""

    name: str
    """Its file name."""
    module: str
    """The module's folder in `localcluster/go`."""
    package: str
    """Its main package."""
    ldflags: str = "-s -w"
    """Flags of the linker."""
    links: tuple[str, ...] = field(default=())
    """Names of symbolic links to it."""
    programs: tuple[Program, ...] = field(default=(), repr=False)
    """Installed programs that serve instead; they do not change the build, so not the key."""


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
    _version_flags(_KUBERNETES),
    links=tuple(program.name for program in _NODE),
    programs=_NODE,
)


def _control_plane(version: str) -> GoBinary:
    return GoBinary(
        "kubernetes",
        f"kubernetes-{_release(version)}",
        ".",
        _version_flags(version),
        links=tuple(program.name for program in CONTROL_PLANE),
    )


OTHER_CONTROL_PLANES: Final = {
    _release(version): _control_plane(version) for version in ("v1.30.14",)
}
"""Control planes of other releases: the oldest that the product supports."""
COREDNS: Final = GoBinary(
    "coredns", "kubernetes", "./coredns", programs=(Program("coredns", "1", ("-version",)),)
)
KUSTOMIZE: Final = GoBinary(
    "kustomize",
    "tools",
    "sigs.k8s.io/kustomize/kustomize/v5",
    programs=(Program("kustomize", "5", ("version",)),),
)
# Checks the forge's workflows: https://github.com/rhysd/actionlint
ACTIONLINT: Final = GoBinary(
    "actionlint",
    "actionlint",
    "github.com/rhysd/actionlint/cmd/actionlint",
    programs=(Program("actionlint", "1.7", ("-version",)),),
)
# Plays nodes whose pods run nothing: https://kwok.sigs.k8s.io
KWOK: Final = GoBinary(
    "kwok",
    "kwok",
    "sigs.k8s.io/kwok/cmd/kwok",
    programs=(Program("kwok", "0.8"),),
)
# An S3-compatible server over a folder: https://github.com/versity/versitygw
VERSITYGW: Final = GoBinary(
    "versitygw",
    "versitygw",
    "github.com/versity/versitygw/cmd/versitygw",
    programs=(Program("versitygw", "1"),),
)
# An identity provider for OpenID Connect: https://dexidp.io
_DEX: Final = "v2.45.1"
DEX: Final = GoBinary(
    "dex",
    "dex",
    "github.com/dexidp/dex/cmd/dex",
    f"-s -w -X main.version={_DEX}",
    programs=(Program("dex", _release(_DEX), ("version",), "Dex Version: v"),),
)
# Volumes and their snapshots: https://kubernetes-csi.github.io/docs/
_SNAPSHOTTER: Final = "github.com/kubernetes-csi/external-snapshotter/v8"
CSI: Final = tuple(
    GoBinary(package.rpartition("/")[2], "csi", package)
    for package in (
        "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner",
        f"{_SNAPSHOTTER}/cmd/csi-snapshotter",
        f"{_SNAPSHOTTER}/cmd/snapshot-controller",
        "./folders",
    )
)
"""The parts that provision volumes and make snapshots, and a driver whose volumes are folders."""
HELM: Final = GoBinary(
    "helm",
    "helm4",
    "helm.sh/helm/v4/cmd/helm",
    programs=(Program("helm", "4", ("version", "--short")),),
)
# Without a cluster it renders for this release of Kubernetes; version 4 reads it from its modules.
_HELM_3_FLAGS: Final = " ".join(
    [
        "-s -w",
        f"-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={_RELEASE.partition('.')[2]}",
    ]
)
HELM_3: Final = GoBinary(
    "helm",
    "helm3",
    "helm.sh/helm/v3/cmd/helm",
    _HELM_3_FLAGS,
    programs=(Program("helm", "3", ("version", "--short")),),
)


def ensure_kubernetes(report: Report, *, full: bool) -> Path:
    """Return the folder of Kubernetes' programs: a node's, or only a control plane's.

    Raises:
        CommandFailedError: the build failed, or there is no control plane of the wanted release.
    """
    binary = _kubernetes(full=full)
    return _provided(binary, report, full=full) or _ensure_built(binary, report)


def _kubernetes(*, full: bool) -> GoBinary:
    """Return what a node or a control plane runs; a variable names the latter's release."""
    release = kubernetes_release()
    if full or release in ("", _RELEASE):
        return KUBERNETES
    if release not in OTHER_CONTROL_PLANES:
        releases = ", ".join([*OTHER_CONTROL_PLANES, _RELEASE])
        raise CommandFailedError(f"LOCALCLUSTER_KUBERNETES is {release!r}; there are: {releases}")
    return OTHER_CONTROL_PLANES[release]


def _provided(binary: GoBinary, report: Report, *, full: bool) -> Path | None:
    programs = CONTROL_PLANE if binary is KUBERNETES and not full else binary.programs
    return provided_folder(programs, report) if programs else None


def ensure(binary: GoBinary, report: Report) -> Path:
    """Return the folder of the program and its links.

    It is the machine's own if its version fits, else the cache's, built if that has none.

    Raises:
        CommandFailedError: the build failed; the message holds its last lines. A retry helps when
            it was the network.
    """
    provided = provided_folder(binary.programs, report) if binary.programs else None
    return provided or _ensure_built(binary, report)


def _ensure_built(binary: GoBinary, report: Report) -> Path:
    go = toolchain.ensure(report)
    return locks.build_once(
        _folder(binary, go), lambda target: _build_with_links(binary, go, target, report)
    )


def is_kubernetes_built(*, full: bool) -> bool:
    """Return whether the cache or the machine has Kubernetes' programs."""
    binary = _kubernetes(full=full)
    if _folder(binary, toolchain.find()).exists():
        return True
    return _provided(binary, silent, full=full) is not None


def _folder(binary: GoBinary, go: toolchain.Toolchain) -> Path:
    return cache_dir() / "binaries" / f"{binary.name}-{_digest(binary, go.version)}"


def _build_with_links(
    binary: GoBinary, go: toolchain.Toolchain, target: Path, report: Report
) -> None:
    package = GoPackage(
        GO_MODULES / binary.module, binary.package, binary.ldflags, {"CGO_ENABLED": "0"}
    )
    compile_package(go, package, target / binary.name, report)
    for link in binary.links:
        (target / link).symlink_to(binary.name)


def _digest(binary: GoBinary, go_version: str) -> str:
    """Hash all that the program is made from."""
    module = GO_MODULES / binary.module
    digest = hashlib.sha256(f"{go_version}\n{binary}\n".encode())
    for path in sorted(path for path in module.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(module)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
