"""Every write of the operator, each taken into the caches as soon as it is answered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import structlog

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds, quota
from aichat_workspace.domain.kubernetes.kinds import RESOURCES
from aichat_workspace.domain.kubernetes.manifest import Manifest, covers
from aichat_workspace.domain.kubernetes.rewrites import Rewrite, find_rewrite
from aichat_workspace.domain.planning.actions import Action, Apply, Delete, target_of
from aichat_workspace.domain.planning.restore import may_use_data
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.platform_status import PlatformStatus
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnreachableError,
)
from aichat_workspace.kube.objects import Json, resource_version
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.telemetry.events import EventRecorder, events

_WORKSPACE: Final = kinds.WORKSPACE
_NAMESPACE: Final = kinds.NAMESPACE
_SECRET: Final = kinds.SECRET
_EVENT: Final = kinds.EVENT
_QUOTA: Final = "ResourceQuota"
_INSTANCE_LENGTH: Final = 128
_log: Final = structlog.get_logger()


class QuotaPendingError(ForbiddenError):
    """403: the API server's quota controller has not counted our quota yet. A retry helps."""

    @property
    def is_retryable(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Writer:
    """Every method raises ApiError or UnreachableError; the queue brings the workspace back. The
    client is one that sends no write once another replica may lead."""

    client: Client
    caches: Caches
    repeats: EventRecorder = field(default_factory=EventRecorder)
    instance: str = names.OPERATOR
    """The pod that speaks in events."""

    async def add_finalizer(self, workspace: Workspace) -> None:
        """The finalizer stands before anything is made, so that nothing outlives the resource."""
        body = identity(workspace, finalizers=[names.FINALIZER])
        written = await self.client.apply(_WORKSPACE, body, field_manager=names.OPERATOR)
        self.caches.observe(written)

    async def remove_finalizer(self, workspace: Workspace) -> None:
        """Take the finalizer off exactly this resource."""
        index = workspace.finalizers.index(names.FINALIZER)
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": workspace.uid},
            {"op": "test", "path": f"/metadata/finalizers/{index}", "value": names.FINALIZER},
            {"op": "remove", "path": f"/metadata/finalizers/{index}"},
        ]
        try:
            await self._patch(_WORKSPACE, workspace.name, workspace.namespace, operations)
        except NotFoundError:
            return  # gone already; the watch has not shown it yet
        _log.info("released", workspace=workspace.spec.workspace_name)

    async def delete_workspace(self, workspace: Workspace) -> None:
        """Exactly as it was seen: one that was edited meanwhile stays (Conflict)."""
        resource = self.caches.workspaces.get(workspace.namespace, workspace.name)
        if resource is None or resource["metadata"]["generation"] != workspace.generation:
            raise ConflictError(409, "Conflict", "the workspace was edited meanwhile")
        await self.client.delete(
            _WORKSPACE,
            workspace.name,
            workspace.namespace,
            uid=workspace.uid,
            version=str(resource_version(resource)),
        )

    async def create_namespace(self, body: Manifest) -> Json:
        """By POST, which never adopts."""
        namespace = await self.client.create(_NAMESPACE, dict(body), field_manager=names.OPERATOR)
        self.caches.observe(namespace)
        _log.info("namespace created", workspace=body["metadata"]["name"])
        return namespace

    async def claim_namespace(self, body: Manifest, uid: str) -> Json:
        """Write a namespace of ours; with its UID this fails on any other one of the name."""
        marked = {**body, "metadata": {**body["metadata"], "uid": uid}}
        written = await self.client.apply(_NAMESPACE, marked, field_manager=names.OPERATOR)
        self.caches.observe(written)
        return written

    async def confirm_namespace_gone(self, name: str) -> None:
        """Look for a namespace that the cache does not have.

        Raises:
            ConflictError: there is one. The cache has it now.
        """
        pages = self.client.list_pages(_NAMESPACE, field_selector=f"metadata.name={name}")
        async for page in pages:
            for namespace in page["items"]:
                head = {"apiVersion": _NAMESPACE.api_version, "kind": _NAMESPACE.kind}
                self.caches.observe({**head, **namespace})
                raise ConflictError(409, "Conflict", f"namespace {name!r} is there, not seen yet")

    async def confirm_resource_gone(self, namespace: Manifest) -> None:
        """Look for the resource of a namespace that the cache does not have.

        Raises:
            ConflictError: there is one. The cache has it now.
        """
        marks = namespace["metadata"]["annotations"]
        _, _, name = marks.get(names.OWNER_ANNOTATION, "").partition("/")
        selector = f"metadata.name={name}" if name else ""
        async for page in self.client.list_pages(_WORKSPACE, field_selector=selector):
            for workspace in page["items"]:
                if workspace["metadata"]["uid"] == marks[names.OWNER_UID_ANNOTATION]:
                    head = {"apiVersion": _WORKSPACE.api_version, "kind": _WORKSPACE.kind}
                    self.caches.observe({**head, **workspace})
                    raise ConflictError(409, "Conflict", f"its resource {name!r} is there")

    async def confirm_data_unused(self, namespace: str) -> None:
        """Look for pods that use the chat's data and that the cache may not have.

        Raises:
            ConflictError: there is one. The cache has it now.
        """
        pages = self.client.list_pages(kinds.POD, namespace, label_selector=names.MANAGED_SELECTOR)
        async for page in pages:
            for pod in page["items"]:
                if may_use_data(pod, namespace):
                    self.caches.pods.observe({"apiVersion": "v1", "kind": "Pod", **pod})
                    name = pod["metadata"]["name"]
                    raise ConflictError(409, "Conflict", f"pod {name!r} is there, not seen yet")

    async def delete_namespace(self, namespace: Manifest) -> None:
        if "deletionTimestamp" not in namespace["metadata"]:
            name, uid = namespace["metadata"]["name"], namespace["metadata"]["uid"]
            _log.info("delete", object=f"Namespace {name}")
            await self.client.delete(_NAMESPACE, name, uid=uid)

    async def create_secret(self, body: Manifest) -> Json:
        secret = await self.client.create(_SECRET, dict(body), field_manager=names.OPERATOR)
        self.caches.secrets.observe(secret)
        return secret

    async def apply_secret(self, body: Manifest) -> Json:
        written = await self.client.apply(_SECRET, body, field_manager=names.OPERATOR)
        self.caches.secrets.observe(written)
        return written

    async def delete_secret(self, secret: Manifest) -> None:
        metadata = secret["metadata"]
        await self.client.delete(
            _SECRET, metadata["name"], metadata["namespace"], uid=metadata["uid"]
        )

    async def apply_settings_record(self, body: Manifest) -> None:
        written = await self.client.apply(kinds.CONFIG_MAP, body, field_manager=names.OPERATOR)
        self.caches.records.observe(written)

    async def execute_all(
        self, actions: Iterable[Action]
    ) -> tuple[Problem | None, ApiError | None, tuple[Rewrite, ...]]:
        """Every write, in order. A refused one does not keep the others from being made, but what
        they replace is kept. Return the first refusal, the first error (one that passes is no
        refusal), and what came back different."""
        failure: Problem | None = None
        first: ApiError | None = None
        rewrites: list[Rewrite] = []
        for action in actions:
            if first and isinstance(action, Apply | Delete) and action.waits:
                continue
            try:
                if (rewrite := await self.execute(action)) is not None:
                    rewrites.append(rewrite)
            except ConflictError:
                raise  # our view is old: the next one brings a fresh plan
            except ApiError as refusal:
                error = self._or_pending(action, refusal)
                first = first or error
                if not error.is_retryable:
                    failure = failure or write_refused(str(target_of(action)), error)
        return failure, first, tuple(rewrites)

    def _or_pending(self, action: Action, error: ApiError) -> ApiError:
        """Return the error, or that the quota which we have just written is not counted yet."""
        quotas = self.caches.tenants[_QUOTA].by_index(target_of(action).namespace)
        is_pending = quota.is_refusal(error.message) and any(
            not quota.is_counted(manifest) or quota.is_outdated(error.message, manifest)
            for manifest in quotas
        )
        if not is_pending:
            return error
        return QuotaPendingError(error.status, error.reason, error.message)

    async def execute(self, action: Action) -> Rewrite | None:
        """Make one write. Return how the object came back, if not as it was applied."""
        target = target_of(action)
        resource = RESOURCES[target.kind]
        _log.info(type(action).__name__.lower(), object=str(target))
        if isinstance(action, Delete):
            await self.client.delete(resource, target.name, target.namespace, uid=action.uid)
            return None
        if isinstance(action, Apply):
            written = await self.client.apply(
                resource, action.manifest, field_manager=names.OPERATOR
            )
            self.caches.observe_applied(written, action.manifest)
            is_applied = target.kind == kinds.SECRET.kind or covers(written, action.manifest)
            return None if is_applied else find_rewrite(written, action.manifest)
        operations = action.operations
        written = await self._patch(resource, target.name, target.namespace, operations)
        self.caches.observe(written)
        return None

    async def _patch(
        self, resource: Resource, name: str, namespace: str, operations: Sequence[Json]
    ) -> Json:
        """Raises ConflictError when one of its tests fails: the object is not as it was seen."""
        try:
            return await self.client.json_patch(
                resource, name, namespace, operations, field_manager=names.OPERATOR
            )
        except InvalidError as error:
            # The API server has one answer for it and for a field that is wrong, but for the field.
            has_test = any(operation["op"] == "test" for operation in operations)
            is_webhooks = error.message.startswith("admission webhook")
            if error.status != HTTPStatus.UNPROCESSABLE_ENTITY or error.causes or is_webhooks:
                raise
            if not has_test:
                raise
            raise ConflictError(409, "Conflict", error.message) from error

    async def report(self, workspace: Workspace, status: WorkspaceStatus, now: datetime) -> bool:
        """Write a status that differs from the present one, and an event for what moved. Return
        whether there was anything to write."""
        if status == workspace.status:
            return False
        document = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.caches.expect_status(workspace.uid, document)
        written = await self.client.apply(
            _WORKSPACE,
            {**identity(workspace), "status": document},
            field_manager=names.OPERATOR,
            subresource="status",
        )
        self.caches.observe(written)
        if status.phase != workspace.status.phase:
            _log.info("phase", workspace=workspace.spec.workspace_name, phase=status.phase)
        for event in events(workspace, status, now):
            await self.emit_event(event, now)
        return True

    async def report_platform(self, platform: Json, status: PlatformStatus) -> None:
        """Write the status of exactly this AIChatPlatform."""
        metadata = {key: platform["metadata"][key] for key in ("name", "uid")}
        head = {"apiVersion": names.API_VERSION, "kind": kinds.PLATFORM.kind, "metadata": metadata}
        document = status.model_dump(mode="json", by_alias=True)
        written = await self.client.apply(
            kinds.PLATFORM,
            {**head, "status": document},
            field_manager=names.OPERATOR,
            subresource="status",
        )
        self.caches.observe(written)

    async def emit_event(self, event: Json, now: datetime) -> None:
        """Write an event, or that it has happened again. One that can't be written is no reason
        to stop."""
        event = {**event, "reportingInstance": self.instance[:_INSTANCE_LENGTH]}
        try:
            if self.repeats.is_first(event, now):
                await self.client.create(_EVENT, event, field_manager=names.OPERATOR)
            elif series := self.repeats.repeat(event, now):
                await self._update_event_series(event["metadata"]["namespace"], *series)
        except (ApiError, UnreachableError) as error:
            self.repeats.forget(event)
            _log.warning("event not written", reason=event["reason"], error=str(error))

    async def _update_event_series(self, namespace: str, name: str, series: Json) -> None:
        operation = {"op": "add", "path": "/series", "value": series}
        await self._patch(_EVENT, name, namespace, [operation])


def identity(workspace: Workspace, **metadata: Any) -> dict[str, Any]:
    """With the UID a write fails on any other object of this name, and never makes one."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": kinds.WORKSPACE.kind,
        "metadata": {
            "name": workspace.name,
            "namespace": workspace.namespace,
            "uid": workspace.uid,
            **metadata,
        },
    }


def write_refused(what: str, error: ApiError) -> Problem:
    """In the API server's own words, which name the policy, the quota or the field."""
    return Problem(
        Reason.WRITE_REFUSED,
        f"the API server refuses {what}: {error.message or error.reason}; mend what it names (a "
        "policy, a quota, a permission or a field), and it is tried again by itself",
    )
