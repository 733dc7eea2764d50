"""Run a program of an unpacked image as a node would: not root, nothing to write, no network."""

import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

_NAMESPACES: Final = ("pid", "mount", "ipc", "uts", "network")


def blobs(archive: Path) -> dict[str, bytes]:
    """The documents and layers of an archive, by their digests."""
    with tarfile.open(archive) as content:
        return {
            f"sha256:{member.name.rpartition('/')[2]}": file.read()
            for member in content.getmembers()
            if member.name.startswith("blobs/") and (file := content.extractfile(member))
        }


def index(archive: Path) -> dict[str, Any]:
    """The one entry of an archive's index."""
    with tarfile.open(archive) as content:
        file = content.extractfile("index.json")
        assert file
        (entry,) = json.load(file)["manifests"]
    return dict(entry)


def unpack(archive: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Unpack an image for one platform; return its root and its configuration."""
    content = blobs(archive)
    manifest = json.loads(content[index(archive)["digest"]])
    root = folder / "rootfs"
    root.mkdir(parents=True)
    for layer in manifest["layers"]:
        command = ["tar", "-xz", "--same-owner", "--same-permissions", "--keep-directory-symlink"]
        subprocess.run([*command, "-C", root], input=content[layer["digest"]], check=True)
    return root, json.loads(content[manifest["config"]["digest"]])


def run(
    root: Path,
    config: dict[str, Any],
    command: Sequence[str],
    *,
    variables: Sequence[str] = (),
    mounts: Sequence[dict[str, Any]] = (),
) -> "subprocess.CompletedProcess[str]":
    """Run a command with runc, as the image's configuration says, with more besides."""
    uid, gid = map(int, config["config"]["User"].split(":"))
    bundle = {
        "ociVersion": "1.0.2",
        "root": {"path": str(root), "readonly": True},
        "process": {
            "args": [*command],
            "cwd": "/",
            "env": [*config["config"]["Env"], *variables],
            "user": {"uid": uid, "gid": gid},
            "noNewPrivileges": True,
            "capabilities": {},
        },
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *mounts],
        "linux": {"namespaces": [{"type": name} for name in _NAMESPACES]},
    }
    folder = root.parent
    (folder / "config.json").write_text(json.dumps(bundle))
    return subprocess.run(
        ["runc", "--root", folder / "state", "run", "--bundle", folder, f"release-{folder.name}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
