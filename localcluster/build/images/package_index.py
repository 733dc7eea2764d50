"""Lending the machine's package index settings to a build, without leaving them in the image.

They are mounted while the build runs: an index may be named with a password, so they must not
become build arguments, environment or files of a layer. The base image has the files to mount over.
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
    """What to mount into a build, as buildah's ``source:target:ro``.

    ``folder`` receives the merged settings; it should be private, and removed after the build.
    ``root`` is where the machine's own files are looked for.
    """
    home = root / environment.get("HOME", "/root").lstrip("/")
    written = {PIP_CONF: _pip(environment, root, home), UV_TOML: _uv(environment, root, home)}
    found = []
    for target, content in written.items():
        if content:
            path = folder / Path(target).name
            path.touch(mode=0o600)
            path.write_text(content)
            found.append(f"{path}:{target}:ro")
    certificates = Path(environment.get("SSL_CERT_FILE") or root / CERTIFICATES.lstrip("/"))
    if certificates.exists():
        found.append(f"{certificates}:{CERTIFICATES}:ro")
    return tuple(found)


def _pip(environment: Mapping[str, str], root: Path, home: Path) -> str:
    """pip's own files, the later over the earlier, and the environment over all."""
    places = (root / "etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf")
    named = environment.get("PIP_CONFIG_FILE")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read([*places, *([named] if named else [])])
    settings = dict(parser["global"]) if parser.has_section("global") else {}
    for option in _PIP_OPTIONS:
        settings[option] = environment.get(
            f"PIP_{option.replace('-', '_').upper()}", settings.get(option, "")
        )
    lines = [f"{option} = {settings[option]}\n" for option in _PIP_OPTIONS if settings[option]]
    return "".join(["[global]\n", *lines]) if lines else ""


def _uv(environment: Mapping[str, str], root: Path, home: Path) -> str:
    """uv's variables if they name an index, else its file; pip's index is not uv's.

    uv brings certificates of its own; it is told to use the ones that we mount.
    """
    content = _uv_index(environment, root, home)
    known = "native-tls" in content or "system-certs" in content
    return content if known else f"system-certs = true\n{content}"


def _uv_index(environment: Mapping[str, str], root: Path, home: Path) -> str:
    default = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
    if default:
        return f"[[index]]\nurl = {json.dumps(default)}\ndefault = true\n"
    for path in (home / ".config/uv/uv.toml", root / UV_TOML.lstrip("/")):
        if path.exists():
            return path.read_text()
    return ""
