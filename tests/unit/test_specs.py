"""The generated specs: every field is among them, and all of them are specs."""

import re

import pytest
from hypothesis import Phase, find, given, settings

from aichat_workspace.domain.policy import limits
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from tests.schemas import leaves, values
from tests.specs import (
    ALLOWED,
    APART,
    FIELDS,
    SCHEMA,
    SIZE_CLASSES,
    Spec,
    edits,
    histories,
    values_of,
)

PLATFORM = PlatformSpec.model_validate({"allowed": ALLOWED, "sizeClasses": SIZE_CLASSES})
LEAVES = sorted(set(leaves(SCHEMA)) - APART)
ONCE = settings(phases=[Phase.generate], max_examples=20_000, derandomize=True, database=None)


@given(histories(6))
@settings(max_examples=30)
def test_every_generated_spec_is_one_that_the_platform_allows(specs: list[Spec]) -> None:
    for spec in specs:
        read = WorkspaceSpec.model_validate({"workspaceName": "team-a", **spec})
        assert not tuple(limits.violations(read, PLATFORM))


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_field_is_generated(leaf: str) -> None:
    field = re.split(r"[.\[]", leaf)[0]
    generated = values_of(SCHEMA["properties"][field], field)
    find(generated, lambda value: leaf in values(SCHEMA, {field: value}), settings=ONCE)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_changed_and_removed(field: str) -> None:
    full = {field: find(values_of(SCHEMA["properties"][field], field), bool, settings=ONCE)}
    find(edits(full), lambda spec: spec.get(field, full[field]) != full[field], settings=ONCE)
    find(edits(full), lambda spec: field not in spec, settings=ONCE)
