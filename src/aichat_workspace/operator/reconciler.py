"""Gather what is, let the domain decide, carry it out, say how it went."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

import structlog
from pydantic import ValidationError

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.models.status import DesiredModels, desired_models
from aichat_workspace.domain.planning.image_rollout import RolloutSlot
from aichat_workspace.domain.planning.plan import plan
from aichat_workspace.domain.planning.volume_claims import sizes
from aichat_workspace.domain.policy import effective_spec, limits
from aichat_workspace.domain.policy.blocking import (
    blocked_kinds,
    blocks_host,
    blocks_models,
    spec_problem,
)
from aichat_workspace.domain.policy.ownership import (
    Rejection,
    choose_claimant,
    host_taken,
    may_take_over,
    name_taken,
    namespace_refusal,
    owns,
)
from aichat_workspace.domain.policy.secret_references import ADMIN, resolve
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.render import Credentials, ReferencedSecret, render, tenant_namespace
from aichat_workspace.domain.render.context import NO_CREDENTIALS, workspace_url
from aichat_workspace.domain.status.status import (
    StatusInputs,
    compute_status,
    expires_at,
    running_images,
)
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import (
    WORKLOAD_CONDITIONS,
    Phase,
    WorkspaceStatus,
)
from aichat_workspace.kube.controller import Result
from aichat_workspace.kube.errors import ApiError, ConflictError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator import credentials
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.finalizer import LOOK_AGAIN_SECONDS, WorkspaceFinalizer
from aichat_workspace.operator.image_rollouts import ImageRollouts
from aichat_workspace.operator.models.assignment import assignment, chat, paused
from aichat_workspace.operator.models.sync import ModelSync
from aichat_workspace.operator.models.tools import ToolSync
from aichat_workspace.operator.telemetry.events import expired
from aichat_workspace.operator.writer import Writer, write_refused
from aichat_workspace.runtime.servers import Connect, ConnectChat

_STARTS: Final = frozenset({"Starting", "Creating"})
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings one workspace, by its workspaceName, to what its resource says.

    Several resources may claim one name, so the name is the key: whoever works on it sees all of
    them.
    """

    writer: Writer
    caches: Caches
    models: ModelSync
    tools: ToolSync
    farewell: WorkspaceFinalizer
    rollouts: ImageRollouts
    connect: Connect
    connect_chat: ConnectChat
    builtin_prompts: Mapping[str, str]
    now: Callable[[], datetime]

    async def reconcile(self, name: str) -> Result:
        """Raises ApiError or UnreachableError when a write failed; the queue brings it back."""
        claimants = _readable(self.caches.workspaces.by_index(name))
        if not claimants:
            self._forget_servers(name)
            self.rollouts.forget(name)
            return Result()
        holder = choose_claimant(claimants, self.caches.namespaces.get("", name))
        for other in claimants:
            if other is not holder:
                await self._turn_away(other, holder)
        if holder.deleting:
            self._forget_servers(name)
            return await self.farewell.finalize(holder)
        return await self._keep(holder)

    def _forget_servers(self, name: str) -> None:
        self.models.forget(name)
        self.tools.forget(name)

    async def _turn_away(self, workspace: Workspace, holder: Workspace) -> None:
        if workspace.deleting:
            await self.farewell.release(workspace)
        else:
            await self._refuse(workspace, name_taken(workspace, holder))

    async def _refuse(self, workspace: Workspace, refusal: Rejection) -> None:
        await self._report(workspace, StatusInputs(url="", refusal=refusal))

    async def _keep(self, workspace: Workspace) -> Result:
        """Provision it, or end it when its time is over."""
        ends = expires_at(workspace)
        left_seconds = None if ends is None else (ends - self.now()).total_seconds()
        if left_seconds is not None and left_seconds <= 0:
            _log.info("expired", workspace=workspace.spec.workspace_name)
            await self.writer.delete_workspace(workspace)
            await self.writer.emit_event(expired(workspace, self.now()), self.now())
            return Result()
        await self._provision(workspace)
        if self._comes_up(workspace):  # what time alone turns into a problem brings no event
            return Result(min(left_seconds or LOOK_AGAIN_SECONDS, LOOK_AGAIN_SECONDS))
        return Result(left_seconds)

    def _comes_up(self, workspace: Workspace) -> bool:
        """Whether a workload starts, or runs images that have not lasted yet, whatever else is
        wrong."""
        found = self.caches.workspaces.get(workspace.namespace, workspace.name)
        told = (found or {}).get("status") or {}
        if found is None or told.get("phase") == Phase.SUSPENDED:
            return False
        starts = any(
            each["type"] in WORKLOAD_CONDITIONS and each["reason"] in _STARTS
            for each in told.get("conditions", ())
        )
        return starts or not self.rollouts.is_proven(found)

    async def _provision(self, workspace: Workspace) -> None:
        name = workspace.spec.workspace_name
        platform = self.caches.settings()
        namespace = self.caches.namespaces.get("", name)
        refusal = namespace_refusal(workspace, namespace)
        if refusal is not None:
            await self._refuse(workspace, refusal)
            return
        referenced, missing = resolve(workspace, self._referenced_secret)
        problems = [*self._problems(workspace, platform), *filter(None, [missing])]
        if problems and not (namespace and owns(workspace, namespace)):
            await self._report(workspace, self._facts(workspace, platform, (), problems))
            return
        telling = partial(self._telling, workspace, platform, problems)
        async with telling(Ref(kinds.WORKSPACE.kind, workspace.namespace, workspace.name)):
            workspace = await self.writer.add_finalizer(workspace)
        held = blocked_kinds(problems)
        credentials = NO_CREDENTIALS
        if "Secret" not in held:
            async with telling(Ref("Secret", names.SYSTEM_NAMESPACE, names.credentials(name))):
                credentials = await self._credentials(workspace, platform, referenced.get(ADMIN))
        async with telling(Ref(kinds.NAMESPACE.kind, "", name)):
            namespace = await self._namespace(workspace, platform, namespace)
        turn = self.rollouts.turn(workspace, platform)
        changes = turn.now and not problems
        images = platform.images if changes else self.rollouts.kept(workspace, platform)
        chosen = platform.model_copy(update={"images": images})
        desired = render(permitted(workspace, platform), chosen, credentials, referenced)
        refused = effective_spec.host(workspace.spec, platform) if blocks_host(problems) else ""
        failure, error = await self._apply(workspace, namespace, desired, held, refused)
        told = [*problems, *filter(None, [failure])]
        refs = [ref(each) for each in desired]
        facts = self._facts(workspace, platform, refs, told, credentials)
        await self._report(workspace, replace(facts, turn=turn, sizes=sizes(desired)))
        if error is not None:
            raise error

    @asynccontextmanager
    async def _telling(
        self,
        workspace: Workspace,
        platform: PlatformSpec,
        problems: Sequence[Problem],
        target: Ref,
    ) -> AsyncIterator[None]:
        """Around a write that all others stand on: when it is refused, the status says so. It is
        none of a workload's, so no upgrade stops for it."""
        try:
            yield
        except ConflictError:
            raise
        except ApiError as error:
            known = sorted(self.caches.tenant(workspace.spec.workspace_name).objects)
            told = [*problems, write_refused(str(target), error)]
            facts = self._facts(workspace, platform, known, told)
            current = running_images(facts.observed) in (None, facts.target)
            await self._report(workspace, replace(facts, turn=RolloutSlot(now=current)))
            raise

    def _problems(self, workspace: Workspace, platform: PlatformSpec) -> Iterator[Problem]:
        """What somebody has to mend before everything can be as it should be."""
        if workspace.not_understood:
            yield spec_problem(workspace)
        yield from limits.violations(workspace.spec, platform)
        rivals = self._rivals(workspace, platform)
        for found in (host_taken(workspace, rivals, platform), self._bad_credentials(workspace)):
            if found is not None:
                yield found

    async def _apply(
        self,
        workspace: Workspace,
        namespace: Manifest,
        desired: Sequence[Manifest],
        held: frozenset[str],
        refused_host: str,
    ) -> tuple[Problem | None, ApiError | None]:
        if "deletionTimestamp" in namespace["metadata"]:
            name = workspace.spec.workspace_name
            told = f"namespace {name!r} is being deleted; it is made anew once it is gone"
            return Problem("NamespaceTerminating", told), None
        observed = self.caches.tenant(workspace.spec.workspace_name)
        actions = plan(tenant_namespace(workspace), desired, observed, held, refused_host)
        return await self.writer.execute_all(actions)

    def _rivals(self, workspace: Workspace, platform: PlatformSpec) -> list[Workspace]:
        """The other workspaces with this one's host. Few choose one, so few are read."""
        host = effective_spec.host(workspace.spec, platform)
        named = self.caches.workspaces.by_index(host.removesuffix(f".{platform.ingress.domain}"))
        chosen = (
            each
            for each in self.caches.workspaces.all()
            if (each["spec"].get("ingress") or {}).get("host") == host
        )
        mine = workspace.spec.workspace_name
        return [
            each
            for each in _readable((*named, *chosen))
            if each.spec.workspace_name != mine and not each.deleting
        ]

    def _bad_credentials(self, workspace: Workspace) -> Problem | None:
        """A Secret that is not the workspace's credentials, or not all of them."""
        name = names.credentials(workspace.spec.workspace_name)
        found = self.caches.secrets.get(names.SYSTEM_NAMESPACE, name)
        if found is None:
            return None
        where = f"Secret {name!r} in {names.SYSTEM_NAMESPACE}"
        if not credentials.is_ours(found, workspace):
            return Problem(
                "SecretTaken",
                f"{where} was not made by this operator, so it is left alone; rename it, or choose "
                "another workspaceName",
            )
        if missing := credentials.missing(found):
            return Problem(
                "CredentialsIncomplete",
                f"{where} lacks the keys {', '.join(missing)}; put them back, or delete it, and "
                "all of them are made anew",
            )
        return None

    def _referenced_secret(self, name: str) -> Json | None:
        return self.caches.secrets.get(names.SYSTEM_NAMESPACE, name)

    async def _credentials(
        self, workspace: Workspace, platform: PlatformSpec, admin: ReferencedSecret | None
    ) -> Credentials:
        name = names.credentials(workspace.spec.workspace_name)
        found = self.caches.secrets.get(names.SYSTEM_NAMESPACE, name)
        if found is not None and not credentials.belongs_to(found, workspace):
            found = await self._inherit(workspace, found)
        if found is None:
            made = credentials.generate(workspace, platform.ingress.domain)
            found = await self.writer.create_secret(credentials.manifest(workspace, made))
            _log.info("credentials made", workspace=workspace.spec.workspace_name)
        elif credentials.wants_new_password(workspace, found):
            renewed = credentials.with_new_password(credentials.read(found))
            found = await self.writer.apply_secret(credentials.manifest(workspace, renewed))
            _log.info("password renewed", workspace=workspace.spec.workspace_name)
        return credentials.with_admin(credentials.read(found), admin)

    async def _inherit(self, workspace: Workspace, found: Json) -> Json | None:
        """A namesake's credentials go with the namespace: kept when it is taken over. Others are
        of a namesake long gone, whose finalizer would have removed them."""
        namespace = self.caches.namespaces.get("", workspace.spec.workspace_name)
        if namespace is not None and (
            may_take_over(workspace, namespace) or owns(workspace, namespace)
        ):
            body = credentials.manifest(workspace, credentials.read(found))
            return await self.writer.apply_secret(body)
        await self.writer.delete_secret(found)
        return None

    async def _namespace(
        self, workspace: Workspace, platform: PlatformSpec, namespace: Json | None
    ) -> Json:
        """The tenant's namespace: made, taken over, or there already. One that was recorded and is
        gone is struck out first, so that an interruption right after the POST leaves no record
        that contradicts it."""
        body = tenant_namespace(workspace)
        if namespace is None:
            if workspace.status.namespace is not None:
                await self._report(workspace, self._facts(workspace, platform, (), ()))
            return await self.writer.create_namespace(body)
        if not owns(workspace, namespace):
            _log.info("namespace taken over", workspace=workspace.spec.workspace_name)
            return await self.writer.claim_namespace(body, namespace["metadata"]["uid"])
        return namespace

    def _facts(
        self,
        workspace: Workspace,
        platform: PlatformSpec,
        desired: Sequence[Ref],
        problems: Sequence[Problem],
        credentials: Credentials = NO_CREDENTIALS,
    ) -> StatusInputs:
        name = workspace.spec.workspace_name
        observed = self.caches.tenant(name)
        work = assignment(
            workspace, platform, observed, self._wanted(workspace, platform), self.connect
        )
        report = self.models.set_desired(name, paused(work) if blocks_models(problems) else work)
        tools = self.tools.set_desired(
            name, chat(workspace, observed, credentials, self.connect, self.connect_chat)
        )
        return StatusInputs(
            url="" if blocks_host(problems) else workspace_url(workspace.spec, platform),
            desired=desired,
            observed=observed,
            failure=next(iter(problems), None),
            models=report.models,
            patterns=report.patterns,
            tools=tools,
            target=platform.images.resolved,
            ingress_classes=tuple(self.caches.ingress_classes.all()),
        )

    def _wanted(self, workspace: Workspace, platform: PlatformSpec) -> DesiredModels:
        prompts = {**self.builtin_prompts, **self.caches.prompts()}
        spec = workspace.spec
        return desired_models(
            spec.models, spec.patterns, prompts, effective_spec.embedding_model(spec, platform)
        )

    async def _report(self, workspace: Workspace, facts: StatusInputs) -> None:
        now = self.now()
        told = compute_status(workspace, facts, now)
        await self.writer.report(workspace, told, now)
        if _standing(told) != _standing(workspace.status):
            stops = Phase.DEGRADED in (told.phase, workspace.status.phase)
            self.rollouts.moved(everyone=stops)


def _standing(told: WorkspaceStatus) -> tuple[object, ...]:
    """What decides whose turn it is to change."""
    known = (told.condition(kind) for kind in WORKLOAD_CONDITIONS)
    return (told.images, told.phase, *(each.status if each else None for each in known))


def permitted(workspace: Workspace, platform: PlatformSpec) -> Workspace:
    return workspace.model_copy(update={"spec": effective_spec.permitted(workspace.spec, platform)})


def _readable(resources: Iterable[Json]) -> list[Workspace]:
    """The resources that name a workspace; another one, which only an older API server can have
    let through, is left alone, and said so."""
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
