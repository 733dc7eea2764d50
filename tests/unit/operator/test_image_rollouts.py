from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.kube.client import Client
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.image_rollouts import ImageRollouts
from tests.fakes.listing import take_list

OLD = ("docker.io/ollama/ollama:0.1.0", "ghcr.io/open-webui/open-webui:v0.1.0")
NEW = PlatformSpec().images.resolved


class Setup:
    """Workspaces in caches that no server fills, and those that were brought back."""

    def __init__(self) -> None:
        self.caches = Caches(cast("Client", None), lambda _: None)
        self.enqueued: list[str] = []
        self.rollouts = ImageRollouts(self.caches, self.enqueued.append)
        self._version = 0

    def put(
        self,
        name: str,
        images: tuple[str, str],
        reason: str = "Created",
        *,
        provisioned: bool = True,
        deployed: bool = True,
        refused: bool = False,
        last_working: tuple[str, str] = OLD,
        deleting: bool = False,
        **spec: object,
    ) -> None:
        """A workspace that was last well with the old images."""
        self._version += 1
        well = {"status": str(reason == "Available"), "reason": reason}
        condition = {"type": "OpenWebUIAvailable", **well}
        taken = {"type": "UpToDate", "status": "False"}
        ready = {"type": "Provisioned", "status": str(provisioned), "reason": "Created"}
        record = {"ollama": last_working[0], "openWebUI": last_working[1]}
        self.caches.observe(
            {
                "apiVersion": names.API_VERSION,
                "kind": "AIChatWorkspace",
                "metadata": {
                    **self._metadata(names.SYSTEM_NAMESPACE, name),
                    **({"deletionTimestamp": "2026-11-23T12:00:00Z"} if deleting else {}),
                },
                "spec": {"workspaceName": name, **spec},
                "status": {
                    "images": record,
                    "conditions": [
                        self._dated(resource)
                        for resource in (
                            condition,
                            ready,
                            {**taken, "reason": "WriteRefused" if refused else "UpgradeWaiting"},
                        )
                    ],
                },
            }
        )
        self._workload("StatefulSet", name, names.ollama(name), "ollama", images[0])
        if deployed:
            self._workload("Deployment", name, names.openwebui(name), "openwebui", images[1])
        self.rollouts.update(name)

    def remove(self, name: str) -> None:
        """The resource is being deleted."""
        self.put(name, NEW, deleting=True)

    def others_than(self, name: str) -> list[dict[str, Any]]:
        """All resources but those that name this workspace."""
        resources = self.caches.workspaces.all()
        return [resource for resource in resources if resource["spec"]["workspaceName"] != name]

    def is_granted(self, name: str) -> bool:
        (resource,) = self.caches.workspaces.by_index(name)
        return self.rollouts.slot(Workspace.parse(resource)).granted

    def wait(self, *waiting: str) -> None:
        for name in waiting:
            self.put(name, OLD)
        for name in waiting:
            assert not self.is_granted(name)
        self.enqueued.clear()

    def _workload(self, kind: str, namespace: str, name: str, container: str, image: str) -> None:
        template = {"spec": {"containers": [{"name": container, "image": image}]}}
        metadata = self._metadata(namespace, name)
        self.caches.observe({"kind": kind, "metadata": metadata, "spec": {"template": template}})

    def _metadata(self, namespace: str, name: str) -> dict[str, Any]:
        return {
            "namespace": namespace,
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(self._version),
            "creationTimestamp": "2026-11-23T11:00:00Z",
        }

    @staticmethod
    def _dated(condition: dict[str, str]) -> dict[str, str]:
        return {**condition, "message": "", "lastTransitionTime": "2026-11-23T11:00:00Z"}


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_slots_are_granted_without_reading_all_workspaces(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.put("a", NEW)
    setup.put("b", OLD)
    monkeypatch.setattr(setup.caches.workspaces, "all", None)
    assert setup.is_granted("a")
    assert setup.is_granted("b")
    setup.rollouts.update("a")
    setup.rollouts.update("b")
    assert setup.enqueued == ["b"], "and only by what was news"


def test_only_as_many_as_may_change_come_back_once_one_has_changed(setup: Setup) -> None:
    setup.put("a", NEW)
    setup.put("b", NEW)
    setup.wait("c", "d", "e", "f")
    setup.put("a", NEW, last_working=NEW)
    assert setup.enqueued == ["c"]
    setup.put("b", NEW, last_working=NEW)
    assert setup.enqueued == ["c", "c", "d"]


def test_all_that_wait_come_back_when_a_rollout_stops_and_when_it_goes_on(setup: Setup) -> None:
    setup.put("a", NEW)
    setup.put("b", NEW)
    setup.wait("c", "d", "e")
    setup.put("a", NEW, "CrashLoop")
    assert setup.enqueued == ["c", "d", "e"]
    setup.put("a", NEW, last_working=NEW)
    assert setup.enqueued == ["c", "d", "e"] * 2


def test_the_platforms_new_images_are_a_new_rollout(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        setup.put(name, NEW, last_working=NEW)
    images = {"ollama": "docker.io/ollama/ollama:99.0.0"}
    newer = PlatformSpec.model_validate({"images": images, "upgrades": {"concurrent": 2}})
    monkeypatch.setattr(setup.caches, "settings", lambda: newer)
    setup.rollouts.rebuild()
    assert [setup.is_granted(name) for name in ("a", "b", "c")] == [True, True, False]


@pytest.mark.parametrize("reason", ["CrashLoop", "ImagePullFailed", "NotReadyInTime", "PodRefused"])
def test_no_rollout_starts_while_another_fails_because_of_its_image(
    setup: Setup, reason: str
) -> None:
    setup.put("a", NEW, reason)
    setup.wait("b")
    setup.put("a", NEW, "Unschedulable")
    assert setup.is_granted("b")


def test_an_unhealthy_workspace_changes_last(setup: Setup) -> None:
    setup.put("a", OLD, "CrashLoop")
    setup.put("b", OLD, "Unschedulable")
    for name in ("c", "d", "e", "f"):
        setup.put(name, OLD, "Available")
    assert not setup.is_granted("a")
    assert not setup.is_granted("b")
    assert setup.is_granted("c")
    for name in ("c", "d"):
        setup.put(name, NEW, "Starting")
    assert not setup.is_granted("e")
    assert not setup.is_granted("f")
    setup.enqueued.clear()
    for name in ("c", "d"):
        setup.put(name, NEW, "Available", last_working=NEW)
    assert setup.enqueued[-2:] == ["e", "f"], "and called in the same order"


def test_an_image_that_the_api_server_refuses_goes_no_further(setup: Setup) -> None:
    setup.put("a", OLD, provisioned=False, refused=True)
    setup.put("b", OLD)
    assert not setup.is_granted("b")
    assert setup.is_granted("a"), "it is tried again there, and only there"
    setup.put("a", OLD, provisioned=False, refused=True, suspended=True)
    assert setup.is_granted("b")


def test_a_suspended_workspace_does_not_delay_the_notice_to_others(setup: Setup) -> None:
    setup.put("a", NEW)
    setup.put("b", NEW)
    setup.wait("c", "d", "e")
    setup.put("c", OLD, suspended=True)
    for name in ("a", "b"):
        setup.put(name, NEW, last_working=NEW)
    assert setup.enqueued[-2:] == ["d", "e"]


def test_a_deleted_workspace_frees_its_slot(setup: Setup) -> None:
    setup.put("a", NEW)
    setup.put("b", NEW)
    setup.wait("c", "d")
    setup.remove("a")
    assert setup.enqueued == ["c"]


def test_a_workspace_whose_problem_was_fixed_waits_for_its_slot(setup: Setup) -> None:
    setup.put("a", NEW, "CrashLoop")
    setup.put("b", OLD, provisioned=False)
    assert not setup.is_granted("b"), "an upgrade has stopped"
    setup.put("a", NEW)
    assert setup.is_granted("b")


def test_a_workspace_whose_workload_was_deleted_is_not_new(setup: Setup) -> None:
    setup.put("a", NEW, "CrashLoop")
    setup.put("b", OLD, deployed=False)
    assert not setup.is_granted("b")


def test_waiting_workspaces_report_the_next_workspace_that_blocks_them(setup: Setup) -> None:
    setup.put("a", NEW, "CrashLoop")
    setup.put("b", NEW, "CrashLoop")
    setup.wait("c")
    setup.remove("a")
    assert setup.enqueued == ["c"]
    (resource,) = setup.caches.workspaces.by_index("c")
    assert setup.rollouts.slot(Workspace.parse(resource)).blocked_by == "b"


def test_a_resource_that_left_the_cache_frees_its_slot(setup: Setup) -> None:
    setup.put("a", NEW)
    setup.put("b", NEW)
    setup.wait("c")
    take_list(setup.caches.workspaces._store, setup.others_than("a"), 10**6)
    setup.rollouts.update("a")
    assert setup.enqueued == ["c"]
