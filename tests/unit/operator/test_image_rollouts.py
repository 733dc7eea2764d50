from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.kube.client import Client
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.image_rollouts import ImageRollouts

OLD = ("docker.io/ollama/ollama:0.1.0", "ghcr.io/open-webui/open-webui:v0.1.0")
NEW = PlatformSpec().images.resolved


class Setup:
    """Workspaces in caches that no server fills, and who was told to look again."""

    def __init__(self) -> None:
        self.caches = Caches(cast("Client", None), lambda _: None)
        self.told: list[str] = []
        self.rollouts = ImageRollouts(self.caches, self.told.append)
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
        **spec: object,
    ) -> None:
        """A workspace that was last well with the old images."""
        self._version += 1
        well = {"status": str(reason == "Available"), "reason": reason}
        said = {"type": "OpenWebUIAvailable", **well}
        taken = {"type": "UpToDate", "status": "False"}
        ready = {"type": "Provisioned", "status": str(provisioned), "reason": "Created"}
        proven = {"ollama": OLD[0], "openWebUI": OLD[1]}
        self.caches.observe(
            {
                "apiVersion": names.API_VERSION,
                "kind": "AIChatWorkspace",
                "metadata": self._metadata(names.SYSTEM_NAMESPACE, name),
                "spec": {"workspaceName": name, **spec},
                "status": {
                    "images": proven,
                    "conditions": [
                        self._dated(each)
                        for each in (
                            said,
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

    def turn(self, name: str, platform: PlatformSpec | None = None) -> bool:
        (found,) = self.caches.workspaces.by_index(name)
        return self.rollouts.turn(Workspace.parse(found), platform or PlatformSpec()).now

    def wait(self, *waiting: str) -> None:
        for name in waiting:
            self.put(name, OLD)
        for name in waiting:
            assert not self.turn(name)

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


def test_nobody_is_asked_while_no_upgrade_is_under_way(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.put("a", NEW)
    assert setup.turn("a")
    monkeypatch.setattr(setup.caches.workspaces, "all", None)
    monkeypatch.setattr(setup.caches, "settings", None)
    setup.rollouts.moved(everyone=True)
    assert setup.told == []


def test_only_as_many_as_may_change_are_told_that_one_has_changed(setup: Setup) -> None:
    setup.put("a", NEW)
    setup.put("b", NEW)
    setup.wait("c", "d", "e", "f")
    setup.rollouts.moved(everyone=False)
    assert setup.told == ["c", "d"]


def test_everyone_who_waits_is_told_that_an_upgrade_stops(setup: Setup) -> None:
    setup.put("a", NEW)
    setup.put("b", NEW)
    setup.wait("c", "d", "e")
    setup.rollouts.moved(everyone=True)
    assert setup.told == ["c", "d", "e"]


@pytest.mark.parametrize("reason", ["CrashLoop", "ImagePullFailed", "NotReadyInTime", "PodRefused"])
def test_nobody_starts_while_one_that_changes_fails_as_an_image_can(
    setup: Setup, reason: str
) -> None:
    setup.put("a", NEW, reason)
    setup.wait("b")
    setup.put("a", NEW, "Unschedulable")
    assert setup.turn("b")


def test_one_that_is_not_well_is_asked_last(setup: Setup) -> None:
    setup.put("a", OLD, "CrashLoop")
    setup.put("b", OLD, "Unschedulable")
    for name in ("c", "d", "e", "f"):
        setup.put(name, OLD, "Available")
    assert not setup.turn("a")
    assert not setup.turn("b")
    assert setup.turn("c")
    for name in ("c", "d"):
        setup.put(name, NEW, "Starting")
    assert not setup.turn("e")
    assert not setup.turn("f")
    setup.rollouts.moved(everyone=False)
    assert setup.told == ["e", "f"], "and called in the same order"


def test_an_image_that_the_api_server_refuses_goes_no_further(setup: Setup) -> None:
    setup.put("a", OLD, provisioned=False, refused=True)
    setup.put("b", OLD)
    assert not setup.turn("b")
    assert setup.turn("a"), "it is tried again there, and only there"
    setup.put("a", OLD, provisioned=False, refused=True, suspended=True)
    assert setup.turn("b")


def test_one_that_was_stopped_meanwhile_keeps_nobody_from_being_told(setup: Setup) -> None:
    setup.put("a", NEW)
    setup.put("b", NEW)
    setup.wait("c", "d", "e")
    setup.put("c", OLD, suspended=True)
    setup.rollouts.moved(everyone=False)
    assert setup.told == ["d", "e"]


def test_one_that_is_gone_frees_its_place(setup: Setup) -> None:
    setup.put("a", NEW)
    setup.put("b", NEW)
    setup.wait("c", "d")
    setup.rollouts.forget("c")
    assert setup.told == ["d"]


def test_one_whose_problem_was_mended_waits_for_its_turn(setup: Setup) -> None:
    setup.put("a", NEW, "CrashLoop")
    setup.put("b", OLD, provisioned=False)
    assert not setup.turn("b"), "an upgrade has stopped"
    setup.put("a", NEW)
    assert setup.turn("b")


def test_one_whose_workload_was_deleted_is_not_new(setup: Setup) -> None:
    setup.put("a", NEW, "CrashLoop")
    setup.put("b", OLD, deployed=False)
    assert not setup.turn("b")
