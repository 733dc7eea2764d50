"""Compile Ollama's program from its Go module, with its engine beside it."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from localcluster.build import toolchain
from localcluster.build.compiler import GoPackage, compile_package
from localcluster.build.images import cache, engine
from localcluster.build.provided import Program, provided_folder
from localcluster.build.versions import OLLAMA
from localcluster.paths import GO_MODULES, cache_dir
from localcluster.processes import locks
from localcluster.progress import Report, silent

_MODULE: Final = GO_MODULES / "ollama"
_PACKAGE: Final = "github.com/ollama/ollama"
_LDFLAGS: Final = f"-s -w -X={_PACKAGE}/version.Version={OLLAMA} -X={_PACKAGE}/server.mode=release"
# It writes the version of the server that it reaches, and its own if that differs. No server can
# listen on port 0, so it writes its own.
_PROVIDED: Final = Program(
    "ollama",
    OLLAMA,
    version_prefix="client version is ",
    environment={"OLLAMA_HOST": "127.0.0.1:0"},
)
_C_FLAGS: Final = "-O1 -g0"  # only its desktop application's database has much C


def ensure_ollama(report: Report) -> Path:
    """Return the folder of ``bin/ollama`` and ``lib/ollama``.

    It is a copy of the machine's own if that has the same version, else compiled once.

    Raises:
        CommandFailedError: the build failed; a retry helps when it was the network.
    """
    if program := _provided(report):
        return locks.build_once(_copy_folder(program), lambda target: _copy(program, target))
    go = toolchain.ensure(report)
    return locks.build_once(_folder(go), lambda target: _assemble(go, target, report))


def is_built() -> bool:
    """Return whether the machine or the cache has Ollama."""
    return _folder(toolchain.find()).exists() or _provided(silent) is not None


def _provided(report: Report) -> Path | None:
    """Return the machine's own program, whose engine is in ``../lib/ollama`` as in releases."""
    folder = provided_folder((_PROVIDED,), report)
    if folder is None:
        return None
    program = (folder / "ollama").resolve()
    if not (_libraries(program) / "llama-server").is_file():
        report("ollama", f"not used from {folder}: {_libraries(program)} has no llama-server")
        return None
    return program


def _libraries(program: Path) -> Path:
    return program.parent.parent / "lib" / "ollama"


def _copy_folder(program: Path) -> Path:
    state = program.stat()
    return _binaries("ollama", cache.key(f"{program} {state.st_size} {state.st_mtime_ns}"))


def _copy(program: Path, target: Path) -> None:
    """Copy a program and its engine, but not the folders for graphics processors: gigabytes."""
    (target / "bin").mkdir()
    (target / "lib" / "ollama").mkdir(parents=True)
    shutil.copy2(program, target / "bin" / "ollama")
    for path in _libraries(program).iterdir():
        if not path.is_dir():
            shutil.copy2(path, target / "lib" / "ollama" / path.name, follow_symlinks=False)


def _folder(go: toolchain.Toolchain) -> Path:
    return _binaries("ollama", cache.key(_program_key(go), engine.identity()))


def _program_key(go: toolchain.Toolchain) -> str:
    sources = (_MODULE / name for name in ("go.mod", "go.sum"))
    return cache.key(go.version, _C_FLAGS, _LDFLAGS, *sources)


def _binaries(name: str, key: str) -> Path:
    return cache_dir() / "binaries" / f"{name}-{OLLAMA}-{key}"


def _assemble(go: toolchain.Toolchain, target: Path, report: Report) -> None:
    """Link the program and the engine, which are cached separately, as either may fail."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        program = pool.submit(_ensure_program, go, report)
        engine_folder = engine.ensure_engine(report)
        (target / "bin").mkdir()
        os.link(program.result() / "ollama", target / "bin" / "ollama")
    shutil.copytree(engine_folder, target / "lib" / "ollama", symlinks=True, copy_function=os.link)


def _ensure_program(go: toolchain.Toolchain, report: Report) -> Path:
    folder = _binaries("ollama-program", _program_key(go))
    return locks.build_once(folder, lambda target: _build(go, target, report))


def _build(go: toolchain.Toolchain, target: Path, report: Report) -> None:
    environment = {"CGO_ENABLED": "1", "CGO_CFLAGS": _C_FLAGS}
    package = GoPackage(_MODULE, _PACKAGE, _LDFLAGS, environment)
    compile_package(go, package, target / "ollama", report)
