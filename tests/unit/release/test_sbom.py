"""The bill of materials of an image."""

import json
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion

from localcluster.build.images.oci import Image
from release.sbom import document
from tests.unit.release.sources import SOURCE

IMAGE = Image("docker.io/library/thing:v1.2.3", Path("thing.tar"), "sha256:" + "a" * 64)


@pytest.fixture(scope="module")
def text() -> str:
    packages = ("orjson", "certifi", "kubernetes")
    distributions = [Path(str(distribution(name)._path)) for name in packages]  # type: ignore[attr-defined]
    return document(SOURCE, IMAGE, "arm64", distributions)


@pytest.fixture(scope="module")
def content(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_the_document_is_valid_cyclonedx(text: str) -> None:
    # Its import takes three seconds, which other tests' workers need not spend.
    validation = import_module("cyclonedx.validation.json")
    assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_it_is_of_the_image_and_its_commit(content: dict[str, Any]) -> None:
    image = content["metadata"]["component"]
    assert image["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert image["version"] == "1.2.3"
    assert content["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"


def test_packages_have_versions_addresses_and_licences(content: dict[str, Any]) -> None:
    components = {component["name"]: component for component in content["components"]}
    orjson = components["orjson"]
    assert orjson["purl"] == f"pkg:pypi/orjson@{distribution('orjson').version}"
    assert orjson["licenses"] == [{"expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}]
    zlib = components["zlib1g"]
    assert "arch=arm64" in zlib["purl"]
    assert zlib["licenses"] == [{"license": {"id": "Zlib"}}]
    assert len(zlib["hashes"][0]["content"]) == 64


def test_the_image_depends_on_all_of_them(content: dict[str, Any]) -> None:
    depends = {entry["ref"]: entry.get("dependsOn", []) for entry in content["dependencies"]}
    assert {*depends["image"]} == {component["bom-ref"] for component in content["components"]}


def test_the_same_image_has_the_same_document(text: str) -> None:
    packages = ("kubernetes", "certifi", "orjson")
    distributions = [Path(str(distribution(name)._path)) for name in packages]  # type: ignore[attr-defined]
    assert document(SOURCE, IMAGE, "arm64", distributions) == text
    other = Image(IMAGE.name, IMAGE.archive, "sha256:" + "b" * 64)
    assert json.loads(document(SOURCE, other, "arm64", distributions))["serialNumber"] not in text
