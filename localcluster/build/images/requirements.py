"""What building the images needs of the machine."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Package:
    """A Debian package by its use, and by a program or an absolute path that proves it is there."""

    use: str
    proof: str


DEBIAN_PACKAGES: Final = {
    "mmdebstrap": Package("makes the images' base file system", "mmdebstrap"),
    "buildah": Package("builds the product's Containerfile", "buildah"),
    "gcc": Package("compiles the pause program and Ollama", "gcc"),
    "g++": Package("compiles Ollama's engine", "g++"),
    "cmake": Package("configures the build of Ollama's engine", "cmake"),
    "ninja-build": Package("builds Ollama's engine", "ninja"),
    "libc6-dev": Package("compiles the pause program and Ollama", "/usr/include/stdio.h"),
}
