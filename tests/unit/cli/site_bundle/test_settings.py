"""What to set where a bundle was loaded."""

from typing import Any

import pytest
import yaml

from aichat_workspace.cli.site_bundle.settings import (
    EMBEDDING_MODEL,
    Site,
    next_steps,
    settings_document,
)
from aichat_workspace.domain.v1alpha1.platform_spec import ModelSettings, PlatformSpec
from aichat_workspace.oci.address import parse_address
from aichat_workspace.oci.bundle import Entry, Kind
from aichat_workspace.oci.documents import Descriptor
from aichat_workspace.oci.push import Pushed, place_of

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
    spec = settings_document(site, [OPERATOR, EMBEDDING])["platform"]["spec"]
    settings = PlatformSpec.model_validate(spec)
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
    values = yaml.safe_load(rest.partition("# The AIChatPlatform")[0])
    assert values["imagePullSecrets"] == [{"name": "registry"}]
    assert values["image"]["repository"] == (
        "mirror.example.org:5000/upstream/owner/aichat-workspace-operator"
    )


def test_without_the_platforms_default_people_are_told_to_choose() -> None:
    assert "name one of the models below as embeddingModel" in steps(OPERATOR)
    assert "embeddingModel: none" in steps(OPERATOR)
