"""Gather what is, let the domain decide, carry it out, say how it went."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from pydantic import ValidationError

from aichat_workspace.domain import names, quantity, watched
from aichat_workspace.domain.claim import Refusal, name_taken, namespace_refusal, winner
from aichat_workspace.domain.diagnosis import Diagnosis
from aichat_workspace.domain.manifest import Manifest, Ref, ref
from aichat_workspace.domain.models import ModelStatus, PatternStatus, wanted
from aichat_workspace.domain.plan import Action, Apply, Delete, Observed, Prune, owns, plan
from aichat_workspace.domain.platform import PlatformSpec
from aichat_workspace.domain.render import Credentials, render, tenant_namespace
from aichat_workspace.domain.render.tenant import OLLAMA, workspace_url
from aichat_workspace.domain.status import Facts, status
from aichat_workspace.domain.workspace import Workspace
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.controller import Result
from aichat_workspace.kube.errors import ApiError, Conflict, NotFound
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator import secrets
from aichat_workspace.operator.caches import RESOURCES, Caches
from aichat_workspace.operator.model_sync import Assignment, ModelSync
from aichat_workspace.operator.servers import Connect

_WORKSPACE: Final = RESOURCES[watched.WORKSPACE.kind]
_NAMESPACE: Final = RESOURCES[watched.NAMESPACE.kind]
_SECRET: Final = RESOURCES[watched.SECRET.kind]
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings one workspace, by its workspaceName, to what its resource says.

    Several resources may claim one name, so the name is the key: whoever works on it sees all of
    them.
    """

    client: Client
    caches: Caches
    models: ModelSync
    connect: Connect
    builtin_prompts: Mapping[str, str]
    now: Callable[[], datetime]

    async def reconcile(self, name: str) -> Result:
        """Raises ApiError or Unreachable when a write failed; the queue brings it back."""
        claimants = _readable(self.caches.workspaces.by_index(name))
        if not claimants:
            self.models.forget(name)
            return Result()
        holder = winner(claimants, self.caches.namespaces.get("", name))
        for other in claimants:
            if other is not holder:
                await self._turn_away(other, holder)
        if holder.deleting:
            await self._finalize(holder)
        else:
            await self._provision(holder)
        return Result()

    async def _turn_away(self, workspace: Workspace, holder: Workspace) -> None:
        if workspace.deleting:
            await self._release(workspace)
        else:
            await self._refuse(workspace, name_taken(workspace, holder))

    async def _refuse(self, workspace: Workspace, refusal: Refusal) -> None:
        await self._report(workspace, Facts(url="", refusal=refusal))

    async def _provision(self, workspace: Workspace) -> None:
        name = workspace.spec.workspace_name
        namespace = self.caches.namespaces.get("", name)
        refusal = namespace_refusal(workspace, namespace)
        if refusal is not None:
            await self._refuse(workspace, refusal)
            return
        platform = self.caches.settings()
        workspace = await self._hold(workspace)
        credentials = await self._credentials(workspace, platform)
        if namespace is None:
            namespace = await self._create_namespace(workspace, platform)
        desired = render(workspace, platform, credentials)
        if "deletionTimestamp" in namespace["metadata"]:
            failure: Diagnosis | None = Diagnosis(
                "NamespaceTerminating",
                f"namespace {name!r} is being deleted; it is made anew once it is gone",
            )
            error = None
        else:
            observed = self.caches.tenant(name)
            actions = plan(tenant_namespace(workspace), desired, observed)
            failure, error = await self._carry_out(actions)
        facts = self._facts(workspace, platform, [ref(each) for each in desired], failure)
        await self._report(workspace, facts)
        if error is not None:
            raise error

    async def _hold(self, workspace: Workspace) -> Workspace:
        """The finalizer stands before anything is made, so that nothing outlives the resource."""
        if names.FINALIZER in workspace.finalizers:
            return workspace
        body = _identity(workspace, finalizers=[names.FINALIZER])
        held = await self.client.apply(_WORKSPACE, body, field_manager=names.OPERATOR)
        self.caches.observe(held)
        return Workspace.parse(held)

    async def _credentials(self, workspace: Workspace, platform: PlatformSpec) -> Credentials:
        name = names.credentials(workspace.spec.workspace_name)
        found = self.caches.credentials.get(names.SYSTEM_NAMESPACE, name)
        if found is not None and not secrets.belongs(found, workspace):
            # A namesake's, long gone: its finalizer would have removed it.
            await self._delete_secret(found)
            found = None
        if found is None:
            made = secrets.generate(workspace, platform.ingress.domain)
            body = secrets.manifest(workspace, made)
            found = await self.client.create(_SECRET, body, field_manager=names.OPERATOR)
            self.caches.credentials.observe(found)
            _log.info("credentials made", workspace=workspace.spec.workspace_name)
        return secrets.read(found)

    async def _create_namespace(self, workspace: Workspace, platform: PlatformSpec) -> Json:
        """By POST, which never adopts. One that was recorded and is gone is struck out first, so
        that an interruption right after the POST leaves no record that contradicts it."""
        if workspace.status.namespace is not None:
            await self._report(workspace, self._facts(workspace, platform, (), None))
        body = dict(tenant_namespace(workspace))
        made = await self.client.create(_NAMESPACE, body, field_manager=names.OPERATOR)
        self.caches.observe(made)
        _log.info("namespace made", workspace=workspace.spec.workspace_name)
        return made

    async def _carry_out(
        self, actions: Iterable[Action]
    ) -> tuple[Diagnosis | None, ApiError | None]:
        """Every write, in order. A refused one does not keep the others from being made."""
        failure: Diagnosis | None = None
        first: ApiError | None = None
        for action in actions:
            try:
                await self._act(action)
            except Conflict:
                raise  # our view is old: the next one brings a fresh plan
            except ApiError as error:
                failure = failure or _refused(action, error)
                first = first or error
        return failure, first

    async def _act(self, action: Action) -> None:
        target = ref(action.manifest) if isinstance(action, Apply) else action.ref
        resource = RESOURCES[target.kind]
        _log.info(type(action).__name__.lower(), object=str(target))
        if isinstance(action, Delete):
            await self.client.delete(resource, target.name, target.namespace, uid=action.uid)
            return
        if isinstance(action, Prune):
            written = await self.client.json_patch(
                resource,
                target.name,
                target.namespace,
                action.operations,
                field_manager=names.OPERATOR,
            )
        else:
            written = await self.client.apply(
                resource, action.manifest, field_manager=names.OPERATOR
            )
        if target.kind != watched.SECRET.kind:
            self.caches.observe(written)

    def _facts(
        self,
        workspace: Workspace,
        platform: PlatformSpec,
        desired: Sequence[Ref],
        failure: Diagnosis | None,
    ) -> Facts:
        name = workspace.spec.workspace_name
        models, patterns = self._models(workspace)
        return Facts(
            url=workspace_url(workspace.spec, platform),
            desired=desired,
            observed=self.caches.tenant(name),
            failure=failure,
            models=models,
            patterns=patterns,
        )

    def _models(
        self, workspace: Workspace
    ) -> tuple[tuple[ModelStatus, ...], tuple[PatternStatus, ...]]:
        """Tell model sync what is wanted, and hear how far it is."""
        name = workspace.spec.workspace_name
        prompts = {**self.builtin_prompts, **self.caches.prompts()}
        assignment = Assignment(
            client=self.connect(name),
            wanted=wanted(workspace.spec.models, workspace.spec.patterns, prompts),
            server=_server(self.caches.pods.by_index(name)),
            capacity_bytes=_capacity_bytes(self.caches.tenant(name), names.ollama(name)),
            recorded=tuple(
                ModelStatus(**each.model_dump(exclude={"percent", "eta_seconds"}))
                for each in workspace.status.models
            ),
            recorded_patterns=tuple(
                PatternStatus(**each.model_dump()) for each in workspace.status.patterns
            ),
        )
        report = self.models.want(name, assignment)
        return report.models, report.patterns

    async def _report(self, workspace: Workspace, facts: Facts) -> None:
        """Write the status, if it says anything new."""
        told = status(workspace, facts, self.now())
        if told == workspace.status:
            return
        document = told.model_dump(mode="json", by_alias=True, exclude_none=True)
        written = await self.client.apply(
            _WORKSPACE,
            {**_identity(workspace), "status": document},
            field_manager=names.OPERATOR,
            subresource="status",
        )
        self.caches.observe(written)
        if told.phase != workspace.status.phase:
            _log.info("phase", workspace=workspace.spec.workspace_name, phase=told.phase)

    async def _finalize(self, workspace: Workspace) -> None:
        """The namespace goes first and takes everything in it along; then the rest."""
        name = workspace.spec.workspace_name
        self.models.forget(name)
        if names.FINALIZER not in workspace.finalizers:
            return
        namespace = self.caches.namespaces.get("", name)
        if namespace is None or not owns(workspace, namespace):
            await self._release(workspace)
            return
        await self._report(
            workspace, Facts(url=workspace.status.url or "", observed=self.caches.tenant(name))
        )
        if "deletionTimestamp" not in namespace["metadata"]:
            _log.info("delete", object=f"Namespace {name}")
            await self.client.delete(_NAMESPACE, name, uid=namespace["metadata"]["uid"])

    async def _release(self, workspace: Workspace) -> None:
        """Nothing of it is left but its credentials: remove them and let it go."""
        if names.FINALIZER not in workspace.finalizers:
            return
        name = names.credentials(workspace.spec.workspace_name)
        secret = self.caches.credentials.get(names.SYSTEM_NAMESPACE, name)
        if secret is not None and secrets.belongs(secret, workspace):
            await self._delete_secret(secret)
        at = workspace.finalizers.index(names.FINALIZER)
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": workspace.uid},
            {"op": "test", "path": f"/metadata/finalizers/{at}", "value": names.FINALIZER},
            {"op": "remove", "path": f"/metadata/finalizers/{at}"},
        ]
        try:
            await self.client.json_patch(
                _WORKSPACE,
                workspace.name,
                workspace.namespace,
                operations,
                field_manager=names.OPERATOR,
            )
        except NotFound:
            return  # let go already; the watch has not told yet
        _log.info("released", workspace=workspace.spec.workspace_name)

    async def _delete_secret(self, secret: Json) -> None:
        metadata = secret["metadata"]
        await self.client.delete(
            _SECRET, metadata["name"], metadata["namespace"], uid=metadata["uid"]
        )


