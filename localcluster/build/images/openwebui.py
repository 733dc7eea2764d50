"""Build Open WebUI with its official image's layout, but without the machine-learning stack.

The Python package has the same server and pages. They are moved to the official image's places
(/app/backend/open_webui, /app/build), so that paths, volumes and permissions are the same: it runs
as any user of group 0 and keeps its data in /app/backend/data.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from localcluster.build.images import cache
from localcluster.build.images.base import PATH, ensure_base_layer
from localcluster.build.images.oci import Config, Image, write_layer
from localcluster.build.images.run import run_with_log
from localcluster.build.versions import OPEN_WEBUI
from localcluster.errors import CommandFailedError
from localcluster.paths import PROJECT
from localcluster.processes import foreground
from localcluster.progress import Report

NAME: Final = f"ghcr.io/open-webui/open-webui:v{OPEN_WEBUI}"
REQUIREMENTS: Final = PROJECT / "requirements" / "open-webui.txt"
_PYTHON: Final = "3.11.2"  # Debian 12's
_PLATFORM: Final = "x86_64-manylinux_2_36"
_SITE: Final = Path("usr/local/lib/python3.11/dist-packages")
_BACKEND: Final = Path("app/backend")
_UNUSED_FILES: Final = ("*.js.map", "*.css.map", "*.mjs.map", "*.pyi", "*.h", "*.hpp", "*.a")
# Packages that the server loads little or nothing of: compiling them is not worth the time.
_SELDOM_LOADED: Final = (
    "anthropic|docx|langchain_community|openai|opensearchpy|openpyxl|pandas|pip|pptx|pytz|setuptools"
    "|shapely|sympy"
)
_START: Final = """\
#!/usr/bin/env bash
# Starts the server as the official image's start.sh does.
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
if [ -z "$WEBUI_SECRET_KEY" ]; then
    key_file="${WEBUI_SECRET_KEY_FILE:-.webui_secret_key}"
    [ -e "$key_file" ] || head -c 12 /dev/urandom | base64 > "$key_file"
    WEBUI_SECRET_KEY="$(cat "$key_file")"
    export WEBUI_SECRET_KEY
fi
exec python3 -m uvicorn open_webui.main:app --host "${HOST:-0.0.0.0}" --port "${PORT:-8080}" \\
    --forwarded-allow-ips "${FORWARDED_ALLOW_IPS:-*}" --workers "${UVICORN_WORKERS:-1}"
"""
CONFIG: Final = Config(
    command=("bash", "start.sh"),
    folder="/app/backend",
    ports=("8080/tcp",),
    environment={
        "PATH": PATH,
        "PYTHONUNBUFFERED": "1",
        # as the official image sets them
        "ENV": "prod",
        "PORT": "8080",
        "DOCKER": "true",
        "HOME": "/root",
        "ANONYMIZED_TELEMETRY": "false",
        "DO_NOT_TRACK": "true",
        "SCARF_NO_ANALYTICS": "true",
        "HF_HOME": "/app/backend/data/cache/embedding/models",
        # only this local build: nothing outside the cluster can be reached
        "OFFLINE_MODE": "true",
        "HF_HUB_OFFLINE": "1",
    },
)


def ensure_openwebui(report: Report) -> Image:
    """Return the image; it is built if its lock or its layout has changed.

    Raises:
        CommandFailedError: installing failed; a retry helps when it was the network.
    """
    layers = ensure_layers(report)
    report("open-webui image", "assembling")
    return cache.ensure_image(NAME, layers, CONFIG)


def ensure_layers(report: Report) -> list[Path]:
    """Return the image's layers, the base's first; raises as `ensure_openwebui`."""
    inputs = cache.key(REQUIREMENTS, Path(__file__), _PYTHON)
    layer = cache.ensure("layers", "open-webui", inputs, lambda target: _make(target, report))
    return [ensure_base_layer(report), layer]


def _make(target: Path, report: Report) -> None:
    with cache.scratch() as folder:
        root = folder / "root"
        site = root / _SITE
        site.mkdir(parents=True)
        _install(site, folder / "install.log", report)
        report("open-webui image", "laying out")
        _lay_out(root)
        _compile(root, report)
        report("open-webui image", "packing")
        write_layer(root, target)


def _install(site: Path, log: Path, report: Report) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--python", sys.executable]
    command += ["--python-version", _PYTHON, "--python-platform", _PLATFORM]
    report("open-webui image", "installing its Python packages")
    run_with_log(
        [*command, "--target", str(site), "-r", str(REQUIREMENTS)],
        log=log,
        on_tick=lambda _: report("open-webui image", "still installing its Python packages"),
    )


def _lay_out(root: Path) -> None:
    """Move the server from the package's place to the official image's."""
    backend, site = root / _BACKEND, root / _SITE
    backend.mkdir(parents=True)
    shutil.rmtree(site / "bin", ignore_errors=True)  # scripts that name this machine's Python
    (site / "open_webui").rename(backend / "open_webui")
    (root / "app" / "build").symlink_to("backend/open_webui/frontend")
    _shorten(backend / "open_webui" / "CHANGELOG.md")
    (root / "app" / "CHANGELOG.md").symlink_to("backend/open_webui/CHANGELOG.md")
    (root / "app" / "package.json").write_text(
        f'{{"name": "open-webui", "version": "{OPEN_WEBUI}"}}\n'
    )
    (backend / "start.sh").write_text(_START)
    (backend / "start.sh").chmod(0o755)
    shutil.rmtree(backend / "open_webui" / "data", ignore_errors=True)
    for name in ("data", "open_webui/static"):
        (backend / name).mkdir(exist_ok=True)
    (root / "root").mkdir()
    _drop_unused(root)
    writable = (backend, backend / "data", backend / "open_webui" / "static", root / "root")
    for folder in writable:
        _share_with_group(folder, recursive=folder != backend)


def _drop_unused(root: Path) -> None:
    """Remove files that a server does not read: a node needs time to unpack each."""
    for pattern in _UNUSED_FILES:
        for path in root.rglob(pattern):
            path.unlink()
    for path in sorted(root.rglob("tests"), reverse=True):
        shutil.rmtree(path)


def _shorten(changelog: Path) -> None:
    """Keep the newest version's notes: the server parses all of them at each start, for 5 s."""
    head, *versions = changelog.read_text().split("\n## [")
    changelog.write_text("\n## [".join([head, *versions[:1]]))


def _share_with_group(folder: Path, *, recursive: bool) -> None:
    """Give the group the owner's permissions: images run as any user of group 0."""
    for path in (folder, *(folder.rglob("*") if recursive else ())):
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | (mode & 0o700) >> 3)


def _compile(root: Path, report: Report) -> None:
    """Compile the server to bytecode, as the container cannot write it.

    Raises:
        CommandFailedError: the compiler did not run.
    """
    report("open-webui image", "compiling to bytecode")
    command = [sys.executable, "-m", "compileall", "-q", "-j", "0"]
    command += ["--invalidation-mode", "unchecked-hash"]
    command += ["-x", rf"/dist-packages/({_SELDOM_LOADED})/", str(root)]
    result = foreground.run(command)
    if result.returncode not in (0, 1):  # 1: a file is no valid Python, such as a template
        raise CommandFailedError(f"compileall failed:\n{result.stderr[-2000:]}")
