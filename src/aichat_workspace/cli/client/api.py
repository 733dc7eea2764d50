"""The API's client: requests, answers and streams."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aichat_workspace.cli.client import problems
from aichat_workspace.cli.client.events import Event, parse_events, split_lines
from aichat_workspace.cli.errors import usage_error
from aichat_workspace.cli.render.lines import plain
from aichat_workspace.foundation.error_text import error_text

if TYPE_CHECKING:
    import httpx2

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
EVENT_STREAM: Final = "text/event-stream"
_ROOT: Final = "/api/v1/"
WORKSPACES: Final = f"{_ROOT}workspaces"
_NAME: Final = re.compile(r"[^/:.\s\x00-\x1f\x7f-\x9f][^/:\s\x00-\x1f\x7f-\x9f]*")
_PAGE: Final = 500
_CONNECT_SECONDS: Final = 10.0
_REPLY_SECONDS: Final = 300.0  # a model may have to be loaded before its first word
Json = dict[str, Any]
Query = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A document and what its headers say of it."""

    status: int
    document: Json
    etag: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Api:
    """Sends requests as one caller.

    Every method raises CliError: with the API's own problem, or UNREACHABLE where none came back.
    """

    http: "httpx2.Client"

    @property
    def url(self) -> str:
        """The server's address."""
        return str(self.http.base_url).rstrip("/")

    def get(self, what: str, path: str, query: Query | None = None) -> Answer:
        """Read a document. `what` says what failed: `the list was not read`."""
        return self.send(what, "GET", path, query=query)

    def send(
        self,
        what: str,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Json | None = None,
        if_match: str | None = None,
    ) -> Answer:
        """Send a request with a document, and return the answer's."""
        import httpx2

        headers = {"If-Match": if_match} if if_match else {}
        if body is not None:
            headers["Content-Type"] = MERGE_PATCH if method == "PATCH" else JSON
        try:
            response = self.http.request(
                method,
                path,
                params=_parameters(query),
                content=json.dumps(body).encode() if body is not None else None,
                headers=headers,
            )
        except httpx2.TransportError as error:
            raise problems.unreachable(what, self.url, error_text(error)) from None
        return self._answer(what, response, path)

    def workspaces(self, query: Query | None = None) -> list[Json]:
        """Return all workspaces that the caller may see, page by page."""
        items: list[Json] = []
        page: str | None = None
        while True:
            paged = {**(query or {}), "limit": _PAGE, "page": page}
            answer = self.get("the workspaces were not listed", WORKSPACES, paged).document
            items += answer.get("items") or []
            page = answer.get("nextPage")
            if not page:
                return items

    def workspace(self, name: str, team: str | None = None, what: str = "") -> Answer:
        """Read a workspace."""
        return self.get(what or f"{name} was not read", workspace_path(name), {"team": team})

    def rights(self, team: str) -> set[str]:
        """Return what the caller may do in a team."""
        path = f"/api/v1/me/teams/{team}"
        return set(self.get(f"your rights in {team} were not read", path).document["verbs"])

    def events(
        self,
        what: str,
        path: str,
        *,
        query: Query | None = None,
        body: Json | None = None,
        last_id: str | None = None,
        silence_seconds: float = _REPLY_SECONDS,
    ) -> Iterator[Event]:
        """Open a stream of events, and yield them as they come.

        Silence for longer than `silence_seconds` is taken for a broken connection.
        """
        headers = {"Accept": EVENT_STREAM} | ({"Last-Event-ID": last_id} if last_id else {})
        with self._stream(
            what, path, query=query, body=body, headers=headers, seconds=silence_seconds
        ) as response:
            yield from parse_events(split_lines(response.iter_text()))

    def chunks(self, what: str, path: str, query: Query | None = None) -> Iterator[str]:
        """Open a stream of text, and yield its pieces as they come."""
        with self._stream(what, path, query=query, body=None, headers={}, seconds=None) as response:
            yield from response.iter_text()

    @contextmanager
    def _stream(
        self,
        what: str,
        path: str,
        *,
        query: Query | None,
        body: Json | None,
        headers: dict[str, str],
        seconds: float | None,
    ) -> "Iterator[httpx2.Response]":
        import httpx2

        method = "GET" if body is None else "POST"
        content = None if body is None else json.dumps(body).encode()
        if body is not None:
            headers["Content-Type"] = JSON
        request = self.http.build_request(
            method,
            path,
            params=_parameters(query),
            content=content,
            headers=headers,
            timeout=httpx2.Timeout(_CONNECT_SECONDS, read=seconds),
        )
        try:
            response = self.http.send(request, stream=True)
            try:
                if not response.is_success:
                    response.read()
                    self._answer(what, response, path)
                yield response
            finally:
                response.close()
        except (httpx2.TransportError, httpx2.StreamError) as error:
            raise problems.unreachable(what, self.url, error_text(error)) from None

    def _answer(self, what: str, response: "httpx2.Response", path: str) -> Answer:
        document = _document(response)
        if response.is_success and document is not None:
            etag = response.headers.get("ETag")
            return Answer(response.status_code, document, etag, response.headers)
        if document is None or "code" not in document:
            raise problems.not_an_api(what, response.status_code, self.url)
        raise problems.from_problem(what, response.status_code, document, *_names_in(path))


def workspace_path(name: str, rest: str = "") -> str:
    """Return the path of a workspace, and of what belongs to it. Raises CliError for a name that no
    workspace can have, and whose path would be another one's."""
    from urllib.parse import quote

    if not _NAME.fullmatch(name):
        raise usage_error(f"{plain(name)!r} is no name of a workspace", "aichatctl list")
    return f"{WORKSPACES}/{quote(name, safe='')}{rest}"


def team_path(team: str, rest: str = "") -> str:
    """Return the path of a team, and of what belongs to it."""
    from urllib.parse import quote

    return f"{_ROOT}teams/{quote(team, safe='')}{rest}"


def _names_in(path: str) -> tuple[str, str]:
    """Return the workspace and the team that a path is of; the one or the other is empty."""
    from urllib.parse import unquote

    collection, _, rest = path.removeprefix(_ROOT).partition("/")
    name = unquote(rest.partition("/")[0].partition(":")[0])
    return (name if collection == "workspaces" else "", name if collection == "teams" else "")


def _parameters(query: Query | None) -> dict[str, str]:
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in (query or {}).items()
        if value is not None
    }


def _document(response: "httpx2.Response") -> Json | None:
    try:
        document = json.loads(response.content)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
