"""Package the Helm chart so that the same files give the same bytes, which Helm's own does not."""

import gzip
import re
import tarfile
from io import BytesIO
from pathlib import Path

from release.errors import ReleaseError


def package(chart: Path, target: Path, time: int) -> Path:
    """Write a chart's package: https://helm.sh/docs/topics/charts/#the-chart-file-structure

    ``time`` is that of all files, in seconds since 1970.
    """
    files = sorted(path for path in chart.rglob("*") if path.is_file())
    with (
        target.open("wb") as out,
        gzip.GzipFile("", "wb", fileobj=out, mtime=time) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for path in files:
            content = path.read_bytes()
            member = tarfile.TarInfo(f"{chart.name}/{path.relative_to(chart)}")
            member.size, member.mtime, member.mode = len(content), time, 0o644
            archive.addfile(member, BytesIO(content))
    return target


def set_image(values: Path, repository: str, digest: str) -> None:
    """Make an image the default of a chart's values.

    Raises:
        ReleaseError: the values are not as the generator writes them.
    """
    text = values.read_text()
    for name, value in (("repository", repository), ("digest", digest)):
        text, count = re.subn(
            rf'^(  {name}: )"[^"]*"$', rf'\g<1>"{value}"', text, count=1, flags=re.MULTILINE
        )
        if not count:
            raise ReleaseError(f"{values.name} has no image.{name}: release/chart.py expects one")
    values.write_text(text)
