import time
from collections.abc import Callable

import pytest

from aichat_workspace.domain import names
from deploy import history, rollout
from deploy.deployment import Deployment
from deploy.environment import Environment
from deploy.errors import DeploymentFailedError, LockLostError, NotRolledBackError, RefusedError
from deploy.kubectl import Kubectl, KubectlError
from deploy.lock import Lock
from deploy.manifests import Release
from localcluster.progress import Report, silent
from tests.unit.deploy.cluster import ENVIRONMENT, FakeKubectl, image, manifest, release

FIRST = release("v1", manifest("ConfigMap", "old"))
SECOND = release("v2", manifest("ConfigMap", "new"))
BROKEN = release("broken", manifest("ConfigMap", "new"))
MUTE = release("mute", manifest("ConfigMap", "new"))


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "_LOOK_SECONDS", 0)


def passes_unless_mute(
    kubectl: Kubectl, environment: Environment, report: Report, check: Callable[[], None]
) -> None:
    del environment, report
    check()
    assert isinstance(kubectl, FakeKubectl)
    if image(kubectl) == "mute":
        raise DeploymentFailedError("the smoke test has failed")


def deployment(kubectl: FakeKubectl) -> Deployment:
    environment = Environment(
        ENVIRONMENT.name, ENVIRONMENT.folder, "here", "small:1", rolloutSeconds=0.01
    )
    lock = Lock(kubectl, "me", {})
    return Deployment(kubectl, environment, lock, silent, passes_unless_mute)


def deploy(kubectl: FakeKubectl, candidate: Release, *, keep_crds: bool = False) -> None:
    deployment(kubectl).deploy(candidate, keep_crds=keep_crds)


@pytest.fixture
def kubectl() -> FakeKubectl:
    """A cluster that runs the first release."""
    kubectl = FakeKubectl()
    deploy(kubectl, FIRST)
    return kubectl


def assert_runs(kubectl: FakeKubectl, running: Release) -> None:
    record = history.read(kubectl)
    assert (record.current, record.candidate) == (running, None)
    assert record.applied == running.identities
    assert running.name.startswith(f"registry.example.org/operator:{image(kubectl)} (")
    expected = {item.name for item in running.identities if item.kind == "ConfigMap"}
    assert kubectl.names("configmap") == expected


def test_a_release_that_passes_is_remembered_and_objects_of_the_one_before_are_removed(
    kubectl: FakeKubectl,
) -> None:
    assert_runs(kubectl, FIRST)
    deploy(kubectl, SECOND)
    assert_runs(kubectl, SECOND)


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [(BROKEN, "0 of 2 pods are available"), (MUTE, "the smoke test has failed")],
    ids=["does not start", "does not answer"],
)
def test_the_release_before_comes_back_where_a_release_fails(
    kubectl: FakeKubectl, candidate: Release, reason: str
) -> None:
    with pytest.raises(DeploymentFailedError) as failure:
        deploy(kubectl, candidate)
    message = str(failure.value)
    assert message.startswith(f"{candidate.name} was not deployed: ")
    assert reason in message
    assert f"Runs now: {FIRST.name}" in message
    assert "Next: mend the release, and make deploy ENV=staging" in message
    assert_runs(kubectl, FIRST)


def test_the_release_before_comes_back_where_the_api_server_refuses_a_manifest(
    kubectl: FakeKubectl,
) -> None:
    refusals = [KubectlError("admission webhook denied the request")]

    def refuse(arguments: tuple[str, ...]) -> None:
        if arguments[0] == "apply" and refusals:
            raise refusals.pop()

    kubectl.before.append(refuse)
    with pytest.raises(DeploymentFailedError, match="denied the request"):
        deploy(kubectl, SECOND)
    assert_runs(kubectl, FIRST)


def test_a_first_release_that_fails_has_nothing_to_go_back_to() -> None:
    kubectl = FakeKubectl()
    with pytest.raises(NotRolledBackError, match="No release before it"):
        deploy(kubectl, BROKEN)
    with pytest.raises(RefusedError, match="there is no way back"):
        deployment(kubectl).back()
    deploy(kubectl, FIRST)
    assert_runs(kubectl, FIRST)


