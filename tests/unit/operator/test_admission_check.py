import asyncio
from typing import Any, cast

import pytest

from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ForbiddenError, UnreachableError
from aichat_workspace.operator import admission_check
from aichat_workspace.operator.admission_check import watch_confined

REFUSED = ForbiddenError(403, "Forbidden", "ValidatingAdmissionPolicy 'x' denied request")


class ScriptedServer:
    """An API server that answers the probe by script; None lets the write through."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.is_exhausted = asyncio.Event()

    async def create(self, *_: Any, dry_run: bool, **__: Any) -> None:
        assert dry_run
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
        ((ForbiddenError(403, "Forbidden", "by the role"),), False),
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
