"""The Debian packages that building the images needs."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Package:
    """A Debian package."""

    use: str
    """What it is needed for."""
    proof: str
    """A program or an absolute path that exists if it is installed."""


DEBIAN_PACKAGES: Final = {
    "mmdebstrap": Package("makes the images' base file system", "mmdebstrap"),
    "buildah": Package("builds the product's Containerfile", "buildah"),
    "gcc": Package("compiles the pause program and Ollama", "gcc"),
    "g++": Package("compiles Ollama's engine", "g++"),
    "cmake": Package("configures the build of Ollama's engine", "cmake"),
    "ninja-build": Package("builds Ollama's engine", "ninja"),
    "libc6-dev": Package("compiles the pause program and Ollama", "/usr/include/stdio.h"),
}
