"""What an archive says of itself: the resource, versions, and the checksum of each file."""

from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError

from aichat_workspace.backup.errors import InvalidArchiveError
from aichat_workspace.domain.v1alpha1.base import Schema, format_refusal

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
"""The manifest's name in an archive."""


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path != "/".join(parts) or path.startswith("/") or ".." in parts:
        raise ValueError(f"{path!r} is no path inside the data folder")
    return path


class ArchivedFile(Schema):
    """A file of the data folder."""

    path: Annotated[str, AfterValidator(_inside)]
    """Below the data folder, with slashes."""
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    mode: Annotated[int, Field(ge=0, le=0o777)]
    """Its permissions."""


class Versions(Schema):
    """The programs that wrote the data and the archive."""

    open_webui: Annotated[str, Field(alias="openWebUI")]
    """The chat's image."""
    operator: str


class Manifest(Schema):
    """What an archive says of itself."""

    format: Literal[1] = FORMAT
    name: str
    """The backup's name."""
    created: AwareDatetime
    workspace: dict[str, Any]
    """The AIChatWorkspace, without its status. Models are not in the archive: it names them."""
    versions: Versions
    files: tuple[ArchivedFile, ...]
    """In the archive's order."""

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True).encode()


def read_manifest(content: bytes) -> Manifest:
    """Raises InvalidArchiveError."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise InvalidArchiveError(
            f"{MANIFEST} can't be read: {format_refusal(error)}. Restore another backup, or use "
            "the version of the operator that made this one"
        ) from error


def without_status(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the resource as people would write it: no status, no fields of the API server's."""
    metadata = resource["metadata"]
    return {
        **{key: resource[key] for key in ("apiVersion", "kind", "spec") if key in resource},
        "metadata": {
            key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata
        },
    }


def owner(resource: dict[str, Any]) -> str:
    """Return NAMESPACE/NAME of a workspace. Raises KeyError where it has none."""
    metadata = resource["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}"


def backup_name(created: datetime, token: str) -> str:
    """Return a name that sorts by time; `token` keeps two of one second apart."""
    return f"{created:%Y%m%dT%H%M%SZ}-{token}"
