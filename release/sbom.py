"""The bill of materials of an image, as CycloneDX."""

import json
import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any, Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from aichat_workspace.domain import names
from localcluster.build.images.oci import Image
from release import debian, licences
from release.source import Source

_SPACE: Final = uuid.UUID("6f1c2b0e-6a0e-5c0f-9b57-1f6c8e0d4a11")
_LICENCES: Final = LicenseFactory()


def document(source: Source, image: Image, architecture: str, distributions: Iterable[Path]) -> str:
    """Return the JSON of an image: Debian's packages and the Python packages in ``distributions``.

    The same image gives the same text: its number comes from the digest, its time from the commit.
    """
    bom = Bom(serial_number=uuid.uuid5(_SPACE, f"{image.digest} {architecture}"))
    bom.metadata.timestamp = datetime.fromtimestamp(source.time, UTC)
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER,
        name=names.OPERATOR,
        version=source.version,
        bom_ref="image",
        hashes=[_sha256(image.digest.removeprefix("sha256:"))],
        licenses=[_LICENCES.make_from_string("Apache-2.0")],
        properties=[Property(name="architecture", value=architecture)],
    )
    components = [*_debian(architecture), *_python(distributions)]
    bom.components.update(components)
    bom.register_dependency(bom.metadata.component, components)
    return _sorted(JsonV1Dot6(bom).output_as_string())


def _debian(architecture: str) -> Iterable[Component]:
    described = debian.wanted()
    for package in debian.locked(architecture):
        yield Component(
            type=ComponentType.LIBRARY,
            name=package.name,
            version=package.version,
            purl=PackageURL.from_string(package.purl),
            bom_ref=package.purl,
            hashes=[_sha256(package.sha256)],
            licenses=[_LICENCES.make_from_string(described[package.name]["licence"])],
        )


def _python(distributions: Iterable[Path]) -> Iterable[Component]:
    for information in sorted(distributions):
        fields = PathDistribution(information).metadata
        name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()
        purl = PackageURL("pypi", name=name, version=fields["Version"])
        yield Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=fields["Version"],
            description=" ".join(licences.values(fields, "Summary")),
            purl=purl,
            bom_ref=str(purl),
            licenses=[_LICENCES.make_from_string(licences.expression(fields))],
        )


def _sha256(content: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=content)


def _sorted(text: str) -> str:
    content: dict[str, Any] = json.loads(text)
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
