"""Lend the machine's package index settings to a build, without a trace in the image.

They are mounted while the build runs. An index's URL may have a password, so it must not become a
build argument, environment or a file of a layer. The base image has the files to mount over.
"""

import configparser
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PIP_CONF: Final = "/etc/pip.conf"
UV_TOML: Final = "/etc/uv/uv.toml"
CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
_PIP_OPTIONS: Final = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries")


def mounts(environment: Mapping[str, str], folder: Path, root: Path = Path("/")) -> tuple[str, ...]:
    """Return what to mount into a build, as buildah's ``source:target:ro``.

    The merged settings are written to ``folder``, which should be private and removed after the
    build. ``root`` is the root of the machine's own files.
    """
    home = root / environment.get("HOME", "/root").lstrip("/")
    settings = {PIP_CONF: _pip(environment, root, home), UV_TOML: _uv(environment, root, home)}
    volumes = []
    for target, content in settings.items():
        if content:
            path = folder / Path(target).name
            path.touch(mode=0o600)
            path.write_text(content)
            volumes.append(f"{path}:{target}:ro")
    certificates = Path(environment.get("SSL_CERT_FILE") or root / CERTIFICATES.lstrip("/"))
    if certificates.exists():
        volumes.append(f"{certificates}:{CERTIFICATES}:ro")
    return tuple(volumes)


def _pip(environment: Mapping[str, str], root: Path, home: Path) -> str:
    """Merge pip's own files, the later over the earlier, and the environment over all."""
    paths = (root / "etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf")
    config_file = environment.get("PIP_CONFIG_FILE")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read([*paths, *([config_file] if config_file else [])])
    settings = dict(parser["global"]) if parser.has_section("global") else {}
    for option in _PIP_OPTIONS:
        settings[option] = environment.get(
            f"PIP_{option.replace('-', '_').upper()}", settings.get(option, "")
        )
    lines = [f"{option} = {settings[option]}\n" for option in _PIP_OPTIONS if settings[option]]
    return "".join(["[global]\n", *lines]) if lines else ""


def _uv(environment: Mapping[str, str], root: Path, home: Path) -> str:
    """Return uv's settings, which do not include pip's index.

    They make uv use the certificates that we mount instead of its own.
    """
    content = _uv_index(environment, root, home)
    is_set = "native-tls" in content or "system-certs" in content
    return content if is_set else f"system-certs = true\n{content}"


def _uv_index(environment: Mapping[str, str], root: Path, home: Path) -> str:
    """Return settings by uv's variables if they name an index, else its file."""
    default = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
    if default:
        return f"[[index]]\nurl = {json.dumps(default)}\ndefault = true\n"
    for path in (home / ".config/uv/uv.toml", root / UV_TOML.lstrip("/")):
        if path.exists():
            return path.read_text()
    return ""
