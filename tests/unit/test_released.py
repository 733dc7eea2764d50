"""Nothing that a supported release promised is lost: tests/released has what each of them did."""

import json
import re
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1 import crd
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from release import contract
from release.errors import ReleaseError
from tests.compatibility import (
    KINDS,
    RELEASED,
    as_stored,
    broken,
    released_definition,
    schema_of,
)
from tests.specs import histories, values_of

# What a release may take on purpose: the version that promised it, the path, and the entry of the
# changelog that says how to move. Empty as long as nothing is taken.
ACCEPTED: Final[dict[tuple[str, str], str]] = {}
NOW: Final = {"aichatworkspaces": crd.workspace_crd(), "aichatplatforms": crd.platform_crd()}
LAST: Final = RELEASED[-1]
SPEC: Final = schema_of(released_definition(LAST, "aichatworkspaces")["spec"]["versions"][0])[
    "properties"
]["spec"]
ids = pytest.mark.parametrize("folder", RELEASED, ids=lambda folder: folder.name)


@ids
@pytest.mark.parametrize("kind", KINDS)
def test_no_field_value_default_or_limit_of_a_release_is_lost_or_narrowed(
    folder: Path, kind: str
) -> None:
    taken = broken(released_definition(folder, kind), NOW[kind])
    assert [entry for entry in taken if (folder.name, entry) not in ACCEPTED] == []


@ids
def test_no_reason_phase_or_condition_of_a_release_is_lost_or_means_something_else(
    folder: Path,
) -> None:
    promised = json.loads((folder / contract.WORDS).read_text())
    words = contract.words()
    assert promised["reasons"].items() <= words["reasons"].items()
    for part in ("phases", "conditions", "platformConditions"):
        assert set(promised[part]) <= set(words[part])
    lost = _changed(promised["platformDefaults"], words["platformDefaults"])
    assert [entry for entry in lost if (folder.name, entry) not in ACCEPTED] == []


def _changed(old: Any, new: Any, path: str = "default") -> list[str]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [] if old == new else [path]
    return [
        entry
        for name, value in old.items()
        for entry in _changed(value, new.get(name), f"{path}.{name}")
    ]


@given(st.data())
@settings(max_examples=15)
def test_every_spec_of_the_last_release_is_one_of_this(data: st.DataObject) -> None:
    fields = st.fixed_dictionaries(
        {}, optional={name: values_of(field, name) for name, field in SPEC["properties"].items()}
    )
    spec = {**data.draw(fields), "workspaceName": "team-a"}
    jsonschema_rs.validate(crd.structural(WorkspaceSpec), spec)


@given(histories(3))
@settings(max_examples=15)
def test_what_one_version_stores_the_other_gives_back(specs: list[dict[str, Any]]) -> None:
    """Nothing is added or dropped on the way there and back."""
    schemas = {
        version["name"]: schema_of(version)["properties"]["spec"]
        for version in NOW["aichatworkspaces"]["spec"]["versions"]
    }
    for spec in specs:
        written = {"workspaceName": "team-a", **spec}
        stored = as_stored(schemas[names.VERSION], written)
        for version in names.SERVED_VERSIONS:
            assert as_stored(schemas[version], stored) == stored
            jsonschema_rs.validate(schemas[version], stored)


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    """The folder of a repository with one definition."""
    git(tmp_path, "init", "--quiet")
    folder = tmp_path / "config" / "crd" / "bases"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text("a: 1\n")
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True)


def test_a_frozen_contract_is_replaced_only_on_demand_and_never_once_it_is_out(
    tmp_path: Path, definitions: Path
) -> None:
    frozen = contract.freeze(tmp_path, "1.2.3") / "a.yaml"
    assert contract.freeze(tmp_path, "1.2.3") == frozen.parent, "nothing differs"
    (definitions / "a.yaml").write_text("a: 2\n")
    with pytest.raises(ReleaseError, match="AGAIN=yes"):
        contract.freeze(tmp_path, "1.2.3")
    assert frozen.read_text() == "a: 1\n"
    contract.freeze(tmp_path, "1.2.3", again=True)
    assert frozen.read_text() == "a: 2\n"
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    git(tmp_path, "tag", "v1.2.3")
    (definitions / "a.yaml").write_text("a: 3\n")
    with pytest.raises(ReleaseError, match=r"v1\.2\.3 is tagged"):
        contract.freeze(tmp_path, "1.2.3", again=True)
    assert frozen.read_text() == "a: 2\n"


def test_a_contract_is_frozen_and_then_refuses_what_differs(
    tmp_path: Path, definitions: Path
) -> None:
    with pytest.raises(ReleaseError, match="make freeze"):
        contract.check(tmp_path, "1.2.3")
    folder = contract.freeze(tmp_path, "1.2.3")
    assert {path.name for path in folder.iterdir()} == {"a.yaml", "words.json"}
    contract.check(tmp_path, "1.2.3")
    (definitions / "a.yaml").write_text("a: 2\n")
    with pytest.raises(ReleaseError, match=r"1\.2\.3/a\.yaml is not what"):
        contract.check(tmp_path, "1.2.3")


def _spec(definition: Any) -> Any:
    return schema_of(definition["spec"]["versions"][0])["properties"]["spec"]["properties"]


def _drop_version(definition: Any) -> None:
    versions = definition["spec"]["versions"]
    versions[:] = [version for version in versions if version["name"] != names.VERSION]
    versions[0]["storage"] = True


def _store_newest(definition: Any) -> None:
    for version in definition["spec"]["versions"]:
        version["storage"] = version["name"] == names.SERVED_VERSIONS[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda crd: _spec(crd).pop("restart"), "restart is lost"),
        (lambda crd: _spec(crd)["models"].update(maxItems=1), "maxItems"),
        (lambda crd: _spec(crd)["deletionPolicy"]["enum"].remove("Retain"), "no value Retain"),
        (lambda crd: _spec(crd)["workspaceENV"].update(default="prod"), "default 'dev' is 'prod'"),
        (lambda crd: _spec(crd)["displayName"].update(minLength=40), "minLength"),
        (lambda crd: _spec(crd)["suspended"].update(type="string"), "type 'boolean' is 'string'"),
        (lambda crd: _spec(crd)["restart"].update(required=["ollama"]), "it is required"),
        (
            lambda crd: _spec(crd)["costCentre"].update(
                {"x-kubernetes-validations": [{"rule": "self != 'a'"}]}
            ),
            "is new",
        ),
        (lambda crd: _spec(crd)["labels"].pop("additionalProperties"), r"labels\.\* is lost"),
        (lambda crd: crd["spec"]["names"]["shortNames"].clear(), "no aiws"),
        (
            lambda crd: crd["spec"]["versions"][0]["additionalPrinterColumns"].pop(),
            "additionalPrinterColumns: no Age",
        ),
        (_drop_version, "version v1alpha1 is not served"),
        (_store_newest, "v1beta1 is stored, which the release before can't read"),
    ],
)
def test_what_is_lost_or_narrowed_is_named(change: Callable[[Any], object], message: str) -> None:
    old = deepcopy(NOW["aichatworkspaces"])
    if change is _store_newest:
        old["spec"]["versions"] = [
            version for version in old["spec"]["versions"] if version["name"] == names.VERSION
        ]
    new = deepcopy(NOW["aichatworkspaces"])
    assert broken(old, new) == []
    change(new)
    assert [entry for entry in broken(old, new) if re.search(message, entry)]
