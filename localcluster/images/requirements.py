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
    "libc6-dev": Package("compiles the pause program and Ollama", "/usr/include/stdio.h"),
    "nlohmann-json3-dev": Package(
        "a header that Ollama's module archive leaves out", "/usr/include/nlohmann/json.hpp"
    ),
    "libstb-dev": Package(
        "a header that Ollama's module archive leaves out", "/usr/include/stb/stb_image.h"
    ),
}
