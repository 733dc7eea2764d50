"""Whether the platform has a place for backups, and whether workspaces have them."""

import json
from typing import Any, Final

from tests.unit.cli.world import READY_STATUS, World, condition

_S3: Final = {"endpoint": "https://s3.example.org", "bucket": "backups", "secretName": "store"}
_DESTINATIONS: Final = [{"name": "offsite", "s3": _S3}]


def findings(world: World, code: str) -> list[dict[str, Any]]:
    document = json.loads(world.run("doctor", "-o", "json").out)
    return [finding for finding in document["findings"] if finding["code"] == code]


def test_a_platform_without_a_place_for_backups_is_noted(world: World) -> None:
    (finding,) = findings(world, "AC602")
    assert finding["severity"] == "note"
    assert "ask the platform team" in finding["fix"]


def test_a_destination_without_a_passphrase_is_a_problem(world: World) -> None:
    world.put_platform(backup={"destinations": _DESTINATIONS})
    (finding,) = findings(world, "AC602")
    assert finding["severity"] == "problem"
    assert "none go to offsite" in finding["text"]
    world.put_platform(backup={"destinations": _DESTINATIONS, "passphraseSecretName": "phrase"})
    (finding,) = findings(world, "AC602")
    assert (finding["severity"], finding["text"]) == ("good", "backups may go to offsite")


def test_snapshots_need_no_passphrase(world: World) -> None:
    world.put_platform(
        backup={
            "destinations": [{"name": "snapshots", "snapshot": {"volumeSnapshotClassName": ""}}]
        }
    )
    (finding,) = findings(world, "AC602")
    assert (finding["severity"], finding["text"]) == ("good", "backups may go to snapshots")


def test_failed_and_overdue_backups_are_problems(world: World) -> None:
    backup = {"backup": {"schedule": "@daily"}}
    overdue = condition("BackedUp", "False", "a backup is overdue: no backup was ever made")
    conditions = [*READY_STATUS["conditions"], overdue]
    failed = {"state": "Failed", "message": "the store refuses"}
    world.put(spec=backup)
    assert [finding["severity"] for finding in findings(world, "AC403")] == ["good"]
    world.put("late", version=2, spec=backup, status={**READY_STATUS, "conditions": conditions})
    world.put("failed", version=3, spec=backup, status={**READY_STATUS, "backup": failed})
    assert sorted(finding["text"] for finding in findings(world, "AC403")) == [
        "failed: the store refuses",
        "late: a backup is overdue: no backup was ever made (Any)",
    ]


def test_workspaces_without_backups_are_no_finding(world: World) -> None:
    world.put()
    assert findings(world, "AC403") == []
