"""How a release was built, as an in-toto statement with SLSA's predicate.

https://slsa.dev/spec/v1.0/provenance. It is signed where it is published, and not here.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from localcluster.build.images.oci import digest_file
from release import debian, python_packages
from release.source import Source

BUILD_TYPE: Final = "https://aichatworkspaces.io/release/v1"
_BUILD: Final = python_packages.REQUIREMENTS.with_name("build.txt")  # what builds the wheel


def statement(source: Source, image: str, subjects: Mapping[str, str], builder: str) -> str:
    """Return the statement.

    ``subjects`` has the sha256 of each file and of the image by their names; ``builder`` is the URI
    of who built it.
    """
    content = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": name, "digest": {"sha256": digest}}
            for name, digest in sorted(subjects.items())
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"version": source.version, "image": image},
                "internalParameters": {},
                "resolvedDependencies": [*_dependencies(source)],
            },
            "runDetails": {"builder": {"id": builder}},
        },
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _dependencies(source: Source) -> Iterable[dict[str, Any]]:
    yield {"name": "source", "digest": {"gitCommit": source.commit}}
    for architecture in debian.ARCHITECTURES:
        for package in debian.locked(architecture):
            yield {"uri": package.purl, "digest": {"sha256": package.sha256}}
    for lock in (python_packages.REQUIREMENTS, _BUILD):
        digest = digest_file(lock).removeprefix("sha256:")
        yield {"name": f"requirements/{lock.name}", "digest": {"sha256": digest}}
