"""Names of container images, as container runtimes read them."""

from dataclasses import dataclass
from typing import Final

DOCKER_HUB: Final = "docker.io"
_DEFAULT_TAG: Final = "latest"


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
