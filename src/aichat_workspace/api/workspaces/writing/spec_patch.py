"""The JSON patch that replaces a workspace's spec and adds the change to its record."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.web.requests.request_ids import request_id
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.history import changes, record
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.kube.objects import Json


def operations(
    cluster: ClusterView, caller: Caller, current: View, spec: dict[str, Any], now: datetime
) -> list[Json]:
    """Return the JSON patch that replaces the spec and adds the change to the record."""
    document = current.document
    change = changes.change(document["spec"], spec, partial(_models_of, cluster))
    recorded = (
        record.operations(
            current.annotations, record.entry(change, caller.username, now, request_id())
        )
        if change
        else ()
    )
    return [
        {"op": "test", "path": "/metadata/uid", "value": document["uid"]},
        {"op": "test", "path": "/metadata/generation", "value": document["generation"]},
        *recorded,
        {"op": "replace", "path": "/spec", "value": spec},
    ]


def has_same_base(first: View, second: View) -> bool:
    """Return whether a patch that was computed from one state is as good for the other."""
    return first.document["generation"] == second.document["generation"] and bool(
        first.annotations
    ) == bool(second.annotations)


def _models_of(cluster: ClusterView, spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the models of a stored spec: its own where those of its class are missing or not
    known, as the record of a change must not prevent it."""
    try:
        return cluster.models_of(spec) or ()
    except ProblemError:
        return tuple(spec.get("models") or ())
