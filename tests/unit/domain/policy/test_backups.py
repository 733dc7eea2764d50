"""Where a workspace's backups go, and what is said where they can't."""

import base64
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy import backups, effective_spec, limits
from aichat_workspace.domain.policy.backups import ACCESS_KEY, PASSPHRASE, SECRET_KEY
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.backups import PLATFORM, SECRETS, platform
from tests.unit.domain.samples import workspace

TEAM = "team-a"


def spec(**backup: Any) -> Any:
    return workspace(backup=backup).spec


class TestTheDestination:
    @pytest.mark.parametrize(
        ("name", "team", "expected"),
        [(None, TEAM, "bucket"), (None, "team-b", "volume"), ("volume", TEAM, "volume")],
        ids=["the first", "the first that the team may choose", "by its name"],
    )
    def test_is_the_one_that_the_team_gets(
        self, name: str | None, team: str, expected: str
    ) -> None:
        place, problem = backups.destination(spec(destination=name), team, PLATFORM)
        assert problem is None
        assert place is not None
        assert place.name == expected

    @pytest.mark.parametrize(
        ("name", "settings", "reason", "words"),
        [
            (None, PlatformSpec(), Reason.BACKUP_DESTINATION_NOT_FOUND, "spec.backup.destinations"),
            ("tape", PLATFORM, Reason.BACKUP_DESTINATION_NOT_FOUND, "'tape'"),
            ("bucket", PLATFORM, Reason.BACKUP_DESTINATION_NOT_ALLOWED, "may choose volume"),
        ],
        ids=["none there", "unknown", "another team's"],
    )
    def test_that_can_not_be_had_is_a_problem_of_its_field(
        self, name: str | None, settings: PlatformSpec, reason: Reason, words: str
    ) -> None:
        (problem,) = backups.violations(spec(destination=name), "team-b", settings)
        assert (problem.reason, problem.field) == (reason, "spec.backup.destination")
        assert words in problem.message

    def test_is_asked_for_by_a_restore_too(self) -> None:
        restoring = workspace(restore={"backup": "20261201T000000Z-00000000"}).spec
        assert [*backups.violations(restoring, TEAM, PlatformSpec())]
        assert not [*backups.violations(workspace().spec, TEAM, PlatformSpec())]


class TestTheDestinationOfARestore:
    def restoring(self, destination: str | None, **spec: Any) -> Any:
        restore = {"backup": "20261201T000000Z-00000000", "destination": destination}
        return workspace(restore=restore, **spec).spec

    @pytest.mark.parametrize(
        ("name", "expected"), [(None, "volume"), ("bucket", "bucket")], ids=["none", "another"]
    )
    def test_is_that_of_the_backups_unless_it_names_one(
        self, name: str | None, expected: str
    ) -> None:
        restoring = self.restoring(name, backup={"destination": "volume"})
        place, problem = backups.origin(restoring, TEAM, PLATFORM)
        assert problem is None
        assert place is not None
        assert place.name == expected
        assert [*backups.violations(restoring, TEAM, PLATFORM)] == []

    def test_that_the_team_may_not_choose_is_a_problem_of_its_field(self) -> None:
        restoring = self.restoring("bucket", backup={"destination": "volume"})
        (problem,) = backups.violations(restoring, "team-b", PLATFORM)
        assert problem.reason is Reason.BACKUP_DESTINATION_NOT_ALLOWED
        assert problem.field == "spec.restore.destination"
        assert "change spec.restore.destination" in problem.message

    def test_alone_asks_for_no_other_one(self) -> None:
        only_bucket = platform(destinations=[])
        (problem,) = backups.violations(self.restoring("tape"), TEAM, only_bucket)
        assert problem.field == "spec.restore.destination"

    def test_that_is_a_volume_needs_room_for_it(self) -> None:
        def storage(destination: str) -> str:
            return effective_spec.backup_share(self.restoring(destination), PLATFORM).storage

        assert storage("volume") == "20Gi"
        assert storage("bucket") == effective_spec.BackupShare().storage