def _readable(resources: Iterable[Json]) -> list[Workspace]:
    """The resources that can be understood. One that the API server let through and these models
    refuse is left alone, and said so."""
    found = []
    for each in resources:
        try:
            found.append(Workspace.parse(each))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
            )
            _log.error("resource not understood", name=each["metadata"]["name"], error=problems)
    return found


def _identity(workspace: Workspace, **metadata: Any) -> dict[str, Any]:
    """With the UID a write fails on any other object of this name, and never makes one."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": watched.WORKSPACE.kind,
        "metadata": {
            "name": workspace.name,
            "namespace": workspace.namespace,
            "uid": workspace.uid,
            **metadata,
        },
    }


def _refused(action: Action, error: ApiError) -> Diagnosis:
    target = ref(action.manifest) if isinstance(action, Apply) else action.ref
    return Diagnosis(
        "WriteRefused", f"the API server refuses {target}: {error.message or error.reason}"
    )


def _capacity_bytes(observed: Observed, claim: str) -> int:
    """What a bound claim's volume holds, or 0 while that is not known."""
    namespace = observed.namespace["metadata"]["name"] if observed.namespace else ""
    found = observed.objects.get(Ref("PersistentVolumeClaim", namespace, claim), {})
    size = found.get("status", {}).get("capacity", {}).get("storage")
    return int(quantity.parse(size)) if size else 0


def _server(pods: Sequence[Manifest]) -> str:
    """Which pod serves models now: its UID and how often its container was started; empty when
    none is ready."""
    for pod in pods:
        conditions = pod["status"].get("conditions", ())
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
        if pod["metadata"]["labels"].get(names.COMPONENT_LABEL) == OLLAMA and ready:
            restarts = sum(
                each["restartCount"] for each in pod["status"].get("containerStatuses", ())
            )
            return f"{pod['metadata']['uid']}/{restarts}"
    return ""
