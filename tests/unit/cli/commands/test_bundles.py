"""`aichatctl bundle`: what is in a bundle, and a load into a registry."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aichat_workspace.oci.address import parse_address
from aichat_workspace.oci.client import connect
from localcluster.registry.server import application
from localcluster.registry.store import Store
from tests.command_line import run
from tests.contracts.registry import CONFIG, LAYER, manifest_of, send
from tests.served import served
from tests.unit.cli.test_output import validator
from tests.unit.oci.bundles import MODEL, OLLAMA, OPERATOR, write_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The local node's, which redirects blobs to another name, as storage does."""
    store = Store(tmp_path / "pushed", tmp_path / "models")
    with served(application(store, "localhost", "")) as port:
        yield f"127.0.0.1:{port}"


def test_a_list_shows_images_models_and_files(bundle: Path) -> None:
    result = run("bundle", "list", bundle)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:5]] == [
        ["operator", OPERATOR],
        ["image", OLLAMA],
        ["model", MODEL],
        ["file", "chart.tgz"],
    ]
    assert "linux/amd64, linux/arm64" in lines[1]
    assert "Release 1.2.3" in lines[-1]


def test_a_list_for_programs_is_as_its_schema_says(bundle: Path) -> None:
    document = json.loads(run("bundle", "list", bundle, "-o", "json").stdout)
    validator("bundle list").validate(document)
    assert document["items"][2]["name"] == MODEL
    names = run("bundle", "list", bundle, "-o", "name").stdout.split()
    assert names == [OPERATOR, OLLAMA, MODEL]


def test_a_file_that_is_no_bundle_is_a_usage_error(tmp_path: Path) -> None:
    result = run("bundle", "list", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "nothing can't be read" in result.stderr


def test_a_load_prints_what_to_set_and_says_what_it_does(bundle: Path, registry: str) -> None:
    result = run("bundle", "load", bundle, f"http://{registry}/upstream")
    assert result.exit_code == 0, result.stderr
    values, platform = (
        document
        for document in map(
            yaml.safe_load,
            result.stdout.split("# platform.yaml; add your domain as spec.ingress.domain"),
        )
        if document
    )
    assert values["image"] == {
        "repository": f"{registry}/upstream/library/aichat-workspace-operator",
        "tag": "v1.2.3",
        "digest": "",
    }
    assert platform["spec"] == {
        "images": {"mirror": f"{registry}/upstream"},
        "models": {
            "allowedRegistries": [registry],
            "embeddingModel": "none",
            "insecureRegistries": [registry],
        },
    }
    assert f"#   {registry}/library/smollm2:135m" in result.stdout
    assert f"{registry}/library/smollm2:135m: pushed" in result.stderr
    again = run("bundle", "load", bundle, f"http://{registry}/upstream")
    assert again.stdout == result.stdout
    assert again.stderr.count(": was there") == 3


def test_a_load_replaces_what_the_registry_has_else_only_where_that_is_wished(
    bundle: Path, registry: str
) -> None:
    with connect(parse_address(f"http://{registry}")) as client:
        for content in (CONFIG, LAYER):
            send(client, content, "library/smollm2")
        client.push_manifest("library/smollm2", "135m", manifest_of())
        result = run("bundle", "load", bundle, f"http://{registry}")
        assert result.exit_code == 1
        message = " ".join(result.stderr.split())
        assert f"nothing was pushed: {registry} has other content" in message
        assert f"{registry}/library/smollm2:135m" in message
        assert "--replace" in message
        assert client.manifest_digest("ollama/ollama", "0.34.0") == ""
        assert run("bundle", "load", bundle, f"http://{registry}", "--replace").exit_code == 0
        assert client.manifest("library/smollm2", "135m") != manifest_of()


def test_what_a_load_prints_for_programs_is_as_its_schema_says(bundle: Path, registry: str) -> None:
    result = run("bundle", "load", bundle, f"http://{registry}", "-o", "json")
    document = json.loads(result.stdout)
    validator("bundle load").validate(document)
    assert document["models"] == [f"{registry}/library/smollm2:135m"]
    assert document["platform"]["spec"]["images"] == {"mirror": registry}


def test_a_registry_from_which_ollama_can_not_pull_is_an_error_that_names_the_fix(
    bundle: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "pushed", tmp_path / "models")
    with served(application(store, "127.0.0.1", "")) as port:  # blobs are on the same host
        result = run("bundle", "load", bundle, f"http://127.0.0.1:{port}", "-o", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["models"] == [f"127.0.0.1:{port}/library/smollm2:135m"]
    message = " ".join(result.stderr.split())
    assert "all was pushed, but Ollama can't pull" in message
    assert "Location: ?" in message


def test_a_password_in_a_credential_helper_is_asked_for_with_the_options(
    bundle: Path, tmp_path: Path
) -> None:
    config = {"auths": {"mirror.example.org": {}}, "credsStore": "desktop"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    result = run("bundle", "load", bundle, "mirror.example.org", home=tmp_path)
    assert result.exit_code == 4
    assert "credential helper desktop" in " ".join(result.stderr.split())
    assert "--username and --password-stdin" in " ".join(result.stderr.split())


def test_half_a_login_is_a_usage_error(bundle: Path) -> None:
    for options in (["--username", "ann"], ["--password-stdin"]):
        result = run("bundle", "load", bundle, "mirror.example.org", *options)
        assert result.exit_code == 2
        assert "--username USER and --password-stdin together" in " ".join(result.stderr.split())


def test_a_registry_that_is_not_there_is_unreachable(bundle: Path, registry: str) -> None:
    del registry
    result = run("bundle", "load", bundle, "http://127.0.0.1:9")
    assert result.exit_code == 6
    assert "127.0.0.1:9" in result.stderr
