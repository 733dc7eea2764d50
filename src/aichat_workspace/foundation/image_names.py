"""Names of container images, as container runtimes read them."""

import re
from dataclasses import dataclass, replace
from typing import Final

DOCKER_HUB: Final = "docker.io"
_DEFAULT_TAG: Final = "latest"
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
_PART: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_PART}(/{_PART})*")
_REFERENCE: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}|sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ImageName:
    """An image's full name."""

    registry: str
    """As host or host:port; a mirror's with a path."""
    repository: str
    """Its name in the registry, as ollama/ollama."""
    tag: str = ""
    digest: str = ""
    """As sha256:…; it comes before the tag."""

    @property
    def reference(self) -> str:
        """What the registry finds it by: its digest, else its tag."""
        return self.digest or self.tag or _DEFAULT_TAG

    @property
    def is_valid(self) -> bool:
        """Whether registries have to take it: it has no part such as ``..``, which URLs resolve."""
        references = (self.tag or _DEFAULT_TAG, self.reference)
        return bool(_REPOSITORY.fullmatch(self.repository)) and all(
            map(_REFERENCE.fullmatch, references)
        )

    def __str__(self) -> str:
        """Return the full name."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def parse_image(name: str) -> ImageName:
    """Read an image's name.

    A first part without a dot or a port that is not localhost is no registry but a part of a name
    on Docker Hub, where names of one part belong to library.
    https://github.com/distribution/reference/blob/main/normalize.go
    """
    rest, _, digest = name.partition("@")
    first, slash, others = rest.partition("/")
    is_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, others) if is_registry else (DOCKER_HUB, rest)
    repository, _, tag = path.partition(":")
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return ImageName(registry, repository, tag, digest)


def mirrored(name: str, mirror: str) -> str:
    """Return an image's name in a mirror; the name itself where there is none."""
    return str(replace(parse_image(name), registry=mirror)) if mirror else name
