"""An operator's writes are recorded and replayed for other resources."""

from pathlib import Path

from benchmarks.comparison.recording import Recording, Replay, record
from tests.unit.benchmarks.comparison.audit_events import event


def test_what_was_written_for_the_resource_is_recorded_in_order(recording: Recording) -> None:
    assert [(write.verb, write.plural) for write in recording.writes] == [
        ("apply", "teams"),
        ("create", "namespaces"),
        ("apply", "services"),
        ("json-patch", "services"),
        ("create", "events"),
    ]


def test_children_are_the_objects_that_were_made_and_stay(recording: Recording) -> None:
    assert [write.plural for write in recording.children] == ["namespaces", "services"]


def test_a_recording_is_the_same_after_it_was_saved(recording: Recording, tmp_path: Path) -> None:
    recording.save(tmp_path / "recording.json")
    assert Recording.load(tmp_path / "recording.json") == recording


def test_names_and_uids_are_replaced_as_they_come_to_be_known(recording: Recording) -> None:
    replay = Replay(recording, "bench-0001", "other-0")
    resource, namespace, service, *_ = recording.writes
    assert replay.adapt(resource).body == {"metadata": {"uid": "other-0"}}
    adapted = replay.adapt(namespace)
    assert (adapted.name, adapted.namespace) == ("bench-0001", "")
    replay.learn(namespace, adapted, {"metadata": {"uid": "other-1", "resourceVersion": "9"}})
    adapted = replay.adapt(service)
    assert (adapted.name, adapted.body) == ("bench-0001-web", {"of": "other-1"})


def test_a_version_that_a_write_expects_is_that_of_the_last_reply() -> None:
    path = "/metadata/resourceVersion"
    patch = [{"op": "test", "path": path, "value": "7"}]
    events = [
        event("create", "services", "bench-9999-web", {}, uid="uid-1"),
        event("patch", "services", "bench-9999-web", patch, uid="uid-1"),
        event("update", "services", "bench-9999-web", {"metadata": {"resourceVersion": "7"}}),
    ]
    recording = record(events, "bench-9999", "uid-0")
    replay = Replay(recording, "bench-0001", "other-0")
    created, patched, updated = recording.writes
    replay.learn(created, replay.adapt(created), {"metadata": {"uid": "u", "resourceVersion": "3"}})
    assert replay.adapt(patched).body == [{"op": "test", "path": path, "value": "3"}]
    assert replay.adapt(updated).body == {"metadata": {"resourceVersion": "3"}}
