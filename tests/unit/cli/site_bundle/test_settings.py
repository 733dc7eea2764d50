"""What to set where a bundle was loaded."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from aichat_workspace.cli.site_bundle.settings import (
    EMBEDDING_MODEL,
    Site,
    commands,
    next_steps,
    settings_document,
)
from aichat_workspace.domain.v1alpha1.platform_spec import (
    PLATFORM_NAME,
    ModelSettings,
    PlatformSpec,
)
from aichat_workspace.oci.address import parse_address
from aichat_workspace.oci.bundle import Entry, Kind
from aichat_workspace.oci.documents import Descriptor
from aichat_workspace.oci.push import Pushed, place_of
from tests.examples import examples

PAGE = Path(__file__).parents[4] / "docs" / "airgapped.md"
ADDRESS = parse_address("mirror.example.org:5000/upstream")


def pushed(kind: Kind, name: str) -> Pushed:
    entry = Entry(kind, name, Descriptor("", "", 1))
    return Pushed(entry, place_of(entry, ADDRESS), 1)


OPERATOR = pushed(Kind.OPERATOR, "ghcr.io/owner/aichat-workspace-operator:v1.2.3")
EMBEDDING = pushed(Kind.MODEL, "registry.ollama.ai/library/nomic-embed-text:latest")


@pytest.mark.parametrize(
    "site",
    [
        Site(ADDRESS),
        Site(ADDRESS, has_login=True, has_authority=True, addresses=("10.1.2.3", "fd00::1")),
        Site(parse_address("http://mirror.example.org:5000/upstream")),
    ],
)
def test_the_platform_takes_the_fields(site: Site) -> None:
    platform = settings_document(site, [OPERATOR, EMBEDDING])["platform"]
    assert platform["apiVersion"].startswith("apps.aichatworkspaces.io/v1")
    assert (platform["kind"], platform["metadata"]) == ("AIChatPlatform", {"name": PLATFORM_NAME})
    settings = PlatformSpec.model_validate(platform["spec"])
    assert settings.images.resolved[0].startswith("mirror.example.org:5000/upstream/ollama/ollama:")
    assert settings.models.allowed_registries == ("mirror.example.org:5000",)
    assert settings.models.embedding_model == (
        "mirror.example.org:5000/library/nomic-embed-text:latest"
    )
    assert bool(settings.models.insecure_registries) == site.address.is_plain
    assert len(settings.network.egress_allow) == len(site.addresses)


def test_the_embedding_model_is_the_platforms_default() -> None:
    assert ModelSettings().embedding_model == EMBEDDING_MODEL


def steps(*loaded: Pushed, **site: Any) -> str:
    known = Site(ADDRESS, **site)
    return next_steps(known, "bundle.tar", settings_document(known, loaded))


def test_the_steps_are_yaml_with_the_commands_that_they_need() -> None:
    text = steps(OPERATOR, EMBEDDING, has_login=True, has_authority=True)
    assert "tar -xf bundle.tar files" in text
    assert "create secret generic registry " in text
    assert "create configmap registry-authorities " in text
    _, _, rest = text.partition("# values.yaml")
    values = yaml.safe_load(rest.partition("# platform.yaml")[0])
    assert values["imagePullSecrets"] == [{"name": "registry"}]
    assert values["image"]["repository"] == (
        "mirror.example.org:5000/upstream/owner/aichat-workspace-operator"
    )


def test_the_commands_come_first_and_are_those_of_the_page() -> None:
    text = steps(OPERATOR, has_login=True, has_authority=True)
    lines = [line.strip() for line in commands(Site(ADDRESS, has_login=True, has_authority=True))]
    assert [line.removeprefix("#").strip() for line in text.splitlines()[2:7]] == lines
    blocks = "".join(example.script for example in examples(PAGE))
    assert [line for line in lines if line not in blocks] == []
    assert lines[:2] == [line.strip() for line in commands(Site(ADDRESS))]


def test_helm_asks_a_chat_model_of_the_registry() -> None:
    document = settings_document(Site(ADDRESS), [OPERATOR], "mirror.example.org/library/a:1")
    assert document["values"]["smokeTest"] == {"model": "mirror.example.org/library/a:1"}
    assert "name a chat model" not in next_steps(Site(ADDRESS), "bundle.tar", document)
    assert "name a chat model of the registry as smokeTest.model" in steps(OPERATOR)


def test_without_the_platforms_default_people_are_told_to_choose() -> None:
    assert "name one of the models below as embeddingModel" in steps(OPERATOR)
    assert "embeddingModel: none" in steps(OPERATOR)
