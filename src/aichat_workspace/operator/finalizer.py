"""How a workspace ends: with its namespace, or leaving it behind."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, ref
from aichat_workspace.domain.planning.actions import Delete, Stop
from aichat_workspace.domain.policy.ownership import owns
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.render import retained_namespace
from aichat_workspace.domain.status.status import StatusInputs, compute_status
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import DeletionPolicy
from aichat_workspace.kube.controller import Result
from aichat_workspace.kube.errors import ApiError, ConflictError
from aichat_workspace.operator import credentials
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.telemetry.events import retained
from aichat_workspace.operator.writer import Writer, write_refused

LOOK_AGAIN_SECONDS: Final = 30.0
_WAYS_IN: Final = ("Ingress", "HTTPRoute")
_WORKLOADS: Final = ("StatefulSet", "Deployment")
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkspaceFinalizer:
    """Every method raises ApiError or UnreachableError; the queue brings the workspace back."""

    writer: Writer
    caches: Caches
    now: Callable[[], datetime]

    async def finalize(self, workspace: Workspace) -> Result:
        """The namespace goes first and takes everything in it along, or is left; then the rest."""
        try:
            return await self._finalize(workspace)
        except ConflictError:
            raise
        except ApiError as error:
            await self._report(workspace, write_refused("that it ends", error))
            raise

    async def _finalize(self, workspace: Workspace) -> Result:
        if names.FINALIZER not in workspace.finalizers:
            return Result()
        name = workspace.spec.workspace_name
        namespace = self.caches.namespaces.get("", name)
        if namespace is None:
            # One that was made just now, whose answer was lost, would stay for ever.
            namespace = await self.writer.find_namespace(name)
        if namespace is None or not owns(workspace, namespace):
            await self.release(workspace)
            return Result()
        if workspace.spec.deletion_policy is DeletionPolicy.RETAIN:
            await self._retain(workspace, namespace)
            return Result()
        await self.writer.delete_namespace(namespace)
        await self._report(workspace)
        return Result(LOOK_AGAIN_SECONDS)  # that something holds the namespace, only time tells

    async def _report(self, workspace: Workspace, failure: Problem | None = None) -> None:
        observed = self.caches.tenant(workspace.spec.workspace_name)
        facts = StatusInputs(url=workspace.status.url or "", observed=observed, failure=failure)
        now = self.now()
        await self.writer.report(workspace, compute_status(workspace, facts, now), now)

    async def release(self, workspace: Workspace) -> None:
        """Nothing of it is left but its credentials: remove them and let it go."""
        if names.FINALIZER not in workspace.finalizers:
            return
        name = names.credentials(workspace.spec.workspace_name)
        secret = self.caches.secrets.get(names.SYSTEM_NAMESPACE, name)
        if secret is not None and credentials.belongs_to(secret, workspace):
            await self.writer.delete_secret(secret)
        await self.writer.remove_finalizer(workspace)

    async def _retain(self, workspace: Workspace, namespace: Manifest) -> None:
        """Stop the workloads, free the host, mark the namespace and let it go. The credentials
        stay: whoever takes the namespace over finds the chat's users and sessions as they were."""
        name = workspace.spec.workspace_name
        for found in self.caches.tenant(name).objects.values():
            if found["kind"] in _WAYS_IN and "deletionTimestamp" not in found["metadata"]:
                await self.writer.execute(Delete(ref(found), found["metadata"]["uid"]))
            if found["kind"] in _WORKLOADS and found["spec"].get("replicas") != 0:
                await self.writer.execute(Stop(ref(found)))
        if "deletionTimestamp" not in namespace["metadata"]:
            uid = namespace["metadata"]["uid"]
            await self.writer.claim_namespace(retained_namespace(workspace), uid)
            await self.writer.emit_event(retained(workspace, uid, self.now()), self.now())
            _log.info("namespace retained", workspace=name)
        await self.writer.remove_finalizer(workspace)
