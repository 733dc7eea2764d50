"""Package the Helm chart so that the same files give the same bytes, which Helm's own does not."""

import gzip
import re
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

import yaml

from release.errors import ReleaseError

_CHANGES: Final = "artifacthub.io/changes"
_IMAGES: Final = "artifacthub.io/images"


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


def annotate(metadata: Path, changes: list[str], own_image: str) -> None:
    """Say in Chart.yaml what Artifact Hub shows of a release: what changed, and its own image.

    https://artifacthub.io/docs/topics/annotations/helm/

    Raises:
        ReleaseError: the file has no list of images, as the generator writes it.
    """
    head, _, text = metadata.read_text().partition("\n")
    chart = yaml.safe_load(text)
    annotations = chart.get("annotations", {})
    if _IMAGES not in annotations:
        raise ReleaseError(f"{metadata.name} has no {_IMAGES}: release/chart.py expects one")
    own, *others = yaml.safe_load(annotations[_IMAGES])
    annotations[_IMAGES] = _yaml([{**own, "image": own_image}, *others])
    annotations[_CHANGES] = _yaml(changes)
    metadata.write_text(f"{head}\n{_yaml(chart)}")


def changes(section: str) -> list[str]:
    """Return the items of a changelog's section, each in one line and without links' addresses."""
    paragraphs = section.split("\n\n")
    items = [item for part in paragraphs for item in re.split(r"^- ", part, flags=re.MULTILINE)[1:]]
    return [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(item.split())) for item in items]


def _yaml(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)
