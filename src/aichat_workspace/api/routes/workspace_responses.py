"""Responses with a workspace, and how OpenAPI describes them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fastapi import Response

from aichat_workspace.api.schemas.workspace import (
    WorkspaceDocument,
)
from aichat_workspace.api.web.limits.body_limits import JSON
from aichat_workspace.api.workspaces.views import View

ETAG: Final = {
    "ETag": {
        "description": "For If-Match and If-None-Match; a dry run has none.",
        "schema": {"type": "string"},
    }
}
LOCATION: Final = {"Location": {"description": "Where to read it.", "schema": {"type": "string"}}}
_ADDRESS: Final = {
    "path.name": "$response.body#/name",
    "query.team": "$response.body#/team",
}
_LINKS: Final = {
    operation: {
        "operationId": operation,
        "parameters": _ADDRESS,
        "description": f"`name` and `team` of the answer are those of `{operation}`.",
    }
    for operation in (
        "read_workspace",
        "patch_workspace",
        "suspend_workspace",
        "resume_workspace",
        "restart_workspace",
        "back_up_workspace",
        "list_backups",
        "clone_workspace",
        "delete_workspace",
        "read_diagnosis",
        "list_events",
        "list_installed_models",
        "read_credentials",
        "invite_to_chat",
        "read_log",
        "ask",
    )
} | {
    "replace_workspace": {
        "operationId": "replace_workspace",
        "parameters": {**_ADDRESS, "header.if-match": "$response.header.ETag"},
        "description": "With `ETag` of the answer as If-Match, no change is lost.",
    }
}


def workspace_response(
    view: View, status: int = 200, *, dry_run: bool = False, **headers: str
) -> Response:
    """Return a workspace; without ETag for a dry run, whose state was never stored."""
    return Response(
        view.body, status, {} if dry_run else {"ETag": view.etag, **headers}, media_type=JSON
    )


def document_response(
    status: int,
    description: str,
    model: Any = WorkspaceDocument,
    headers: Mapping[str, Any] = MappingProxyType({}),
) -> dict[int | str, Any]:
    """Document a response for OpenAPI, with `more` headers."""
    links = {"links": _LINKS} if model is WorkspaceDocument else {}
    return {
        status: {
            "description": description,
            "model": model,
            "headers": {**ETAG, **headers},
            **links,
        }
    }


def location(view: View) -> str:
    return f"/api/v1/workspaces/{view.name}?team={view.team}"


def change_response(view: View, *, has_changed: bool, dry_run: bool) -> Response:
    """Return a workspace after a change: 202, or 200 where it was so already."""
    return workspace_response(view, 202 if has_changed else 200, dry_run=dry_run)
