"""Images of a newer Open WebUI than there is: the real one with one more migration."""

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from localcluster.build.images import openwebui
from localcluster.build.images.oci import Image, write_archive, write_layer

_BACKEND: Final = Path("app/backend")
_MIGRATIONS: Final = _BACKEND / "open_webui" / "migrations" / "versions"
MARK: Final = " (newer)"
"""What its migration adds to each chat's title."""
_MIGRATION: Final = f"""\
from alembic import op
revision = "feedfacefeed"
down_revision = {{head!r}}
branch_labels = depends_on = None
def upgrade():
    op.execute("ALTER TABLE chat ADD COLUMN newer TEXT")
    op.execute("UPDATE chat SET title = title || '{MARK}'")
def downgrade():
    pass
"""  # noqa: S608  (no input)
_FAILS: Final = """\
#!/usr/bin/env bash
python3 -c 'import open_webui.config'
echo 'it migrates and does not start'
exit 1
"""


def newer_image(name: str, folder: Path, layers: Sequence[Path], *, starts: bool) -> Image:
    """Write an image that migrates the data of the one that has these layers."""
    root = folder / "root"
    migration = root / _MIGRATIONS / "feedfacefeed_newer.py"
    migration.parent.mkdir(parents=True)
    migration.write_text(_MIGRATION.format(head=_head(layers[-1])))
    if not starts:
        (root / _BACKEND / "start.sh").write_text(_FAILS)
    layer = write_layer(root, folder / "layer.tar")
    archive = folder / "image.tar"
    return write_archive(archive, name, [*layers, layer], openwebui.CONFIG)


def _head(layer: Path) -> str:
    """Return the newest revision of the layer's migrations: that which no other follows."""
    with tarfile.open(layer) as archive:
        members = [
            member
            for member in archive
            if Path(member.name).parent == _MIGRATIONS and member.name.endswith(".py")
        ]
        texts = [archive.extractfile(member).read().decode() for member in members]  # type: ignore[union-attr]
    revisions, parents = (set(_assigned(texts, name)) for name in ("revision", "down_revision"))
    heads = [revision for revision in revisions if not any(revision in text for text in parents)]
    assert len(heads) == 1, heads
    return heads[0].strip("'\"")


def _assigned(texts: Sequence[str], name: str) -> Iterator[str]:
    """Yield what the migrations assign to a name, as it is written."""
    for text in texts:
        for line in text.splitlines():
            if line.partition(":")[0].partition("=")[0].strip() == name and line[0] == name[0]:
                yield line.rpartition("=")[2].strip().replace('"', "'")
