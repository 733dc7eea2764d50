"""The installation as a single file, for `kubectl apply --server-side -f`."""

from pathlib import Path

from aichat_workspace.domain import names
from localcluster.errors import CommandFailedError
from localcluster.processes import foreground


def install_yaml(folder: Path, repository: str, version: str, digest: str) -> str:
    """Return the objects of ``config/default`` below ``folder`` with the released image.

    Raises:
        CommandFailedError: kubectl can't render them.
    """
    overlay = folder / "config" / "release"
    overlay.mkdir()
    image = f"{{name: {names.OPERATOR}, newName: {repository}, newTag: v{version}}}"
    if digest:
        image = f"{{name: {names.OPERATOR}, newName: {repository}, digest: {digest}}}"
    (overlay / "kustomization.yaml").write_text(f"resources: [../default]\nimages: [{image}]\n")
    result = foreground.run(["kubectl", "kustomize", overlay])
    if result.returncode:
        raise CommandFailedError(f"kubectl kustomize failed:\n{result.stderr[-2000:]}")
    head = f"# {names.OPERATOR} {version}: kubectl apply --server-side -f install.yaml\n"
    return head + result.stdout
