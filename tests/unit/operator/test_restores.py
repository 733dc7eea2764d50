"""Restores from end to end, before an API server in memory, with an operator that dies."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.kube.errors import ApiError, ConflictError, UnreachableError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.snapshots import Snapshots
from tests.fakes.kubernetes import FakeKubernetes, Key
from tests.unit.operator.test_reconciler import NAME, WORKSPACE_KEY, World

BACKUP, OTHER = "20261130T030000Z-00000001", "20261129T030000Z-00000002"
CHAT: Key = ("Deployment", NAME, names.openwebui(NAME))
FOR_ALL = {names.SECRET_FOR_ANNOTATION: "*"}
PLATFORM: Json = {
    "backup": {
        "destinations": [
            {
                "name": "nightly",
                "s3": {
                    "endpoint": "https://s3.example.org",
                    "bucket": "backups",
                    "secretName": "store",
                },
            }
        ],
        "passphraseSecretName": "passphrase",
    }
}
SECRETS = {
    "store": {"accessKeyID": "a2V5", "secretAccessKey": "a2V5"},
    "passphrase": {"passphrase": "YSBwYXNzcGhyYXNlIG9mIHRoZSB0ZWFt"},
}
KILLED = UnreachableError("the process is killed here")


@pytest.fixture(autouse=True)
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator knows the image that has the backup program."""
    take = Snapshots.take

    def with_image(snapshots: Snapshots, name: str) -> Snapshot:
        return replace(take(snapshots, name), backup_image="operator:1")

    monkeypatch.setattr(Snapshots, "take", with_image)


@dataclass
class Node:
    """The cluster's controllers and its node, as far as restores need them."""

    cluster: FakeKubernetes
    end: str = "Complete"
    reason: str = ""
    runs: list[tuple[str, ...]] = field(default_factory=list)
    """The arguments of each pod that ran, in order."""
    jobs: list[str] = field(default_factory=list)
    """The names of their Jobs."""

    def act(self) -> None:
        """Start and stop the chat as it is asked for, and let each new Job run to its end."""
        for kind, name in (("Deployment", CHAT[2]), ("StatefulSet", names.ollama(NAME))):
            workload = self.cluster.objects.get((kind, NAME, name))
            if workload is not None:
                replicas = workload["spec"]["replicas"]
                counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), replicas)
                if workload.get("status") != counts:
                    self.cluster.store({**workload, "status": counts})
        for job in self.cluster.of_kind("Job").values():
            if not job.get("status"):
                self._run(job)

    def _run(self, job: Json) -> None:
        chat = self.cluster.objects[CHAT]
        assert chat["spec"]["replicas"] == chat["status"]["replicas"] == 0, "nobody may write"
        recorded = self.cluster.objects[WORKSPACE_KEY]["status"]["restore"]
        assert recorded["run"] == job["metadata"]["name"], "an operator that starts anew knows it"
        self.jobs.append(job["metadata"]["name"])
        self.runs.append(tuple(job["spec"]["template"]["spec"]["containers"][0]["args"]))
        condition = {
            "type": self.end,
            "status": "True",
            "reason": self.reason,
            "lastTransitionTime": "2026-11-23T12:00:00Z",
        }
        self.cluster.store({**job, "status": {"conditions": [condition]}})


def start(cluster: FakeKubernetes) -> World:
    """Start an operator that reads what is there."""
    world = World()
    world.cluster.objects, world.cluster._versions = cluster.objects, cluster._versions
    for obj in list(cluster.objects.values()):
        world.caches.observe(obj) if obj["kind"] != "Secret" else world.caches.secrets.observe(obj)
    return world


def prepare(world: World) -> None:
    """Let the platform have a place for backups."""
    for name, data in SECRETS.items():
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": names.SYSTEM_NAMESPACE,
                "annotations": FOR_ALL,
            },
            "data": data,
        }
        world.caches.secrets.observe(world.cluster.store(secret))
    platform = {
        "apiVersion": names.API_VERSION,
        "kind": "AIChatPlatform",
        "metadata": {"name": "default"},
        "spec": PLATFORM,
    }
    world.caches.observe(world.cluster.store(platform))


async def settle(world: World, node: Node, *, reconciles: int = 12) -> World:
    """Let operator and cluster work until nothing moves any more. Each operator lives for one
    reconcile."""
    for _ in range(reconciles):
        before = _versions(world)
        world = start(world.cluster)
        with suppress(ConflictError):
            await world.reconcile()
        node.cluster = world.cluster
        node.act()
        if _versions(world) == before:
            break
    return start(world.cluster)


def _versions(world: World) -> dict[Key, str]:
    return {key: obj["metadata"]["resourceVersion"] for key, obj in world.cluster.objects.items()}


async def running(node: Node) -> World:
    """A workspace whose chat runs."""
    world = World()
    prepare(world)
    world.apply(models=[])
    await world.reconcile()
    node.cluster = world.cluster
    node.act()
    world = await settle(world, node)
    assert world.status["images"]
    return world


def of_chat(world: World) -> int:
    return int(world.cluster.objects[CHAT]["spec"]["replicas"])


