"""What the released image is, beside the Containerfile's."""

import re

from localcluster.paths import PROJECT
from release.build import Options
from release.image import config, file_name
from release.python_packages import PYTHON
from tests.unit.release.sources import SOURCE

CONTAINERFILE = (PROJECT / "Containerfile").read_text()


def test_a_container_starts_as_the_containerfiles_does() -> None:
    document = config(SOURCE, "thing:v1", "arm64").document()
    assert f"USER {document['User']}" in CONTAINERFILE
    assert f'CMD ["{document["Cmd"][0]}"]' in CONTAINERFILE
    variables = {entry for entry in document["Env"] if not entry.startswith("PATH=")}
    assert variables == {*re.findall(r"PYTHON\w+=\d", CONTAINERFILE)}


def test_the_image_says_what_it_was_built_from() -> None:
    labels = config(SOURCE, "thing:v1", "arm64").labels
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.revision"] == SOURCE.commit


def test_both_images_have_the_same_python() -> None:
    (release,) = re.findall(r"python:(\d+\.\d+)-", CONTAINERFILE.partition("\n\n")[0])[-1:]
    assert PYTHON.startswith(f"{release}.")


def test_archives_are_named_by_version_and_architecture() -> None:
    assert file_name("1.2.3", "arm64") == "aichat-workspace-operator-1.2.3-arm64.oci.tar"
    assert file_name("1.2.3") == "aichat-workspace-operator-1.2.3.oci.tar"


def test_an_image_without_a_registry_has_the_name_that_nodes_look_for() -> None:
    assert Options().archive_name("1.2.3") == "docker.io/library/aichat-workspace-operator:v1.2.3"
    assert Options().repository() == "aichat-workspace-operator"
    options = Options("registry.example.org/a/b")
    assert options.archive_name("1.2.3") == "registry.example.org/a/b:v1.2.3"
