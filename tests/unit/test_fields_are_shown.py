"""No field is forgotten: each has a test against a real API server that shows what it does."""

from pathlib import Path

import pytest

from aichat_workspace.domain.v1alpha1.crd import structural
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.integration import platform_fields, spec_fields
from tests.schemas import leaves, values
from tests.specs import SCHEMA

PLATFORM = structural(PlatformSpec)
INTEGRATION = Path(spec_fields.__file__).parent
ELSEWHERE = sorted({*spec_fields.ELSEWHERE.values(), *platform_fields.ELSEWHERE.values()})


def test_every_field_of_a_workspace_is_shown_to_act() -> None:
    assert {*spec_fields.FIELDS, *spec_fields.ELSEWHERE} == set(leaves(SCHEMA))


def test_every_setting_of_the_platform_is_shown_to_act() -> None:
    assert {*platform_fields.EDITS, *platform_fields.ELSEWHERE} == set(leaves(PLATFORM))


@pytest.mark.parametrize("name", spec_fields.FIELDS)
def test_two_specs_of_a_field_differ_in_that_field(name: str) -> None:
    field = spec_fields.FIELDS[name]
    first, second = (values(SCHEMA, field.spec(value)) for value in field.values)
    changed = {leaf for leaf in first | second if first.get(leaf) != second.get(leaf)}
    assert changed == {name}
    assert field.shows[0] != field.shows[1]


@pytest.mark.parametrize("name", platform_fields.EDITS)
def test_an_edit_of_a_setting_sets_it(name: str) -> None:
    assert name in values(PLATFORM, platform_fields.EDITS[name].spec)


@pytest.mark.parametrize(("file", "test"), ELSEWHERE)
def test_what_is_said_to_be_shown_elsewhere_is_shown_there(file: str, test: str) -> None:
    assert f"def {test}(" in (INTEGRATION / f"{file}.py").read_text()
