from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.pods import keeps_stopping, pod_template
from tests.unit.domain.samples import NOW

LOST = {"reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}


def container(terminated: dict[str, Any] | None, *, ready: bool, restarts: int = 2) -> Any:
    last = {} if terminated is None else {"terminated": terminated}
    return {"restartCount": restarts, "ready": ready, "lastState": last}


def ran(seconds: int, ended_seconds_ago: int) -> dict[str, str]:
    ended = NOW - timedelta(seconds=ended_seconds_ago)
    began = ended - timedelta(seconds=seconds)
    return {"startedAt": began.isoformat(), "finishedAt": ended.isoformat()}


@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.parametrize("terminated", [LOST, {}, None, {**ran(5, 5), "startedAt": None}])
def test_after_a_stop_at_an_unknown_time_readiness_decides(
    terminated: dict[str, Any] | None, ready: bool
) -> None:
    assert keeps_stopping(container(terminated, ready=ready), NOW) is not ready


def test_a_container_that_ran_shortly_and_ended_recently_keeps_stopping_although_ready() -> None:
    assert keeps_stopping(container(ran(5, 5), ready=True), NOW)
    assert not keeps_stopping(container(ran(5, 5), ready=True, restarts=1), NOW)
    assert not keeps_stopping(container(ran(3600, 5), ready=True), NOW)
    assert not keeps_stopping(container(ran(5, 3600), ready=True), NOW)


def test_the_pod_template_of_a_cron_job_is_its_jobs() -> None:
    job: dict[str, Any] = {"spec": {"template": {"spec": {"containers": []}}}}
    assert pod_template(job) == pod_template({"spec": {"jobTemplate": job}})
