"""The Kubernetes client, as far as the API's workspaces need it, with one scenario at a time."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import AlreadyExistsError

Object = dict[str, Any]


@dataclass
class FakeWorkspaceClient(Client):
    """Carries out changes, and reports each to the cluster view's watch at once.

    A token is its caller's name.
    """

    cluster: ClusterView | None = None
    """The view that watches; None where nothing is read."""
    stored: Object = field(default_factory=dict)
    """What a read of any resource returns."""
    listed: list[Object] = field(default_factory=list)
    """What a list returns."""
    allows: Callable[[Object], bool] = lambda _: True
    """Decides reviews by their resource attributes."""
    token_status: Object = field(default_factory=dict)
    """What a review of any token says."""
    error: Exception | None = None
    """Raised by every change after it was carried out."""
    reviews: list[Object] = field(default_factory=list)
    """The resource attributes of all reviews."""
    page_sizes: list[int] = field(default_factory=list)
    """The page sizes of all lists."""
    deleted: list[str] = field(default_factory=list)
    """Name and namespace of all deleted resources."""
    delete_options: list[Object] = field(default_factory=list)
    """The options of all deletions, dry runs among them."""
    patches: list[list[Object]] = field(default_factory=list)
    """The operations of all patches, dry runs among them."""
    _created: Object | None = None
    _events: Sequence[Object] = ()
    _error_after_create: Exception | None = None

    def creates(
        self, obj: Object, *, events: Sequence[Object] = (), error: Exception | None = None
    ) -> None:
        """Answer a create with this object, after the watch has reported the events.

        `error` is raised by changes after the create. Without this call a create conflicts.
        """
        self._created, self._events, self._error_after_create = obj, events, error

    def watch_event(self, obj: Object) -> None:
        """Report an added or changed resource."""
        assert self.cluster is not None
        self.cluster.workspaces._store.put(obj)

    async def list_pages(self, *_: Any, page_size: int = 500, **__: Any) -> AsyncIterator[Any]:
        self.page_sizes.append(page_size)
        yield {"metadata": {"resourceVersion": "20"}, "items": self.listed[:page_size]}

    async def create(self, *_: Any, **__: Any) -> Any:
        for obj in self._events:
            self.watch_event(obj)
        self._raise_error()
        if self._created is None:
            raise AlreadyExistsError(409, "AlreadyExists", "it is there")
        self.error = self._error_after_create
        return self._created

    async def get(self, *_: Any) -> Any:
        return self.stored

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        operations: Sequence[Any],
        *,
        field_manager: str,
        dry_run: bool = False,
    ) -> Any:
        assert (resource.kind, field_manager) == ("AIChatWorkspace", "aichat-workspace-api")
        current = self.cluster and self.cluster.workspaces.get(namespace or "", name)
        assert current
        self.patches.append([*operations])
        spec, metadata = operations[-1]["value"], {**current["metadata"]}
        for operation in operations:
            if operation["path"] == "/metadata/annotations/apps.aichatworkspaces.io~1history":
                mark = {"apps.aichatworkspaces.io/history": operation["value"]}
                metadata["annotations"] = {**metadata["annotations"], **mark}
        changed = {} if spec == current["spec"] else {"generation": metadata["generation"] + 1}
        version = {"resourceVersion": str(int(metadata["resourceVersion"]) + len(changed))}
        written = {**current, "spec": spec, "metadata": {**metadata, **changed, **version}}
        if not dry_run:
            self.watch_event(written)
        self._raise_error()
        return written

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, **options: Any
    ) -> None:
        assert resource.kind == "AIChatWorkspace"
        self.delete_options.append(options)
        if not options.get("dry_run"):
            self.deleted.append(f"{name}/{namespace}")
            current = self.cluster and self.cluster.workspaces.get(namespace or "", name)
            if self.cluster and current:
                self.cluster.workspaces._store.remove(current)
        self._raise_error()

    async def review(self, _: str, body: Object) -> Any:
        if body["kind"] == "TokenReview":
            user = {"username": body["spec"]["token"], "uid": "1"}
            audiences = body["spec"]["audiences"]
            known = {"authenticated": True, "audiences": audiences, "user": user}
            return {"status": self.token_status or known}
        attributes = body["spec"]["resourceAttributes"]
        self.reviews.append(attributes)
        return {"status": {"allowed": self.allows(attributes)}}

    def _raise_error(self) -> None:
        if self.error:
            raise self.error