def test_a_rollback_that_fails_too_says_both_reasons_and_can_be_tried_again(
    kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DeploymentFailedError("the model's registry is gone")

    with monkeypatch.context() as patched:
        patched.setattr("tests.unit.deploy.test_deployment.passes_unless_mute", fail)
        with pytest.raises(NotRolledBackError) as failure:
            deploy(kubectl, SECOND)
    assert str(failure.value).count("registry is gone") == 2
    assert "BACK=yes" in str(failure.value)
    assert history.read(kubectl).current == FIRST
    assert deployment(kubectl).back() == FIRST
    assert_runs(kubectl, FIRST)


def calls_of_a_deployment() -> int:
    kubectl = FakeKubectl()
    deploy(kubectl, FIRST)
    before = len(kubectl.calls)
    deploy(kubectl, SECOND)
    return len(kubectl.calls) - before


@pytest.mark.parametrize("call", range(calls_of_a_deployment()))
@pytest.mark.parametrize("ending", ["again", "another", "back"])
def test_a_run_that_is_interrupted_at_any_call_is_ended_by_the_next_one(
    kubectl: FakeKubectl, call: int, ending: str
) -> None:
    """Also by one with another release, or by the way back."""
    remaining = iter(range(call))

    def interrupt(arguments: tuple[str, ...]) -> None:
        del arguments
        if next(remaining, None) is None:
            raise KeyboardInterrupt

    kubectl.before.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        deploy(kubectl, SECOND)
    kubectl.before.clear()
    third = release("v3", manifest("ConfigMap", "newest"))
    match ending:
        case "again":
            deploy(kubectl, SECOND)
            assert_runs(kubectl, SECOND)
        case "another":
            deploy(kubectl, third)
            assert_runs(kubectl, third)
        case "back":
            assert deployment(kubectl).back() == FIRST
            assert_runs(kubectl, FIRST)


def test_a_failure_after_an_interruption_goes_back_to_what_has_passed(kubectl: FakeKubectl) -> None:
    def interrupt(arguments: tuple[str, ...]) -> None:
        if arguments[:2] == ("get", "deployment"):
            raise KeyboardInterrupt

    kubectl.before.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        deploy(kubectl, SECOND)
    kubectl.before.clear()
    assert image(kubectl) == "v2"
    with pytest.raises(DeploymentFailedError):
        deploy(kubectl, MUTE)
    assert_runs(kubectl, FIRST)


def test_a_release_with_older_definitions_is_refused_before_anything_is_written(
    kubectl: FakeKubectl,
) -> None:
    deploy(kubectl, release("v2", fields=("spec", "backup")))
    before = len(kubectl.calls)
    with pytest.raises(RefusedError, match="lacks backup"):
        deploy(kubectl, FIRST)
    assert {call[0] for call in kubectl.calls[before:]} == {"get"}
    assert image(kubectl) == "v2"


def test_older_definitions_are_left_as_they_are_on_demand_and_in_a_rollback(
    kubectl: FakeKubectl,
) -> None:
    with pytest.raises(DeploymentFailedError):
        deploy(kubectl, release("mute", fields=("spec", "backup")))
    assert image(kubectl) == "v1"
    assert fields(kubectl) == {"spec", "backup"}, "no data is dropped"
    deploy(kubectl, FIRST, keep_crds=True)
    assert_runs(kubectl, FIRST)
    assert fields(kubectl) == {"spec", "backup"}


def fields(kubectl: FakeKubectl) -> set[str]:
    (crd,) = (crd for (kind, _), crd in kubectl.objects.items() if kind.startswith("custom"))
    return {*crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]}


def test_nothing_is_written_once_another_run_has_the_lock(kubectl: FakeKubectl) -> None:
    run = deployment(kubectl)

    def lose(arguments: tuple[str, ...]) -> None:
        if arguments[0] == "apply":
            run.lock.lost = "another run has it"

    kubectl.before.append(lose)
    before = len(kubectl.calls)
    with pytest.raises(LockLostError, match="another run has it"):
        run.deploy(SECOND, keep_crds=False)
    writes = [call[0] for call in kubectl.calls[before:] if call[0] != "get"]
    assert writes == ["replace", "apply", "wait"], "no rollback either: the other run decides"


def test_a_lock_that_could_not_be_renewed_in_time_counts_as_lost() -> None:
    lock = Lock(FakeKubectl(), "me", {}, renewed=time.monotonic() - 21)
    with pytest.raises(LockLostError, match="not renewed for 20 s"):
        lock.check()


def test_the_operators_deployment_is_not_removed_with_what_protects_data(
    kubectl: FakeKubectl,
) -> None:
    deploy(kubectl, release("v2", manifest("PersistentVolumeClaim", "data")))
    deploy(kubectl, release("v3"))
    assert kubectl.names("persistentvolumeclaim") == {"data"}
    assert kubectl.names("deployment") == {names.OPERATOR}
