"""Service for the details of one workspace: logs, events, models and credentials.

They come from the tenant namespace, which the API's account may read although its callers may not.
So the namespace must be the workspace's, by the recorded UID: a resource that only names another
namespace reveals nothing of it.

Answers that no watch provides are cached for some seconds, so many callers cause few requests.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from aichat_workspace.api.schemas.workspace import Prompt
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.log_query import LogQuery
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.models.name import InvalidModelNameError, model_key, parse_model
from aichat_workspace.domain.policy import secret_references
from aichat_workspace.domain.policy.secret_references import ADMIN
from aichat_workspace.domain.render.context import OLLAMA, OPENWEBUI
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.foundation.metadata import annotations
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube import errors
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.objects import Json, resource_version
from aichat_workspace.ollama.errors import ModelNotFoundError, OllamaError, OllamaUnreachableError
from aichat_workspace.runtime.servers import Connect

_EVENTS: Final = Resource("", "v1", "Event", "events")
_POD: Final = kinds.POD
_SECRET: Final = kinds.SECRET
_EMAIL: Final = "WEBUI_ADMIN_EMAIL"
_PASSWORD: Final = "WEBUI_ADMIN_PASSWORD"  # noqa: S105  (its key in the Secret)
_MAX_EVENTS: Final = 200
_MAX_EVENTS_READ: Final = 2_000  # they are not sorted by time, so more are read than returned
FOLLOW_IDLE_SECONDS: Final = 3_600.0
_READ_IDLE_SECONDS: Final = 30.0
_ANSWER_TTL_SECONDS: Final = 2.0
_MAX_ANSWERS: Final = 50  # 200 events each: some ten megabytes
_MODELS_SECONDS: Final = 25.0

Documents = list[dict[str, Any]]


def _new_cache() -> TtlCache[Any, Any]:
    return TtlCache(_ANSWER_TTL_SECONDS, _MAX_ANSWERS)


class Workload(StrEnum):
    """The workloads of a workspace."""

    OLLAMA = OLLAMA
    OPENWEBUI = OPENWEBUI


@dataclass(frozen=True, slots=True)
class WorkspaceDetails:
    """Reads the details of workspaces."""

    client: Client
    cluster: ClusterView
    connect: Connect
    _events_cache: TtlCache[str, Documents] = field(default_factory=_new_cache)
    _models_cache: TtlCache[str, Documents] = field(default_factory=_new_cache)
    _pods_cache: TtlCache[tuple[str, Workload], str] = field(default_factory=_new_cache)

    def namespace(self, view: View) -> str:
        """Return the workspace's namespace. Raises ProblemError (409) while it has none."""
        recorded = view.document["status"].get("namespace") or {}
        namespace = self.cluster.namespace(view.name)
        if (
            namespace is None
            or namespace["metadata"]["uid"] != recorded.get("uid")
            or annotations(namespace).get(names.OWNER_UID_ANNOTATION) != view.document["uid"]
        ):
            raise ProblemError(
                409,
                "not-provisioned",
                f"Workspace {view.name!r} has no namespace yet, so there is nothing to look at. "
                f"GET /api/v1/workspaces/{view.name}/diagnosis says why.",
            )
        return view.name

    async def logs(
        self, view: View, workload: Workload, query: LogQuery
    ) -> AsyncGenerator[bytes, None]:
        """Open a workload's log, and return its chunks. Raises ProblemError (409) without a pod."""
        namespace = self.namespace(view)
        key = (str(view.document["uid"]), workload)
        pod = await self._pods_cache.get(key, lambda: self._pod(view, namespace, workload))
        stack = AsyncExitStack()
        stream = await stack.enter_async_context(
            self.client.stream(
                "GET",
                _POD.path(namespace, pod, "log"),
                counted_as="pods/log",
                query=query.parameters(str(workload)),
                idle_seconds=FOLLOW_IDLE_SECONDS if query.follow else _READ_IDLE_SECONDS,
            )
        )
        if stream.status != 200:
            async with stack:
                body = b"".join([chunk async for chunk in stream.chunks])
            raise _log_problem(view, workload, errors.from_response(stream.status, body))
        return _close_after(stack, stream.chunks)

    async def _pod(self, view: View, namespace: str, workload: Workload) -> str:
        selector = f"{names.MANAGED_SELECTOR},{names.COMPONENT_LABEL}={workload}"
        pods: list[Json] = []
        async for page in self.client.list_pages(_POD, namespace, label_selector=selector):
            pods += page["items"]
        if not pods:
            raise ProblemError(
                409,
                "not-running",
                f"{workload} of workspace {view.name!r} has no pod now: it is suspended or still "
                f"coming up. GET /api/v1/workspaces/{view.name}/diagnosis says which.",
            )
        newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        return str(newest["metadata"]["name"])

    async def events(self, view: View) -> Documents:
        """Return the events of the resource and its namespace, the newest first.

        They are as of two seconds ago at most.
        """
        return await self._events_cache.get(view.document["uid"], lambda: self._read_events(view))

    async def _read_events(self, view: View) -> Documents:
        of_resource = f"involvedObject.uid={view.document['uid']}"
        events = await self._events(view.team, of_resource)
        with suppress(ProblemError):  # without a namespace there are no other events
            events += await self._events(self.namespace(view))
        newest = sorted(events, key=_moment, reverse=True)[:_MAX_EVENTS]
        return [_event_document(event) for event in newest]

    async def _events(self, namespace: str, field_selector: str = "") -> list[Json]:
        events: list[Json] = []
        pages = self.client.list_pages(_EVENTS, namespace, field_selector=field_selector)
        async for page in pages:
            events += page["items"]
            if len(events) >= _MAX_EVENTS_READ:
                break
        return events

    async def models(self, view: View) -> Documents:
        """Return the models of the workspace's server, as of two seconds ago at most.

        Raises ProblemError: 409 while there is no server, 503 when it does not answer.
        """
        self.namespace(view)
        return await self._models_cache.get(view.document["uid"], lambda: self._read_models(view))

    async def _read_models(self, view: View) -> Documents:
        status = view.document["status"]
        origins = {model_key(model["name"]): "model" for model in status.get("models", ())}
        origins |= {
            f"{pattern['name']}:latest": "pattern" for pattern in status.get("patterns", ())
        }
        server = self.connect(self.namespace(view))
        try:
            async with asyncio.timeout(_MODELS_SECONDS):
                models = await server.models()
        except TimeoutError:  # it sends slowly: never silent for long, and never done
            raise model_server_problem(view, OllamaUnreachableError("it takes too long")) from None
        except OllamaError as error:
            raise model_server_problem(view, error) from None
        return [
            {
                "name": model.name,
                "sizeBytes": model.size_bytes,
                "origin": origins.get(model_key(model.name), "person"),
            }
            for model in sorted(models, key=lambda model: model.name)
        ]

    async def ask(self, view: View, prompt: Prompt) -> tuple[str, AsyncGenerator[str, None]]:
        """Return the model that answers, and its reply word by word.

        It waits for the first word, so errors are known before the response begins.
        """
        model = prompt.model or next(iter(view.document["spec"].get("models", ())), None)
        if model is None:
            error = problems.FieldError("model", "the workspace has no model; name one, or add one")
            raise problems.invalid([error])
        if view.document["spec"].get("suspended"):
            raise ProblemError(
                409,
                "suspended",
                f"Workspace {view.name!r} is suspended, so no model answers. Resume it first.",
            )
        if view.document["status"].get("phase") == Phase.SUSPENDED:
            raise ProblemError(
                409,
                "suspended",
                f"The time of workspace {view.name!r} is over, so no model answers. Raise or "
                "remove spec.expiresAfter first.",
            )
        server = self.connect(self.namespace(view))
        options = {
            name: value
            for name, value in (("temperature", prompt.temperature), ("seed", prompt.seed))
            if value is not None
        }
        words = server.chat(
            _canonical_name(model), prompt.prompt, system=prompt.system, options=options
        )
        try:
            first = await anext(words, "")
        except ModelNotFoundError as error:
            detail = f"{error}; GET /api/v1/workspaces/{view.name}/models lists those it has"
            raise problems.invalid([problems.FieldError("model", detail)]) from None
        except OllamaError as error:
            raise model_server_problem(view, error) from None
        return model, _prepend(first, words)

    async def credentials(self, view: View) -> dict[str, Any]:
        """Return a schemas.workspace.Credentials."""
        secret = await self._secret(names.credentials(view.name))
        if (
            secret is None
            or annotations(secret).get(names.OWNER_UID_ANNOTATION) != view.document["uid"]
        ):
            raise ProblemError(
                409,
                "not-provisioned",
                f"Workspace {view.name!r} has no credentials yet. Wait until it is provisioned.",
            )
        admin = await self._platform_admin(view) or _generated_admin(view, secret)
        return {"url": view.document["status"].get("url")} | {
            key: base64.b64decode(value).decode(errors="replace") for key, value in admin.items()
        }

    async def _platform_admin(self, view: View) -> dict[str, str] | None:
        """Return the first administrator that the platform team set for the workspace, if any."""
        obj = self.cluster.resource(view)
        if obj is None:
            return None
        workspace = Workspace.parse(obj)
        for reference in secret_references.references(workspace):
            if reference.purpose == ADMIN:
                secret = await self._secret(reference.secret)
                admin, _ = secret_references.read(workspace, reference, secret)
                return dict(admin.data) if admin else None
        return None

    async def _secret(self, name: str) -> Json | None:
        try:
            return await self.client.get(_SECRET, name, names.SYSTEM_NAMESPACE)
        except errors.NotFoundError:
            return None


