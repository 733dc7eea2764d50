"""Carries decisions out."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from aichat_workspace.domain import names
from aichat_workspace.domain.decision import steps
from aichat_workspace.domain.decision.decisions import (
    Decision,
    Expire,
    Finalize,
    Orphan,
    Provision,
    Reject,
)
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.kubernetes.rewrites import Rewrite
from aichat_workspace.domain.planning.actions import Apply, Delete, Prune, Scale
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.kube.errors import ApiError, ConflictError
from aichat_workspace.operator.telemetry.events import expired, orphan_event, retained
from aichat_workspace.operator.writer import Writer, write_refused

_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a decision's writes went."""

    failure: Problem | None = None
    """The first refusal; None for an error that passes."""
    error: ApiError | None = None
    """The first error, for the queue."""
    is_stopped: bool = False
    """A step failed, and nothing after it was tried."""
    rewrites: tuple[Rewrite, ...] = ()
    """Objects that came back different from how they were applied."""


DONE: Final = Outcome()


@dataclass(frozen=True, slots=True)
class Executor:
    """Makes the writes of decisions, except for the status."""

    writer: Writer
    now: Callable[[], datetime]

    async def execute(self, decision: Decision) -> Outcome:
        """Make a decision's writes.

        Raises:
            ApiError: a write to a namespace whose resource is gone was refused; a retry helps once
                what refuses it is mended.
            ConflictError: the snapshot was old; the next one brings a fresh decision.
            UnreachableError: the API server did not answer; a retry helps.
        """
        match decision:
            case Reject():
                return DONE
            case Expire(workspace):
                return await self._expire(workspace)
            case Orphan():
                return await self._execute_orphan(decision)
            case Finalize(workspace):
                return await self._execute_steps(workspace, decision.steps)
            case Provision(workspace):
                outcome = await self._execute_steps(workspace, decision.steps)
                if outcome.is_stopped:
                    return outcome
                failure, error, rewrites = await self.writer.execute_all(decision.actions)
                return Outcome(failure, error, rewrites=rewrites)

    async def _expire(self, workspace: Workspace) -> Outcome:
        try:
            await self.writer.delete_workspace(workspace)
        except ConflictError:
            raise
        except ApiError as error:
            return Outcome(None if error.is_retryable else _expiry_refused(error), error)
        _log.info("expired", workspace=workspace.spec.workspace_name)
        await self.writer.emit_event(expired(workspace, self.now()), self.now())
        return DONE

    async def _execute_orphan(self, orphan: Orphan) -> Outcome:
        for step in orphan.steps:
            match step:
                case steps.ConfirmResourceGone(namespace):
                    await self.writer.confirm_resource_gone(namespace)
                case steps.ClaimNamespace(manifest, uid, reason):
                    await self.writer.claim_namespace(manifest, uid)
                    _log.warning(f"namespace {reason}", namespace=manifest["metadata"]["name"])
                case steps.AnnounceOrphan(namespace, reason, note):
                    event = orphan_event(namespace, reason, note, self.now())
                    await self.writer.emit_event(event, self.now())
                case Delete() | Scale():
                    await self.writer.execute(step)
        return DONE

    async def _execute_steps(
        self, workspace: Workspace, ordered: tuple[steps.Step, ...]
    ) -> Outcome:
        for step in ordered:
            try:
                await self._execute_step(workspace, step)
            except ConflictError:
                raise
            except ApiError as error:
                if error.is_retryable:
                    return Outcome(None, error, is_stopped=True)
                what = "that it ends" if workspace.deleting else str(_target(workspace, step))
                return Outcome(write_refused(what, error), error, is_stopped=True)
        return DONE

    async def _execute_step(self, workspace: Workspace, step: steps.Step) -> None:
        match step:
            case steps.AddFinalizer():
                await self.writer.add_finalizer(workspace)
            case steps.RemoveFinalizer():
                await self.writer.remove_finalizer(workspace)
            case steps.CreateSecret() | steps.ApplySecret() | steps.DeleteSecret():
                await self._write_secret(workspace, step)
            case steps.ConfirmDataUnused(namespace):
                await self.writer.confirm_data_unused(namespace)
            case steps.AnnounceRetained(uid):
                await self.writer.emit_event(retained(workspace, uid, self.now()), self.now())
            case Apply() | Prune() | Scale() | Delete():
                await self.writer.execute(step)
            case _:
                await self._write_namespace(workspace, step)

    async def _write_secret(
        self,
        workspace: Workspace,
        step: steps.CreateSecret | steps.ApplySecret | steps.DeleteSecret,
    ) -> None:
        match step:
            case steps.CreateSecret(manifest):
                await self.writer.create_secret(manifest)
                _log.info("credentials created", workspace=workspace.spec.workspace_name)
            case steps.ApplySecret(manifest, reason):
                await self.writer.apply_secret(manifest)
                _log.info(reason, workspace=workspace.spec.workspace_name)
            case steps.DeleteSecret(secret):
                await self.writer.delete_secret(secret)

    async def _write_namespace(
        self,
        workspace: Workspace,
        step: steps.CreateNamespace
        | steps.ClaimNamespace
        | steps.DeleteNamespace
        | steps.ConfirmNamespaceGone,
    ) -> None:
        name = workspace.spec.workspace_name
        match step:
            case steps.CreateNamespace(manifest):
                await self.writer.create_namespace(manifest)
            case steps.ClaimNamespace(manifest, uid, reason):
                await self.writer.claim_namespace(manifest, uid)
                _log.info(f"namespace {reason}", workspace=name)
            case steps.DeleteNamespace(namespace):
                await self.writer.delete_namespace(namespace)
            case steps.ConfirmNamespaceGone():
                await self.writer.confirm_namespace_gone(name)


def _expiry_refused(error: ApiError) -> Problem:
    return Problem(
        Reason.EXPIRY_REFUSED,
        "its time is over, as spec.expiresAfter says, but the API server refuses to delete it: "
        f"{error.message or error.reason}; mend what that names, and it is tried again by itself",
    )


def _target(workspace: Workspace, step: steps.Step) -> Ref:
    """The object that a step of provisioning writes."""
    name = workspace.spec.workspace_name
    match step:
        case steps.CreateNamespace() | steps.ClaimNamespace():
            return Ref(kinds.NAMESPACE.kind, "", name)
        case steps.CreateSecret() | steps.ApplySecret() | steps.DeleteSecret():
            return Ref(kinds.SECRET.kind, names.SYSTEM_NAMESPACE, names.credentials(name))
        case _:
            return Ref(kinds.WORKSPACE.kind, workspace.namespace, workspace.name)
