"""Which settings are in force: those that are there, or the last ones."""

from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.platform_settings import (
    Settings,
    settings_in_force,
    settings_record,
)
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec

ABSENT = None
OURS = {
    "ingress": {"domain": "ai.corp.example"},
    "models": {"allowedRegistries": ["models.corp.example"]},
}


def platform(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "default"}, "spec": spec}


def in_force(
    platform: dict[str, Any] | None, record: Any = None, last: Settings | None = None
) -> Settings:
    settings = settings_in_force(platform, record, last)
    assert settings is not None
    return settings


def test_where_there_never_was_a_platform_nothing_is_in_force() -> None:
    assert settings_in_force(ABSENT, None, None) is None


def test_a_deleted_platform_keeps_its_last_settings() -> None:
    last = in_force(platform(**OURS))
    after = in_force(ABSENT, None, last)
    assert after.spec == last.spec
    assert (last.is_deleted, after.is_deleted) == (False, True)


def test_they_are_kept_across_a_restart_by_the_record() -> None:
    last = in_force(platform(**OURS))
    after = in_force(ABSENT, settings_record(last))
    assert after.spec == last.spec
    assert after.is_deleted


def test_paused_upgrades_stay_paused_without_a_platform_and_across_a_restart() -> None:
    paused: Any = platform(**OURS)
    paused["metadata"]["annotations"] = {names.UPGRADES_ANNOTATION: names.PAUSED}
    last = in_force(paused)
    assert last.is_upgrade_paused
    assert in_force(ABSENT, None, last).is_upgrade_paused
    assert in_force(ABSENT, settings_record(last)).is_upgrade_paused
    resumed = in_force(platform(**OURS), settings_record(last), last)
    assert not resumed.is_upgrade_paused
    assert not in_force(ABSENT, settings_record(resumed)).is_upgrade_paused


def test_a_platform_counts_more_than_the_record() -> None:
    record = settings_record(in_force(platform(**OURS)))
    empty = in_force(platform(), record)
    assert empty.spec == PlatformSpec()
    assert not empty.is_deleted


def test_the_record_has_the_written_fields_and_not_the_defaults() -> None:
    record = settings_record(in_force(platform(**OURS)))
    assert record["metadata"]["namespace"] == names.SYSTEM_NAMESPACE
    assert record["data"]["spec"] == (
        '{"ingress": {"domain": "ai.corp.example"}, '
        '"models": {"allowedRegistries": ["models.corp.example"]}}'
    )


def test_a_refused_field_keeps_its_earlier_value_and_others_follow() -> None:
    last = in_force(platform(models={"concurrentPulls": 7}))
    edited = platform(models={"concurrentPulls": -1}, ingress={"domain": "new.example"})
    for settings in (in_force(edited, None, last), in_force(edited, settings_record(last))):
        assert settings.spec.models.concurrent_pulls == 7
        assert settings.spec.ingress.domain == "new.example"
        assert settings.unknown == frozenset()
        assert "spec.models.concurrentPulls" in settings.problem


def test_a_refused_field_that_was_not_written_before_keeps_the_default() -> None:
    last = in_force(platform(ingress={"domain": "ai.corp.example"}))
    settings = in_force(platform(models={"concurrentPulls": -1}), None, last)
    assert settings.spec == PlatformSpec()
    assert settings.unknown == frozenset()
    assert "models" not in settings.document


def test_a_value_that_a_newer_release_refuses_everywhere_is_unknown_and_stays_recorded() -> None:
    """The record holds what the older release took, which is the same value."""
    strict = platform(network={"egressExcept": ["fd00::/129"]}, **OURS)
    record = {**settings_record(in_force(platform()))}
    record["data"] = {"spec": '{"network": {"egressExcept": ["fd00::/129"]}}'}
    settings = in_force(strict, record)
    assert settings.unknown == {"network"}
    assert settings.spec.ingress.domain == "ai.corp.example"
    after = in_force(ABSENT, settings_record(settings))
    assert after.unknown == {"network"}
    assert "fd00::/129" in settings_record(after)["data"]["spec"]


def test_a_value_is_known_again_once_it_is_corrected() -> None:
    broken = in_force(platform(models={"concurrentPulls": -1}))
    assert broken.unknown == {"models"}
    corrected = in_force(platform(models={"concurrentPulls": 3}), None, broken)
    assert (corrected.unknown, corrected.problem) == (frozenset(), "")
    assert corrected.spec.models.concurrent_pulls == 3


@pytest.mark.parametrize("data", [None, {}, {"spec": "no json"}, {"spec": "[]"}])
def test_of_an_unreadable_record_every_setting_is_unknown(data: Any) -> None:
    settings = in_force(ABSENT, {"data": data})
    assert settings.unknown == {
        field.alias or name for name, field in PlatformSpec.model_fields.items()
    }
    assert settings.document == {}
    assert in_force(platform(**OURS), {"data": data}).unknown == frozenset()