class TestTheSecrets:
    def test_become_the_programs_variables(self) -> None:
        place = PLATFORM.backup.destinations[0]
        secret, problem = backups.resolve_secret(place, PLATFORM.backup, SECRETS.get)
        assert problem is None
        assert secret is not None
        assert secret.data.keys() == {PASSPHRASE, ACCESS_KEY, SECRET_KEY}

    def test_of_a_volume_are_the_passphrase_alone(self) -> None:
        place = PLATFORM.backup.destinations[1]
        secret, _ = backups.resolve_secret(place, PLATFORM.backup, SECRETS.get)
        assert secret is not None
        assert secret.data.keys() == {PASSPHRASE}

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"keys": None}, "spec.backup.destinations[bucket].s3.secretName"),
            ({"keys": {"metadata": {}, "data": {}}}, "spec.backup.destinations[bucket]"),
            ({"sealing": None}, "spec.backup.passphraseSecretName"),
            ({"sealing": {**SECRETS["sealing"], "metadata": {}}}, names.SECRET_FOR_ANNOTATION),
            (
                {"sealing": {**SECRETS["sealing"], "data": {"passphrase": "bGVha2Vk"}}},
                "shorter than 12",
            ),
        ],
        ids=["no keys", "no key in it", "no passphrase", "not marked", "a short passphrase"],
    )
    def test_that_are_not_there_are_a_problem_of_their_setting(
        self, changed: dict[str, Manifest | None], words: str
    ) -> None:
        secrets = {**SECRETS, **changed}
        place = PLATFORM.backup.destinations[0]
        secret, problem = backups.resolve_secret(place, PLATFORM.backup, secrets.get)
        assert secret is None
        assert problem is not None
        assert problem.reason is Reason.BACKUP_SECRET_NOT_FOUND
        assert words in problem.message
        assert base64.b64decode("bGVha2Vk").decode() not in problem.message

    def test_without_a_passphrase_in_the_settings_are_a_problem(self) -> None:
        settings = platform(passphraseSecretName=None)
        place = settings.backup.destinations[0]
        _, problem = backups.resolve_secret(place, settings.backup, SECRETS.get)
        assert problem is not None
        assert "spec.backup.passphraseSecretName" in problem.message


class TestTheQuota:
    def test_has_room_for_one_more_pod_only_while_there_are_runs(self) -> None:
        assert len(effective_spec.pod_shares(workspace().spec, PLATFORM)) == 2
        assert len(effective_spec.pod_shares(spec(), PLATFORM)) == 3
        restoring = workspace(restore={"backup": "20261201T000000Z-00000000"}).spec
        assert len(effective_spec.pod_shares(restoring, PLATFORM)) == 3

    def test_counts_the_volume_of_the_destination_that_the_team_gets(self) -> None:
        without = effective_spec.minimum(workspace().spec, PLATFORM)["storage"]
        filled = backups.fill_spec(spec(), "team-b", PLATFORM)
        assert effective_spec.minimum(filled, PLATFORM)["storage"] == without + 20 * 2**30
        in_bucket = backups.fill_spec(spec(), TEAM, PLATFORM)
        assert effective_spec.minimum(in_bucket, PLATFORM)["storage"] == without

    def test_that_is_too_small_says_that_a_run_needs_it(self) -> None:
        tight = workspace(backup={}, quota={"memory": "1Gi"}).spec
        messages = [problem.message for problem in limits.violations(tight, PLATFORM)]
        assert any("a run of the backup program" in message for message in messages)


def test_a_spec_keeps_the_destination_that_it_names() -> None:
    named = spec(destination="volume")
    assert backups.fill_spec(named, TEAM, PLATFORM) is named
    assert backups.fill_spec(workspace().spec, TEAM, PLATFORM).backup is None
    assert backups.fill_spec(spec(), TEAM, PlatformSpec()).backup == spec().backup


def test_what_is_filled_in_is_no_change_of_the_workspace() -> None:
    original = workspace(backup={})
    filled = backups.with_destination(original, platform())
    assert filled.own_spec == original.spec
    assert filled.spec_digest == original.spec_digest
    assert backups.with_destination(workspace(), PLATFORM) == workspace()
