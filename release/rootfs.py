"""The base of the image: Debian's files without its package manager, shell or set-up scripts.

What the set-up scripts of the packages would do is done here, as far as a server needs it, so that
nothing of the image has to run while it is built.
"""

import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from localcluster.processes import foreground

USER: Final = 65532
_MERGED: Final = ("bin", "lib", "lib64", "sbin")  # links to /usr/…, as on every Debian 12
_UNUSED: Final = (
    *("usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug", "usr/share/info"),
    *("usr/share/applications", "usr/share/pixmaps", "usr/share/base-files", "usr/share/binfmts"),
    *("usr/share/apport", "usr/sbin", "usr/lib/mime", "var/backups", "var/local", "home", "boot"),
    *("etc/update-motd.d", "etc/profile.d", "etc/skel", "etc/default", "etc/host.conf"),
)
LIBRARY: Final = "usr/lib/python3.11"
# Of Python's library: what needs a library that is not there, or has no use in a server.
_UNUSED_MODULES: Final = (
    *("_crypt", "_curses*", "_dbm", "_sqlite3", "_tkinter", "nis", "readline", "_test*", "_xx*"),
)
_UNUSED_PACKAGES: Final = ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "sqlite3", "curses")
_FILES: Final = {
    "etc/passwd": (
        f"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:{USER}:{USER}:nonroot:/:/sbin/nologin\n"
    ),
    "etc/group": f"root:x:0:\nnonroot:x:{USER}:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
_CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"
# Where OpenSSL looks: its own folder, which Debian's package `openssl` links to /etc.
_LINKS: Final = {
    "usr/lib/ssl/cert.pem": f"/{_CERTIFICATES}",
    "usr/lib/ssl/certs": "/etc/ssl/certs",
    "usr/bin/python3": "python3.11",
    "etc/os-release": "../usr/lib/os-release",
}


def unpack(packages: Sequence[Path], root: Path) -> None:
    """Unpack Debian packages into a new folder, and set them up.

    Raises:
        CommandFailedError: a package can't be unpacked.
    """
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        _unpack(package, root)
    _remove_unused(root)
    _set_up(root)


def _unpack(package: Path, root: Path) -> None:
    archive = root / ".data.tar"
    foreground.run_or_raise(
        ["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" >"$2"', "sh", package, archive],
        f"{package.name} can't be unpacked",
    )
    command: list[str | Path] = ["tar", "-x", "--no-same-owner", "--keep-directory-symlink"]
    command += ["-C", root, "-f", archive]
    foreground.run_or_raise(command, f"{package.name} can't be unpacked")
    archive.unlink()
    _note(package, root)


def _note(package: Path, root: Path) -> None:
    """Tell scanners of images which packages there are, as images without dpkg do."""
    folder = root / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True, exist_ok=True)
    record = foreground.run(["dpkg-deb", "--field", package]).stdout
    name = package.name.rpartition("-")[0]
    (folder / name).write_text(record)


def _remove_unused(root: Path) -> None:
    for path in _UNUSED:
        _remove(root / path)
    for document in (root / "usr/share/doc").rglob("*"):
        if document.name != "copyright" and document.is_file() and not document.is_symlink():
            document.unlink()
    library = root / LIBRARY
    for name in _UNUSED_PACKAGES:
        _remove(library / name)
    for module in (library / "lib-dynload").iterdir():
        if any(fnmatch(module.name, f"{pattern}.*.so") for pattern in _UNUSED_MODULES):
            module.unlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _set_up(root: Path) -> None:
    for name, text in _FILES.items():
        (root / name).write_text(text)
    authorities = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = root / _CERTIFICATES
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(authority.read_text() for authority in authorities))
    for name, target in _LINKS.items():
        link = root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        _remove(link)
        link.symlink_to(target)


def set_modes(root: Path) -> None:
    """Give all files the modes of a release, whatever the umask here: only their owner writes."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
