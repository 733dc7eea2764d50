"""What building the images needs of the machine."""

from typing import Final

DEBIAN_PACKAGES: Final = {
    "mmdebstrap": "makes the images' base file system",
    "buildah": "builds the product's Containerfile",
    "gcc": "compiles the pause program and Ollama",
    "g++": "compiles Ollama's engine",
    "libc6-dev": "compiles the pause program and Ollama",
    "nlohmann-json3-dev": "a header that Ollama's module archive leaves out",
    "libstb-dev": "a header that Ollama's module archive leaves out",
}
