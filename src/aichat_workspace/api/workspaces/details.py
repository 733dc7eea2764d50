"""Service for the details of one workspace: events, history and credentials.

Answers that no watch provides are cached for some seconds, so many callers cause few requests.
"""

import base64
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from aichat_workspace.api.schemas.history import History
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.history.reading import history
from aichat_workspace.api.workspaces.tenant_namespace import require_namespace
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.policy import secret_references
from aichat_workspace.domain.policy.secret_references import ADMIN
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.foundation.metadata import annotations
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube import errors
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.objects import Json, resource_version, uid

_EVENTS: Final = Resource("", "v1", "Event", "events")
_SECRET: Final = kinds.SECRET
_WORKSPACE: Final = kinds.WORKSPACE
_EMAIL: Final = "WEBUI_ADMIN_EMAIL"
_PASSWORD: Final = "WEBUI_ADMIN_PASSWORD"  # noqa: S105  (its key in the Secret)
_MAX_EVENTS: Final = 200
_MAX_EVENTS_READ: Final = 2_000  # they are not sorted by time, so more are read than returned
_ANSWER_TTL_SECONDS: Final = 2.0
_MAX_ANSWERS: Final = 50  # 200 events each: some ten megabytes

Documents = list[dict[str, Any]]


def _new_cache() -> TtlCache[str, Documents]:
    return TtlCache(_ANSWER_TTL_SECONDS, _MAX_ANSWERS)


def _new_history_cache() -> TtlCache[tuple[str, int], History]:
    return TtlCache(_ANSWER_TTL_SECONDS, _MAX_ANSWERS)


@dataclass(frozen=True, slots=True)
class WorkspaceDetails:
    """Reads the details of workspaces."""

    client: Client
    cluster: ClusterView
    _events_cache: TtlCache[str, Documents] = field(default_factory=_new_cache)
    _history_cache: TtlCache[tuple[str, int], History] = field(default_factory=_new_history_cache)

    async def events(self, view: View) -> Documents:
        """Return the events of the resource and its namespace, the newest first.

        They are as of two seconds ago at most.
        """
        return await self._events_cache.get(view.document["uid"], lambda: self._read_events(view))

    async def _read_events(self, view: View) -> Documents:
        of_resource = f"involvedObject.uid={view.document['uid']}"
        events = await self._events(view.team, of_resource)
        with suppress(ProblemError):  # without a namespace there are no other events
            events += await self._events(require_namespace(self.cluster, view))
        newest = sorted(events, key=_moment, reverse=True)[:_MAX_EVENTS]
        return [_event_document(event) for event in newest]

    async def history(self, view: View) -> History:
        """Return who changed the workspace, the newest first. Raises ProblemError (404).

        Caches drop managedFields, so the resource is read, once for each of its versions.
        """
        cache_key = (str(view.document["uid"]), view.version)
        return await self._history_cache.get(cache_key, lambda: self._read_history(view))

    async def _read_history(self, view: View) -> History:
        try:
            obj = await self.client.get(_WORKSPACE, view.resource, view.team)
        except errors.NotFoundError:
            raise problems.not_found(view.name) from None
        if uid(obj) != view.document["uid"]:
            raise problems.not_found(view.name)
        return History(items=tuple(history(obj)))

    async def _events(self, namespace: str, field_selector: str = "") -> list[Json]:
        events: list[Json] = []
        pages = self.client.list_pages(_EVENTS, namespace, field_selector=field_selector)
        async for page in pages:
            events += page["items"]
            if len(events) >= _MAX_EVENTS_READ:
                break
        return events

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