async def test_a_restore_stops_the_chat_runs_once_and_starts_it_again() -> None:
    node = Node(FakeKubernetes())
    world = await running(node)
    world.apply(models=[], restore={"backup": BACKUP})
    await world.reconcile()
    assert of_chat(world) == 0
    assert world.cluster.objects[("StatefulSet", NAME, names.ollama(NAME))]["spec"]["replicas"] == 1
    assert (world.status["phase"], world.reason("Ready")) == ("Provisioning", "Restoring")
    assert world.condition("Restored")["status"] == "Unknown"
    world = await settle(world, node)
    assert node.runs == [("restore", BACKUP, "--once", node.jobs[0])]
    assert of_chat(world) == 1
    assert world.status["restore"]["state"] == "Done"
    assert world.condition("Restored")["status"] == "True"
    assert world.status["phase"] != "Degraded"
    await settle(world, node)
    assert len(node.runs) == 1, "what is done stays done"


async def test_a_restore_that_failed_leaves_a_chat_that_runs_and_says_why() -> None:
    node = Node(FakeKubernetes())
    world = await running(node)
    node.end, node.reason = "Failed", "PodFailurePolicy"
    world.apply(models=[], restore={"backup": BACKUP})
    world = await settle(world, node)
    assert (len(node.runs), of_chat(world)) == (1, 1)
    condition = world.condition("Restored")
    assert condition["status"] == "False"
    assert "the data is as it was before" in condition["message"]
    assert world.reason("Ready") == "Ready", "people go on with the data that they had"
    node.end, node.reason = "Complete", ""
    world.apply(models=[], restore={"backup": BACKUP, "request": "again"})
    world = await settle(world, node)
    assert (len(node.runs), world.condition("Restored")["status"]) == (2, "True")


async def test_a_restore_that_was_killed_is_run_again() -> None:
    node = Node(FakeKubernetes(), "Failed", "BackoffLimitExceeded")
    world = await running(node)
    world.apply(models=[], restore={"backup": BACKUP})
    world = await settle(world, node, reconciles=6)
    assert len(node.runs) >= 2
    assert of_chat(world) == 0
    node.end, node.reason = "Complete", ""
    world = await settle(world, node)
    assert (of_chat(world), world.status["restore"]["state"]) == (1, "Done")


async def test_a_restore_that_is_removed_after_it_was_killed_is_recovered() -> None:
    node = Node(FakeKubernetes(), "Failed", "BackoffLimitExceeded")
    world = await running(node)
    world.apply(models=[], restore={"backup": BACKUP})
    world = await settle(world, node, reconciles=4)
    node.end, node.reason = "Complete", ""
    world.apply(models=[])
    world = await settle(world, node)
    assert node.runs[-1] == ("recover", "--forget", node.jobs[0])
    assert of_chat(world) == 1
    assert world.status["restore"]["reason"] == "RestoreCancelled"
    assert all(entry["type"] != "Restored" for entry in world.status["conditions"])


async def test_a_suspended_workspace_stays_stopped_after_its_restore() -> None:
    node = Node(FakeKubernetes())
    world = await running(node)
    world.apply(models=[], suspended=True)
    world = await settle(world, node)
    world.apply(models=[], suspended=True, restore={"backup": BACKUP})
    world = await settle(world, node)
    assert (len(node.runs), of_chat(world), world.status["phase"]) == (1, 0, "Suspended")
    assert world.condition("Restored")["status"] == "True"


async def test_a_clone_is_restored_before_its_chat_first_starts() -> None:
    node = Node(FakeKubernetes())
    world = World()
    prepare(world)
    world.apply(models=[], restore={"backup": BACKUP, "source": "source-aichat"})
    await world.reconcile()
    assert of_chat(world) == 0
    world = await settle(world, node)
    assert node.runs == [("restore", BACKUP, "--from-another-workspace", "--once", node.jobs[0])]
    assert of_chat(world) == 1


async def test_without_a_place_for_backups_the_chat_runs_on() -> None:
    node = Node(FakeKubernetes())
    world = await running(node)
    del world.cluster.objects[("Secret", names.SYSTEM_NAMESPACE, "passphrase")]
    world.apply(models=[], restore={"backup": BACKUP})
    world = await settle(start(world.cluster), node)
    assert (node.runs, of_chat(world)) == ([], 1)
    assert world.reason("Restored") == "BackupSecretNotFound"
    assert "restore" not in world.status or world.status["restore"] is None


async def _until_killed(world: World, number: int) -> bool:
    """Reconcile with an operator that dies before its write of that number. Return whether it
    did."""
    writes = 0
    write: Callable[..., Any] = world.cluster._write

    async def dying(*arguments: Any) -> None:
        nonlocal writes
        writes += 1
        if writes > number:
            raise KILLED
        await write(*arguments)

    world.cluster._write = dying  # type: ignore[method-assign,assignment]
    try:
        await world.reconcile()
    except (ApiError, UnreachableError):
        return writes > number
    finally:
        world.cluster._write = write  # type: ignore[method-assign]
    return False


@pytest.mark.parametrize("number", range(4))
async def test_an_operator_that_dies_before_any_write_is_followed_by_one_that_ends_it(
    number: int,
) -> None:
    """At each stage of the restore the process dies before its write of this number, and another
    one finds what is there. The node's own assertions hold all the time."""
    node = Node(FakeKubernetes())
    world = await running(node)
    world.apply(models=[], restore={"backup": BACKUP})
    deaths = 0
    for _ in range(12):
        deaths += await _until_killed(start(world.cluster), number)
        node.cluster = world.cluster
        node.act()
        world = start(world.cluster)
        try:
            await world.reconcile()
        except ConflictError:
            continue
        node.cluster = world.cluster
        node.act()
    world = await settle(world, node)
    assert deaths or number > 2
    assert node.runs == [("restore", BACKUP, "--once", node.jobs[0])]
    assert (of_chat(world), world.status["restore"]["state"]) == (1, "Done")
