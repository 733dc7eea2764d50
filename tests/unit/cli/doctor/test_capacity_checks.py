"""Whether quotas have room for pods, and volumes and memory for models, by the real API."""

import json
from typing import Any, Final

from aichat_workspace.cli.doctor import capacity_checks
from tests.unit.cli.world import READY_STATUS, World, condition

_PENDING: Final[dict[str, Any]] = {**READY_STATUS, "phase": "PullingModels", "models": []}


def findings(world: World, code: str) -> list[dict[str, Any]]:
    document = json.loads(world.run("doctor", "-o", "json").out)
    return [finding for finding in document["findings"] if finding["code"] == code]


def put(world: World, *models: str, **spec: Any) -> None:
    world.put(spec={"models": list(models), **spec}, status=_PENDING)


class TestQuotas:
    def test_those_with_room_are_good_and_none_are_nothing(self, world: World) -> None:
        assert findings(world, "AC405") == []
        world.put()
        (finding,) = findings(world, "AC405")
        assert (finding["severity"], finding["fix"]) == ("good", "")

    def test_what_pods_ask_for_above_quota_or_ceiling_is_a_problem_with_the_field(
        self, world: World
    ) -> None:
        message = "spec.quota.cpu is 1, and the two workloads need 6; raise it"
        for number, reason in enumerate(("QuotaTooSmall", "CeilingExceeded", "PodRefused"), 1):
            kinds = ("Ready", "Provisioned")
            conditions = [condition(kind, "False", message, reason=reason) for kind in kinds]
            status = {**READY_STATUS, "phase": "Degraded", "conditions": conditions}
            world.put(version=number, status=status)
            (finding,) = findings(world, "AC405")
            assert finding["severity"] == "problem"
            assert finding["text"] == f"red-chat: {message}"
            assert "spec." in finding["fix"]
            assert finding["link"] == "docs/aichatctl.md#ac405"


class TestModels:
    def test_those_that_fit_and_those_that_are_there_are_good(self, world: World) -> None:
        assert findings(world, "AC406") == []
        put(world, "gemma2:2b")
        assert [finding["severity"] for finding in findings(world, "AC406")] == ["good"]
        large = {"name": "llama3.3:70b", "state": "Ready", "totalBytes": 42_520_000_000}
        status = {**READY_STATUS, "models": [large]}
        world.put(version=2, spec={"models": ["llama3.3:70b"]}, status=status)
        assert [finding["severity"] for finding in findings(world, "AC406")] == ["good"]

    def test_one_that_is_too_large_says_what_to_raise_before_it_is_pulled(
        self, world: World
    ) -> None:
        put(world, "llama3.3:70b")
        memory, volume = findings(world, "AC406")
        assert {memory["severity"], volume["severity"]} == {"problem"}
        assert "spec.resources.ollama.memoryLimit to " in memory["fix"]
        assert "spec.storage.ollama.size to " in volume["fix"]

    def test_little_memory_for_a_long_context_is_a_note(self, world: World) -> None:
        ollama = {"memoryLimit": "2Gi"}
        put(world, "gemma2:2b", resources={"ollama": ollama})
        (finding,) = findings(world, "AC406")
        assert finding["severity"] == "note"

    def test_a_volume_that_is_too_small_for_all_together_is_a_problem(self) -> None:
        size = 12 * 2**30
        entries: list[dict[str, Any]] = [
            {"name": name, "sizeBytes": size} for name in ("a:1", "b:1")
        ]
        entries.append({"name": "unknown:1", "sizeBytes": None})
        volume: dict[str, Any] = {"name": "ollama", "modelBytes": 0, "capacityBytes": None}
        volume["requestedBytes"] = 20 * 2**30
        usage: dict[str, Any] = {"volumes": [volume], "models": []}
        (finding,) = capacity_checks._misfit_together("red-chat", entries, usage)
        assert "need 24.0 GiB together" in finding.text
        assert "spec.storage.ollama.size to 26Gi" in finding.fix
        volume["capacityBytes"] = 30 * 2**30
        assert not [*capacity_checks._misfit_together("red-chat", entries, usage)]

    def test_what_is_downloaded_already_counts_once(self) -> None:
        entries = [{"name": "a:1", "sizeBytes": 10 * 2**30}]
        volume = {"name": "ollama", "modelBytes": 9 * 2**30, "capacityBytes": 12 * 2**30}
        usage: dict[str, Any] = {
            "volumes": [volume],
            "models": [{"name": "a:1", "bytes": 9 * 2**30}],
        }
        assert not [*capacity_checks._misfit_together("red-chat", entries, usage)]
        assert not [*capacity_checks._misfit_together("x", entries, {**usage, "volumes": []})]

    def test_many_that_wait_are_not_all_asked_about(self, world: World) -> None:
        for number in range(capacity_checks._MAX_WORKSPACES + 1):
            spec = {"models": ["gemma2:2b"]}
            world.put(f"chat-{number}", version=number + 1, spec=spec, status=_PENDING)
        good, finding = findings(world, "AC406")
        assert (good["severity"], finding["severity"]) == ("good", "note")
        assert "1 workspace more" in finding["text"]

    def test_what_could_not_be_read_is_a_note(self, world: World) -> None:
        put(world, "gemma2:2b")
        world.cluster.forbidden.add("get")
        (finding,) = findings(world, "AC406")
        assert finding["severity"] == "note"
        assert "was not read" in finding["text"]
