"""What a workspace has become: its pods' logs, its events, its model server, its credentials.

All of it is in the tenant's namespace, where the API's account may look but its callers need not be
known. So it looks only into a namespace that is the workspace's, by the recorded UID: a resource
that merely names a foreign namespace shows nobody anything.

What is not known from a watch is asked for once in a while for each workspace, however many want to
know: one caller's request must not become many of ours.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
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
from aichat_workspace.domain.models.name import InvalidModelNameError, parse_model
from aichat_workspace.domain.policy import secret_references
from aichat_workspace.domain.policy.secret_references import ADMIN
from aichat_workspace.domain.render.context import OLLAMA, OPENWEBUI
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube import errors
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.objects import Json, annotations
from aichat_workspace.ollama.errors import ModelNotFoundError, OllamaError, OllamaUnreachableError
from aichat_workspace.runtime.servers import Connect

_EVENTS: Final = Resource("", "v1", "Event", "events")
_POD: Final = kinds.POD
_SECRET: Final = kinds.SECRET
_EMAIL: Final = "WEBUI_ADMIN_EMAIL"
_PASSWORD: Final = "WEBUI_ADMIN_PASSWORD"  # noqa: S105  (its key in the Secret)
_MOST_EVENTS: Final = 200
_EVENTS_READ: Final = 2_000  # they come in no order of time, so more are read than shown
FOLLOW_IDLE_SECONDS: Final = 3_600.0
_READ_IDLE_SECONDS: Final = 30.0
_FRESH_SECONDS: Final = 2.0
_MOST_ANSWERS: Final = 50  # 200 events each: some ten megabytes
_MODELS_SECONDS: Final = 25.0


Documents = list[dict[str, Any]]


def _shared() -> TtlCache[Any, Any]:
    return TtlCache(_FRESH_SECONDS, _MOST_ANSWERS)


class Workload(StrEnum):
    OLLAMA = OLLAMA
    OPENWEBUI = OPENWEBUI


@dataclass(frozen=True, slots=True)
class WorkspaceDetails:
    client: Client
    directory: ClusterView
    connect: Connect
    _events_of: TtlCache[str, Documents] = field(default_factory=_shared)
    _models_of: TtlCache[str, Documents] = field(default_factory=_shared)
    _pods_of: TtlCache[tuple[str, Workload], str] = field(default_factory=_shared)

    def namespace(self, view: View) -> str:
        """The workspace's namespace. Raises ProblemError (409) while it has none."""
        recorded = view.document["status"].get("namespace") or {}
        found = self.directory.namespace(view.name)
        if (
            found is None
            or found["metadata"]["uid"] != recorded.get("uid")
            or annotations(found).get(names.OWNER_UID_ANNOTATION) != view.document["uid"]
        ):
            raise ProblemError(
                409,
                "not-provisioned",
                f"Workspace {view.name!r} has no namespace yet, so there is nothing to look at. "
                f"GET /api/v1/workspaces/{view.name}/diagnosis says why.",
            )
        return view.name

    async def logs(
        self, view: View, workload: Workload, wish: LogQuery
    ) -> AsyncGenerator[bytes, None]:
        """A workload's log, opened: what it has to say comes after. Raises ProblemError (409) when
        there is no pod."""
        namespace = self.namespace(view)
        asked = (str(view.document["uid"]), workload)
        pod = await self._pods_of.get(asked, lambda: self._pod(view, namespace, workload))
        stack = AsyncExitStack()
        opened = await stack.enter_async_context(
            self.client.stream(
                "GET",
                _POD.path(namespace, pod, "log"),
                counted_as="pods/log",
                query=wish.parameters(str(workload)),
                idle_seconds=FOLLOW_IDLE_SECONDS if wish.follow else _READ_IDLE_SECONDS,
            )
        )
        if opened.status != 200:
            async with stack:
                body = b"".join([chunk async for chunk in opened.chunks])
            raise _no_log(view, workload, errors.from_response(opened.status, body))
        return _until_read(stack, opened.chunks)

    async def _pod(self, view: View, namespace: str, workload: Workload) -> str:
        selector = f"{names.MANAGED_SELECTOR},{names.COMPONENT_LABEL}={workload}"
        found: list[Json] = []
        async for page in self.client.list_pages(_POD, namespace, label_selector=selector):
            found += page["items"]
        if not found:
            raise ProblemError(
                409,
                "not-running",
                f"{workload} of workspace {view.name!r} has no pod now: it is suspended or still "
                f"coming up. GET /api/v1/workspaces/{view.name}/diagnosis says which.",
            )
        newest = max(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))
        return str(newest["metadata"]["name"])

    async def events(self, view: View) -> Documents:
        """What happened to the resource and in its namespace, the newest first; as of two seconds
        ago at most."""
        return await self._events_of.get(view.document["uid"], lambda: self._read_events(view))

    async def _read_events(self, view: View) -> Documents:
        of_resource = f"involvedObject.uid={view.document['uid']}"
        found = await self._events(view.team, of_resource)
        with suppress(ProblemError):  # without a namespace there is nothing more to tell
            found += await self._events(self.namespace(view))
        told = [_event(each) for each in found]
        return sorted(told, key=lambda each: str(each["time"]), reverse=True)[:_MOST_EVENTS]

    async def _events(self, namespace: str, field_selector: str = "") -> list[Json]:
        found: list[Json] = []
        pages = self.client.list_pages(_EVENTS, namespace, field_selector=field_selector)
        async for page in pages:
            found += page["items"]
            if len(found) >= _EVENTS_READ:
                break
        return found

    async def models(self, view: View) -> Documents:
        """What the workspace's server has, or had two seconds ago at most. Raises ProblemError: 409
        while there is none, 503 when it does not answer."""
        self.namespace(view)
        return await self._models_of.get(view.document["uid"], lambda: self._read_models(view))

    async def _read_models(self, view: View) -> Documents:
        status = view.document["status"]
        ours = {each["name"]: "model" for each in status.get("models", ())}
        ours |= {f"{each['name']}:latest": "pattern" for each in status.get("patterns", ())}
        server = self.connect(self.namespace(view))
        try:
            async with asyncio.timeout(_MODELS_SECONDS):
                listed = await server.models()
        except TimeoutError:  # it drips: it is never silent for long, and never done
            raise no_answer(view, OllamaUnreachableError("it takes too long")) from None
        except OllamaError as error:
            raise no_answer(view, error) from None
        return [
            {
                "name": each.name,
                "sizeBytes": each.size_bytes,
                "origin": ours.get(each.name, "person"),
            }
            for each in sorted(listed, key=lambda each: each.name)
        ]

    async def ask(self, view: View, asked: Prompt) -> tuple[str, AsyncGenerator[str, None]]:
        """The model that answers, and its reply piece by piece; the first piece is there already,
        so that what is wrong is known before anything is answered."""
        chosen = asked.model or next(iter(view.document["spec"].get("models", ())), None)
        if chosen is None:
            error = problems.FieldError("model", "the workspace has no model; name one, or add one")
            raise problems.invalid([error])
        if view.document["spec"].get("suspended"):
            raise ProblemError(
                409,
                "suspended",
                f"Workspace {view.name!r} is suspended, so nobody answers. Resume it first.",
            )
        server = self.connect(self.namespace(view))
        options = {
            name: value
            for name, value in (("temperature", asked.temperature), ("seed", asked.seed))
            if value is not None
        }
        words = server.chat(_listed(chosen), asked.prompt, system=asked.system, options=options)
        try:
            first = await anext(words, "")
        except ModelNotFoundError as error:
            detail = f"{error}; GET /api/v1/workspaces/{view.name}/models lists those it has"
            raise problems.invalid([problems.FieldError("model", detail)]) from None
        except OllamaError as error:
            raise no_answer(view, error) from None
        return chosen, _with(first, words)

    async def credentials(self, view: View) -> dict[str, Any]:
        """A schemas.Credentials."""
        secret = await self._secret(names.credentials(view.name))
        if (
            secret is None
            or annotations(secret).get(names.OWNER_UID_ANNOTATION) != (view.document["uid"])
        ):
            raise ProblemError(
                409,
                "not-provisioned",
                f"Workspace {view.name!r} has no credentials yet. Wait until it is provisioned.",
            )
        given = await self._given_admin(view) or _generated_admin(view, secret)
        return {"url": view.document["status"].get("url")} | {
            key: base64.b64decode(each).decode(errors="replace") for key, each in given.items()
        }

    async def _given_admin(self, view: View) -> dict[str, str] | None:
        """The first administrator that the platform team has given, if it is this workspace's."""
        obj = self.directory.object(view)
        if obj is None:
            return None
        workspace = Workspace.parse(obj)
        for each in secret_references.references(workspace):
            if each.purpose == ADMIN:
                secret = await self._secret(each.secret)
                found, _ = secret_references.read(workspace, each, secret)
                return dict(found.data) if found else None
        return None

    async def _secret(self, name: str) -> Json | None:
        try:
            return await self.client.get(_SECRET, name, names.SYSTEM_NAMESPACE)
        except errors.NotFoundError:
            return None


