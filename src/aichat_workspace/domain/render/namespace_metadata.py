"""Which labels and annotations of a namespace are the platform's.

An apply takes off only what an apply has put there, and a namespace is created otherwise. So it
records the names, and what the platform names no more is taken off by name.
"""

from collections.abc import Mapping
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.v1alpha1.metadata_settings import Metadata
from aichat_workspace.foundation.metadata import annotations

_PARTS: Final = ("labels", "annotations")
NO_METADATA: Final = Metadata()


def metadata_record(platform_metadata: Metadata) -> dict[str, str]:
    """Return the annotation with the names; none without any."""
    named = [
        f"{part}:{name}" for part in _PARTS for name in sorted(getattr(platform_metadata, part))
    ]
    return {names.PLATFORM_METADATA_ANNOTATION: ",".join(named)} if named else {}


def recorded_metadata(namespace: Manifest) -> tuple[tuple[str, str], ...]:
    """Return the part and name of what the platform has put on a namespace, and of the record."""
    record = annotations(namespace).get(names.PLATFORM_METADATA_ANNOTATION, "")
    named = (entry.partition(":") for entry in record.split(",") if entry)
    known = tuple(
        (part, name)
        for part, _, name in named
        if part in _PARTS and not name.startswith(f"{names.GROUP}/")
    )
    return (*known, ("annotations", names.PLATFORM_METADATA_ANNOTATION))


def present_metadata(namespace: Manifest) -> Metadata:
    """Return what the platform has put on a namespace, as it is there: to leave it so."""
    metadata: Mapping[str, Any] = namespace["metadata"]
    recorded = recorded_metadata(namespace)[:-1]

    def present(kind: str) -> dict[str, str]:
        values = metadata.get(kind) or {}
        return {name: values[name] for part, name in recorded if part == kind and name in values}

    return Metadata.model_construct(labels=present("labels"), annotations=present("annotations"))
