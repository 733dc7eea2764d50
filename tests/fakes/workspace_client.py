"""The Kubernetes client, as far as the API's workspaces need it, with one scenario at a time."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.errors import AlreadyExistsError, InvalidError, NotFoundError
from tests.fakes.listing import take_list
from tests.fakes.reviews import FakeReviews, Object


@dataclass
class FakeWorkspaceClient(FakeReviews):
    """Carries out changes, and reports each to the cluster view's watch at once."""

    cluster: ClusterView | None = None
    """The view that watches; None where nothing is read."""
    stored: Object = field(default_factory=dict)
    """What a read of any resource returns."""
    listed: list[Object] = field(default_factory=list)
    """What a list returns."""
    error: Exception | None = None
    """Raised by every change after it was carried out."""
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

    async def get(self, *arguments: Any) -> Any:
        if arguments[:1] == (kinds.PLATFORM,):
            return self._platform()
        return self.stored

    def _platform(self) -> Object:
        assert self.cluster is not None
        platform = self.cluster._platform.get("", PLATFORM_NAME)
        if platform is None:
            raise NotFoundError(404, "NotFound", "it is not there")
        return platform

    def _patch_platform(self, operations: Sequence[Any], *, dry_run: bool) -> Object:
        """Carry out operations on its annotations, as the API server does; a test that fails is
        422."""
        platform = self._platform()
        metadata = platform["metadata"]
        marks: Object = {**(metadata.get("annotations") or {})}
        for operation in operations:
            _, _, _, *member = operation["path"].split("/")
            name = member[0].replace("~1", "/") if member else ""
            if operation["op"] == "test":
                current = marks.get(name) if name else marks or None
                if current != operation["value"]:
                    raise InvalidError(422, "Invalid", "the test failed")
            elif operation["op"] == "remove":
                del marks[name]
            else:
                marks = {**marks, name: operation["value"]} if name else operation["value"]
        version = str(int(metadata["resourceVersion"]) + 1)
        changed = {**metadata, "annotations": marks, "resourceVersion": version}
        written = {**platform, "metadata": changed}
        if not dry_run and self.cluster is not None:
            take_list(self.cluster._platform._store, [written], int(version))
        return written

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
        assert field_manager == "aichat-workspace-api"
        if resource == kinds.PLATFORM:
            return self._patch_platform(operations, dry_run=dry_run)
        assert resource == kinds.WORKSPACE
        current = self.cluster and self.cluster.workspaces.get(namespace or "", name)
        assert current
        self.patches.append([*operations])
        spec, metadata = current["spec"], {**current["metadata"]}
        changed: Object = {}
        for operation in operations:
            _, part, *member = operation["path"].split("/")
            if member[:1] == ["annotations"] and len(member) == 2:
                mark = {member[1].replace("~1", "/"): operation["value"]}
                metadata["annotations"] = {**metadata["annotations"], **mark}
                changed["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
            elif part == "spec":
                spec = operation["value"]
        if spec != current["spec"]:
            changed["generation"] = metadata["generation"] + 1
            changed["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        written = {**current, "spec": spec, "metadata": {**metadata, **changed}}
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

    def _raise_error(self) -> None:
        if self.error:
            raise self.error
