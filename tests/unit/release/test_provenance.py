"""The statement of how a release was built."""

import json

from release import debian
from release.provenance import statement
from tests.unit.release.sources import SOURCE


def test_the_statement_names_what_was_built_from_what_and_by_whom() -> None:
    subjects = {"b.whl": "2" * 64, "a.tgz": "1" * 64}
    content = json.loads(statement(SOURCE, "registry.example.org/a", subjects, "https://b.example"))
    assert content["_type"] == "https://in-toto.io/Statement/v1"
    assert content["predicateType"] == "https://slsa.dev/provenance/v1"
    assert content["subject"] == [
        {"name": "a.tgz", "digest": {"sha256": "1" * 64}},
        {"name": "b.whl", "digest": {"sha256": "2" * 64}},
    ]
    definition = content["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {
        "version": "1.2.3",
        "image": "registry.example.org/a",
    }
    assert content["predicate"]["runDetails"]["builder"] == {"id": "https://b.example"}
    source, *others = definition["resolvedDependencies"]
    assert source == {"name": "source", "digest": {"gitCommit": SOURCE.commit}}
    uris = {entry.get("uri") for entry in others}
    assert {package.purl for package in debian.locked("arm64")} <= uris
    assert "requirements/operator.txt" in {entry.get("name") for entry in others}


def test_the_same_release_has_the_same_statement() -> None:
    first, second = (
        statement(SOURCE, "a", dict(order), "b")
        for order in ([("x", "1"), ("y", "2")], [("y", "2"), ("x", "1")])
    )
    assert first == second
