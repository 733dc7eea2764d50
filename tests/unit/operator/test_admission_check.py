import asyncio
from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ForbiddenError, UnreachableError
from aichat_workspace.operator import admission_check
from aichat_workspace.operator.admission_check import watch_confined


def refused(by: str) -> ForbiddenError:
    return ForbiddenError(403, "Forbidden", f'serviceaccounts "probe" is forbidden: {by}')


REFUSED = refused(
    "ValidatingAdmissionPolicy 'aichat-workspace-operator-confinement' with binding "
    "'aichat-workspace-operator-confinement' denied request: the operator may only write"
)


class ScriptedServer:
    """An API server that answers the probe by script; None lets the write through."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.is_exhausted = asyncio.Event()

    async def create(self, _: Any, body: Any, *, dry_run: bool, **__: Any) -> None:
        assert dry_run
        assert body["metadata"]["namespace"] == names.SYSTEM_NAMESPACE
        if not self.answers:
            self.is_exhausted.set()
            await asyncio.sleep(60)
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer


@pytest.mark.parametrize(
    ("answers", "confined"),
    [
        ((REFUSED,), True),
        ((None,), False),
        ((refused("User cannot create resource"),), False),
        ((refused("ValidatingAdmissionPolicy 'corp-protect' denied request"),), False),
        ((refused("GKE Warden authz [denied by managed-namespaces-limitation]"),), False),
        ((UnreachableError("reset"),), True),
        ((None, REFUSED), True),
    ],
)
async def test_removed_and_restored_policies_are_noticed(
    answers: tuple[Exception | None, ...], confined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_check, "_CHECK_SECONDS", 0)
    monkeypatch.setattr(admission_check, "_RECHECK_SECONDS", 0)
    server, state = ScriptedServer(*answers), asyncio.Event()
    state.set()
    watching = asyncio.create_task(watch_confined(cast("Client", server), state))
    async with asyncio.timeout(30):
        await server.is_exhausted.wait()
    watching.cancel()
    assert state.is_set() is confined