def _generated_admin(view: View, secret: Json) -> dict[str, str]:
    """Return the generated administrator. Raises ProblemError (409) for an incomplete Secret."""
    data = secret.get("data") or {}
    if data.get(_EMAIL) and data.get(_PASSWORD):
        return {"email": data[_EMAIL], "password": data[_PASSWORD]}
    raise ProblemError(
        409,
        "credentials-incomplete",
        f"Secret {names.SYSTEM_NAMESPACE}/{names.credentials(view.name)} lacks {_EMAIL} or "
        f"{_PASSWORD}. GET /api/v1/workspaces/{view.name}/diagnosis says what to do.",
    )


def _canonical_name(model: str) -> str:
    """Return the name as the server lists it. Raises ProblemError (422)."""
    try:
        return str(parse_model(model))
    except InvalidModelNameError as error:
        raise problems.invalid([problems.FieldError("model", str(error))]) from None


async def _close_after(
    stack: AsyncExitStack, chunks: AsyncIterator[bytes]
) -> AsyncGenerator[bytes, None]:
    async with stack:
        async for chunk in chunks:
            yield chunk


async def _prepend(first: str, words: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(words):
        yield first
        async for word in words:
            yield word


def _moment(event: Json) -> tuple[datetime, int]:
    """Return what to sort by: some events have microseconds and others whole seconds, in which the
    version tells what came first."""
    return datetime.fromisoformat(_time(event)), resource_version(event)


def _time(event: Json) -> str:
    """Return when an event was last observed, old or new style."""
    times = (
        (event.get("series") or {}).get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event["metadata"]["creationTimestamp"],
    )
    return str(next(time for time in times if time))


def _event_document(event: Json) -> dict[str, Any]:
    """Return a schemas.workspace.EventDocument of an event, old or new style."""
    series = event.get("series") or {}
    involved = event.get("involvedObject") or {}
    return {
        "time": _time(event),
        "type": event.get("type") or "Normal",
        "reason": event.get("reason") or "",
        "message": event.get("message") or "",
        "object": f"{involved.get('kind', '')} {involved.get('name', '')}".strip(),
        "count": series.get("count") or event.get("count") or 1,
    }


def _log_problem(view: View, workload: Workload, error: errors.ApiError) -> ProblemError:
    if error.status in (400, 404):
        message = error.message or "it has none"
        return ProblemError(
            409, "no-log", f"{workload} of {view.name!r} has no such log: {message}"
        )
    return problems.from_cluster(error)


def model_server_problem(view: View, error: OllamaError) -> ProblemError:
    if isinstance(error, OllamaUnreachableError):
        return problems.unavailable(
            f"The model server of {view.name!r} does not answer ({error}). "
            f"GET /api/v1/workspaces/{view.name}/diagnosis says why."
        )
    return ProblemError(502, "model-error", f"The model server refuses: {error}")