def _generated_admin(view: View, secret: Json) -> dict[str, str]:
    """Raises ProblemError (409) for a Secret that somebody has damaged."""
    data = secret.get("data") or {}
    if data.get(_EMAIL) and data.get(_PASSWORD):
        return {"email": data[_EMAIL], "password": data[_PASSWORD]}
    raise ProblemError(
        409,
        "credentials-incomplete",
        f"Secret {names.SYSTEM_NAMESPACE}/{names.credentials(view.name)} lacks {_EMAIL} or "
        f"{_PASSWORD}. GET /api/v1/workspaces/{view.name}/diagnosis says what to do.",
    )


def _listed(model: str) -> str:
    """As the server lists it. Raises ProblemError (422)."""
    try:
        return str(parse_model(model))
    except InvalidModelNameError as error:
        raise problems.invalid([problems.FieldError("model", str(error))]) from None


async def _until_read(
    stack: AsyncExitStack, chunks: AsyncIterator[bytes]
) -> AsyncGenerator[bytes, None]:
    async with stack:
        async for chunk in chunks:
            yield chunk


async def _with(first: str, words: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(words):
        yield first
        async for each in words:
            yield each


def _event(found: Json) -> dict[str, Any]:
    """A schemas.EventDocument of an event, old or new style."""
    series = found.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        found.get("lastTimestamp"),
        found.get("eventTime"),
        found["metadata"]["creationTimestamp"],
    )
    about = found.get("involvedObject") or {}
    return {
        "time": next(each for each in times if each),
        "type": found.get("type") or "Normal",
        "reason": found.get("reason") or "",
        "message": found.get("message") or "",
        "object": f"{about.get('kind', '')} {about.get('name', '')}".strip(),
        "count": series.get("count") or found.get("count") or 1,
    }


def _no_log(view: View, workload: Workload, error: errors.ApiError) -> ProblemError:
    if error.status in (400, 404):
        told = error.message or "it has none"
        return ProblemError(409, "no-log", f"{workload} of {view.name!r} has no such log: {told}")
    return problems.from_cluster(error)


def no_answer(view: View, error: OllamaError) -> ProblemError:
    if isinstance(error, OllamaUnreachableError):
        return problems.unavailable(
            f"The model server of {view.name!r} does not answer ({error}). "
            f"GET /api/v1/workspaces/{view.name}/diagnosis says why."
        )
    return ProblemError(502, "model-error", f"The model server refuses: {error}")
