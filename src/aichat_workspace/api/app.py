"""The API as an ASGI application."""

from typing import Any, Final

from fastapi import FastAPI, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics, MetricsMiddleware
from aichat_workspace.api.openapi.document import add_components, serve_document
from aichat_workspace.api.routes import health, me, platform, session, workspace_details, workspaces
from aichat_workspace.api.web import error_handlers
from aichat_workspace.api.web.body_limits import BodyLimitMiddleware
from aichat_workspace.api.web.head_requests import HeadMiddleware
from aichat_workspace.console.mount import mount as mount_console

_DESCRIPTION: Final = """\
Private AI chat workspaces on Kubernetes, without Kubernetes' own tools.

Kubernetes authenticates and authorizes every request: send a bearer token that the cluster accepts
for the audience `aichat-workspace-api`; each is allowed or refused as by the API server. Browsers
sign in at `/api/v1/session` with such a token, or with the identity provider, and get a cookie.
Errors are problem documents (RFC 9457) that say what to do. A method that a path does not take is
405, with `Allow`; HEAD is taken wherever GET is, streams excepted.
"""
# https://owasp.org/www-project-secure-headers/
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
# A shared cache does not know whose cookie it is.
_PRIVATE: Final = (b"cache-control", b"private, no-cache")


def build(services: Services, metrics: Metrics) -> FastAPI:
    """Assemble the application: routes, error handlers and middleware."""
    app = FastAPI(
        title="AIChat Workspace API",
        version=services.settings.version,
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url=None,  # it would be serialized for each request; serve_document keeps its bytes
        docs_url=None,  # its page would load scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.services = services
    error_handlers.install(app)
    mount_console(app, has_provider=services.provider is not None)
    app.include_router(workspaces.router)
    app.include_router(workspace_details.router)
    app.include_router(me.router)
    app.include_router(platform.router)
    app.include_router(session.router)
    app.include_router(health.router)
    add_components(app)
    serve_document(app)

    @app.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        body, content_type = metrics.render()
        return Response(body, headers={"Content-Type": content_type})

    app.add_middleware(error_handlers.ErrorMiddleware)
    app.add_middleware(
        BodyLimitMiddleware,
        max_bytes=services.settings.bounds.body_bytes,
        max_total_bytes=services.settings.bounds.all_bodies_bytes,
    )
    app.add_middleware(_HeadersMiddleware)
    app.add_middleware(MetricsMiddleware, metrics=metrics)
    app.add_middleware(HeadMiddleware)
    return app


def _operation_id(route: APIRoute) -> str:
    """Return the function's name; generated clients use it for their methods."""
    return route.name


class _HeadersMiddleware:
    """ASGI middleware: adds security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if all(name.lower() != b"cache-control" for name, _ in headers):
                    headers.append(_PRIVATE)
                message["headers"] = [*headers, *_HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers)
