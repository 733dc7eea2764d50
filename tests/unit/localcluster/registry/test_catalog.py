"""What the registry offers."""

import json

import pytest

from localcluster.registry.catalog import Entry, fill
from localcluster.registry.store import Reference, Store

ENTRIES = (Entry("gemma2:2b"),)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gemma2:2b", Reference("library/gemma2", "2b")),
        ("smollm2", Reference("library/smollm2", "latest")),
        ("me/mine:v1", Reference("me/mine", "v1")),
    ],
)
def test_names_have_ollama_s_defaults(name: str, expected: Reference) -> None:
    assert Reference.parse(name) == expected


def test_a_model_is_complete_and_says_what_it_is(store: Store) -> None:
    fill(store, print, ENTRIES)
    manifest = json.loads(store.manifest(Reference("library/gemma2", "2b")) or b"")
    for part in (manifest["config"], *manifest["layers"]):
        path = store.blob(part["digest"])
        assert path is not None
        assert path.stat().st_size == part["size"]
    config = store.blob(manifest["config"]["digest"])
    assert config is not None
    assert json.loads(config.read_text())["model_type"] == "stand-in"


def test_only_what_is_missing_is_written(store: Store) -> None:
    said: list[str] = []
    fill(store, said.append, ENTRIES)
    fill(store, said.append, ENTRIES)
    assert len(said) == 1
    manifest = json.loads(store.manifest(ENTRIES[0].reference) or b"")
    blob = store.blob(manifest["layers"][1]["digest"])
    assert blob is not None
    blob.unlink()
    fill(store, said.append, ENTRIES)
    assert len(said) == 2
