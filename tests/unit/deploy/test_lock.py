import pytest

from deploy import lock as locks
from deploy.errors import LockLostError, RefusedError
from deploy.kubectl import KubectlError
from deploy.lock import LEASE, acquire
from localcluster.progress import silent
from tests.unit.deploy.cluster import FakeKubectl


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(locks, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(locks, "_RENEW_SECONDS", 0.05)


def holder(kubectl: FakeKubectl) -> str:
    text: str = kubectl.objects["lease", LEASE]["spec"]["holderIdentity"]
    return text


def test_a_lock_is_free_after_its_run() -> None:
    kubectl = FakeKubectl()
    for _ in range(2):
        with acquire(kubectl, silent) as lock:
            assert holder(kubectl) == lock.holder
            lock.check()
        assert holder(kubectl) == ""


def test_a_second_run_is_refused_while_the_first_one_goes_on() -> None:
    kubectl = FakeKubectl()
    with (
        acquire(kubectl, silent) as first,
        pytest.raises(RefusedError, match=f"another run deploys to this cluster: {first.holder}"),
        acquire(kubectl, silent),
    ):
        raise AssertionError("both have it")
    assert holder(kubectl) == ""


def test_the_lock_of_a_run_that_was_killed_is_taken_over_and_the_run_if_it_wakes_stops() -> None:
    kubectl = FakeKubectl()
    with acquire(kubectl, silent) as first:
        first.renew = lambda: None  # type: ignore[method-assign]  # as if it did not run
        with acquire(kubectl, silent) as second:
            assert holder(kubectl) == second.holder
            del first.renew
            first.renew()
            with pytest.raises(LockLostError, match="Conflict"):
                first.check()
            second.check()
    assert holder(kubectl) == ""


def test_two_that_come_in_the_same_moment_do_not_both_get_it() -> None:
    kubectl = FakeKubectl()
    attempts: list[tuple[str, ...]] = []

    def come_first(arguments: tuple[str, ...]) -> None:
        if arguments[0] == "create" and not attempts:
            attempts.append(arguments)
            locks._write(kubectl, "create", locks._lease("the other"))

    kubectl.before.append(come_first)
    with (
        pytest.raises(RefusedError, match="another run deploys to this cluster: the other"),
        acquire(kubectl, silent),
    ):
        raise AssertionError("both have it")


def test_a_failure_of_kubectl_is_no_other_run() -> None:
    kubectl = FakeKubectl()

    def fail(arguments: tuple[str, ...]) -> None:
        raise KubectlError(f"{arguments[0]}: connection refused")

    kubectl.before.append(fail)
    with pytest.raises(KubectlError, match="connection refused"), acquire(kubectl, silent):
        raise AssertionError("nobody has it")
