"""The API as an ASGI application."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from aichat_workspace.api.auth.audit_log import AuditMiddleware
from aichat_workspace.api.dependencies import Services, admit
from aichat_workspace.api.metrics import Metrics, MetricsMiddleware
from aichat_workspace.api.openapi.document import add_components, serve_document
from aichat_workspace.api.routes import (
    backups,
    me,
    openai,
    platform,
    prompts,
    session,
    spec_lists,
    team_actions,
    teams,
    usage,
    workspace_actions,
    workspace_details,
    workspaces,
)
from aichat_workspace.api.web.limits.body_limits import BodyLimitMiddleware
from aichat_workspace.api.web.requests.client_address import client_address
from aichat_workspace.api.web.requests.disconnects import DisconnectMiddleware
from aichat_workspace.api.web.requests.head_requests import HeadMiddleware
from aichat_workspace.api.web.requests.own_site import OwnSiteMiddleware
from aichat_workspace.api.web.requests.request_ids import RequestIdMiddleware
from aichat_workspace.api.web.responses import error_handlers
from aichat_workspace.api.web.responses.compression import CompressionMiddleware
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.web.responses.response_cookies import ResponseCookiesMiddleware
from aichat_workspace.api.web.responses.security_headers import SecurityHeadersMiddleware
from aichat_workspace.console.api_client import ApiProblemError, Problem
from aichat_workspace.console.mount import mount as mount_console

_DESCRIPTION: Final = """\
Private AI chat workspaces on Kubernetes, without Kubernetes' own tools.

Kubernetes authenticates and authorizes every request: send a bearer token that the cluster accepts
for the audience `aichat-workspace-api`; each is allowed or refused as by the API server. Browsers
sign in at `/api/v1/session` with such a token, or with the identity provider, and get a cookie.
Errors are problem documents (RFC 9457) that say what to do; below `/v1/` of a workspace they have
the shape of OpenAI's API, for its clients. A method that a path does not take is
405, with `Allow`; HEAD is taken wherever GET is, streams excepted.
"""


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
    )
    app.state.services = services
    error_handlers.install(app)
    has_provider = services.provider is not None
    mount_console(app, has_provider=has_provider, hold=partial(_hold_page, services))
    app.router.routes.extend(_operations())
    add_components(app)
    serve_document(app)
    # Else the first request would, and others wait for a tenth of a second.
    deque(iter_route_contexts(app.routes), maxlen=0)

    app.add_middleware(DisconnectMiddleware)
    app.add_middleware(
        BodyLimitMiddleware, admit=admit, max_bytes=services.settings.bounds.body_bytes
    )
    settings = services.settings
    app.add_middleware(OwnSiteMiddleware, public_url=settings.public_url)
    app.add_middleware(ResponseCookiesMiddleware)
    app.add_middleware(error_handlers.ErrorMiddleware)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(SecurityHeadersMiddleware, https=settings.https)
    app.add_middleware(AuditMiddleware, address=partial(client_address, proxies=settings.proxies))
    app.add_middleware(MetricsMiddleware, metrics=metrics)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(RequestIdMiddleware, proxies=settings.proxies)
    return app


@cache
def _operations() -> list[APIRoute]:
    """Return the routes of all operations, each named as its function for generated clients.

    `include_router` would make each of them once more at an application's first request, which
    stops the event loop for a third of a second.
    """
    routers = (
        workspaces.router,
        workspace_actions.router,
        workspace_details.router,
        spec_lists.router,
        backups.router,
        prompts.router,
        openai.router,
        team_actions.router,
        me.router,
        teams.router,
        platform.router,
        usage.router,
        session.router,
    )
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    for route in routes:
        route.operation_id = route.name
    return routes


@contextmanager
def _hold_page(services: Services, username: str) -> Iterator[None]:
    """Count a page as one of the person's requests until it is sent, however slowly."""
    with ExitStack() as stack:
        try:
            stack.enter_context(services.requests.slot(username))
        except ProblemError as error:
            problem = Problem(error.status, error.code, error.detail, retry_after_seconds=5)
            raise ApiProblemError(problem) from error
        yield
