"""Ollama, compiled from its Go module."""

import hashlib
import json
from pathlib import Path
from typing import Final

from localcluster import once, toolchain
from localcluster.compiling import compile_package
from localcluster.paths import GO_MODULES, cache_dir
from localcluster.progress import Report
from localcluster.versions import OLLAMA

_MODULE: Final = GO_MODULES / "ollama"
_PACKAGE: Final = "github.com/ollama/ollama"
_HEADERS: Final = "github.com/gen2brain/malgo"
_LDFLAGS: Final = f"-s -w -X={_PACKAGE}/version.Version={OLLAMA} -X={_PACKAGE}/server.mode=release"
# The engine converts 16-bit numbers one by one unless the compiler may use these: 3,000 tokens then
# take 8 s instead of a fraction of one.
_FAST: Final = {"avx2": "-mavx2", "fma": "-mfma", "f16c": "-mf16c", "bmi2": "-mbmi2"}


def ensure_ollama(report: Report) -> Path:
    """The folder that holds the program ``ollama``, building it when the cache has none.

    Raises:
        CommandFailedError: the build failed; a retry helps when it was the network.
    """
    go = toolchain.ensure(report)
    flags = _flags()
    return once.folder(_folder(go, flags), lambda target: _build(go, flags, target, report))


def built() -> bool:
    """Whether the cache has the program, so that nothing needs to be compiled."""
    return _folder(toolchain.find(), _flags()).exists()


def _flags() -> str:
    return f"-O2 -g0 {' '.join(machine_flags(Path('/proc/cpuinfo').read_text()))}".strip()


def _folder(go: toolchain.Toolchain, flags: str) -> Path:
    return cache_dir() / "binaries" / f"ollama-{OLLAMA}-{_digest(go.version, flags)}"


def machine_flags(cpuinfo: str) -> tuple[str, ...]:
    """Compiler flags for the fast instructions that this machine has; all of them or none."""
    line = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "")
    return tuple(_FAST.values()) if _FAST.keys() <= set(line.split()) else ()


def _digest(go_version: str, flags: str) -> str:
    digest = hashlib.sha256(f"{go_version}\n{flags}\n{_LDFLAGS}\n".encode())
    for name in ("go.mod", "go.sum"):
        digest.update((_MODULE / name).read_bytes())
    return digest.hexdigest()[:16]


def _build(go: toolchain.Toolchain, flags: str, target: Path, report: Report) -> None:
    environment = {
        **toolchain.environment(go),
        "CGO_ENABLED": "1",
        "CGO_CFLAGS": flags,
        "CGO_CXXFLAGS": f"{flags} -I{_header_folder(go, report)}",
    }
    compile_package(
        go,
        _PACKAGE,
        _MODULE,
        program=target / "ollama",
        ldflags=_LDFLAGS,
        environment=environment,
        report=report,
    )


def _header_folder(go: toolchain.Toolchain, report: Report) -> Path:
    """A folder in which ``miniaudio/miniaudio.h`` exists: the module has it at its top."""
    download = ("mod", "download", "-json", _HEADERS)
    told = toolchain.fetch(go, download, _MODULE, toolchain.environment(go), report)
    folder = cache_dir() / "headers"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "miniaudio"
    link.unlink(missing_ok=True)
    link.symlink_to(json.loads(told)["Dir"])
    return folder
