"""Simulate a fleet: an API server in memory with thousands of copies of one real resource.

It shows the operator's own cost with so many, in minutes and on any machine: nothing is stored, and
no controller works beside it. A write is merged into the object and sent to its watches, which is
all that an operator relies on.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import web

from benchmarks.comparison import standin

_NAME, _UID = "@name@", "@uid@@@@"
_UID_DIGITS: Final = len(_UID)
_VERSION: Final = 1_000_000  # of all objects; a write gets a later one
# What waits for a kind that is not installed watches its definition, which stays away.
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ROOT: Final = re.compile(r"(?P<root>/api/v1|/apis/[^/]+/[^/]+)/(?P<rest>.+)")

Json = dict[str, Any]
Place = tuple[str, str, str, str]
"""An object's place: the API's root, the plural, the namespace and the name."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One kind as the operator lists it.

    `copied` are the objects of the recorded resource, with placeholders; `others` exist once.
    """

    head: Mapping[str, str]
    copied: tuple[str, ...]
    others: tuple[Json, ...]


@dataclass(slots=True)
class Fleet:
    """The simulated objects: `listings` by path; `on_write` is called after each write."""

    listings: Mapping[str, Listing]
    names: tuple[str, ...]
    on_write: Callable[[str, Json], None] = lambda *_: None
    requested_at: float = 0.0  # the last request, in seconds since the epoch
    requests: int = 0
    writes: int = 0
    _version: int = _VERSION
    _changed: dict[Place, bytes] = field(default_factory=dict)
    _watchers: dict[str, list["asyncio.Queue[bytes]"]] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _templates: dict[Place, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = {name: number for number, name in enumerate(self.names)}
        for path, listing in self.listings.items():
            for template in listing.copied:
                self._templates[_place(path, orjson.loads(template)["metadata"])] = path, template

    @property
    def objects(self) -> int:
        """Return the number of objects in all listings."""
        return sum(
            len(listing.copied) * len(self.names) + len(listing.others)
            for listing in self.listings.values()
        )

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    def find(self, place: Place) -> tuple[str, Json] | None:
        """Return an object and the path of its listing, or None if no listing has it."""
        root, plural, namespace, name = place
        owner = next((owner for owner in _owners(namespace, name) if owner in self._numbers), None)
        if owner is None:
            return self._find_other(place)
        mask = (root, plural, namespace.replace(owner, _NAME), name.replace(owner, _NAME))
        if mask not in self._templates:
            return None
        path, template = self._templates[mask]
        return path, self._object(path, template, self._numbers[owner])

    def _find_other(self, place: Place) -> tuple[str, Json] | None:
        for path, listing in self.listings.items():
            for other in listing.others:
                if _place(path, other["metadata"]) == place:
                    return path, self._current(path, other)
        return None

    @property
    def plurals(self) -> list[str]:
        """Return the copied kinds."""
        return list(dict.fromkeys(plural for _, plural, _, _ in self._templates))

    def copies(self, plural: str, count: int) -> list[tuple[str, Json]]:
        """Return so many resources' objects of a kind, with the path of its listing."""
        path, template = next(
            listed for place, listed in self._templates.items() if place[1] == plural
        )
        return [
            (path, self._object(path, template, number))
            for number in range(min(count, len(self.names)))
        ]

    def place_of(self, path: str, body: Json) -> Place:
        """Return the place of an object of a listing."""
        return _place(path, body["metadata"])

    def put(self, path: str, place: Place, changed: Json) -> Json:
        """Replace an object, with a new version, and send it to its watches."""
        changed = self._versioned(changed)
        self._changed[place] = orjson.dumps(changed)  # a third of the memory of objects
        self._notify(path, "MODIFIED", changed)
        return changed

    def add(self, path: str, added: Json) -> None:
        """Add an object that no resource has, and send it to its watches."""
        created = self._versioned(added)
        listing = self.listings[path]
        self.listings = {
            **self.listings,
            path: Listing(listing.head, listing.copied, (*listing.others, created)),
        }
        self._notify(path, "ADDED", created)

    def remove(self, path: str, removed: Json) -> None:
        """Send an object's deletion to its watches. A write restores it."""
        self._notify(path, "DELETED", self._versioned(removed))

    def _versioned(self, changed: Json) -> Json:
        self._version += 1
        metadata = {**changed["metadata"], "resourceVersion": str(self._version)}
        return {**changed, "metadata": metadata}

    def _notify(self, path: str, kind: str, changed: Json) -> None:
        line = orjson.dumps({"type": kind, "object": changed}) + b"\n"
        for queue in self._watchers.get(path, ()):
            queue.put_nowait(line)

    def _object(self, path: str, template: str, number: int) -> Json:
        """Return the current object."""
        text = template.replace(_NAME, self.names[number]).replace(_UID, f"{number:08x}")
        return self._current(path, {**self.listings[path].head, **orjson.loads(text)})

    def _current(self, path: str, recorded: Json) -> Json:
        changed = self._changed.get(_place(path, recorded["metadata"]))
        return recorded if changed is None else dict(orjson.loads(changed))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        listing = self.listings.get(request.path)
        if "/proxy/" in request.path:
            reply = standin.REPLIES.get((request.method, request.path.partition("/proxy")[2]))
            return web.json_response(reply, status=404 if reply is None else 200)
        if "watch" in request.query and (listing is not None or request.path == _DEFINITIONS):
            return await self._watch(request)
        self.requests, self.requested_at = self.requests + 1, time.time()
        if request.method == "GET":
            if listing is None:
                return web.json_response({"kind": "Status", "code": 404}, status=404)
            return self._list(request.path, request.query)
        return await self._write(request)

    def _list(self, path: str, query: Mapping[str, str]) -> web.Response:
        """Return a page: the copies of one object for all resources, then of the next."""
        listing = self.listings[path]
        begin, limit = int(query.get("continue", 0)), int(query.get("limit", 500))
        total = len(listing.copied) * len(self.names)
        items = [
            self._object(path, listing.copied[index // len(self.names)], index % len(self.names))
            for index in range(begin, min(begin + limit, total))
        ]
        metadata = {"resourceVersion": str(self._version)}
        if begin + limit < total:
            metadata["continue"] = str(begin + limit)
        else:
            items += [self._current(path, other) for other in listing.others]
        body = {
            "apiVersion": listing.head["apiVersion"],
            "kind": f"{listing.head['kind']}List",
            "metadata": metadata,
            "items": items,
        }
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        queues = self._watchers.setdefault(request.path, [])
        queues.append(queue)
        try:
            async with asyncio.timeout(float(request.query.get("timeoutSeconds", 50))):
                while True:
                    await response.write(await queue.get())
        except TimeoutError:
            return response
        finally:
            queues.remove(queue)

    async def _write(self, request: web.Request) -> web.Response:
        self.writes += 1
        body = orjson.loads(await request.read())
        place = place_of(request.path, body)
        known = self.find(place)
        if request.method == "DELETE" or isinstance(body, list):
            return web.json_response(known[1] if known else {"kind": "Status"})
        if known is None:
            metadata = {"uid": "0", "resourceVersion": str(self._version), **body["metadata"]}
            return web.json_response({**body, "metadata": metadata})
        path, current = known
        merged = self.put(path, place, merge(_without_status(current, request.path), body))
        self.on_write(place[1], merged)
        return web.Response(body=orjson.dumps(merged), content_type="application/json")


def _without_status(current: Json, path: str) -> Json:
    """Return the object as a status is merged into it: its writer owns all of it, so that a field
    that it has no more is gone."""
    is_status = path.endswith("/status")
    return {key: value for key, value in current.items() if key != "status" or not is_status}


def place_of(path: str, body: Any) -> Place:
    """Return the place of a request's object; a POST has its name in the body.

    Raises:
        ValueError: the path is not of the Kubernetes API.
    """
    match = _ROOT.fullmatch(path)
    if match is None:
        raise ValueError(f"{path!r} is no path of the Kubernetes API")
    parts = match["rest"].split("/")
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        _, namespace, *parts = parts
    name = parts[1] if len(parts) > 1 else body["metadata"]["name"]
    return match["root"], parts[0], namespace, name


def _place(path: str, metadata: Json) -> Place:
    root, plural, *_ = place_of(path, {"metadata": metadata})
    return root, plural, metadata.get("namespace", ""), metadata["name"]


def _owners(namespace: str, name: str) -> Iterable[str]:
    """Return its possible owners: its namespace, itself, and the prefix of its name."""
    length = len("bench-0000")
    return namespace, name, name[:length]


def listing(text: str, name: str, uids: Iterable[str]) -> Listing:
    """Prepare a list from the API server for copies.

    `name` and `uids` are of the recorded resource and its objects.
    """
    page = orjson.loads(text)
    head = {"apiVersion": page["apiVersion"], "kind": page["kind"].removesuffix("List")}
    copied, others = [], []
    for item in page["items"]:
        template = orjson.dumps(item).decode()
        if name not in template:
            others.append({**head, **item})
            continue
        for uid in uids:
            template = template.replace(uid, _UID + uid[_UID_DIGITS:])
        copied.append(template.replace(name, _NAME))
    return Listing(head, tuple(copied), tuple(others))


def merge(current: Any, change: Any) -> Any:
    """Merge like a server-side apply of the whole change; lists are replaced."""
    if not (isinstance(current, dict) and isinstance(change, dict)):
        return change
    merged = {key: merge(current.get(key), value) for key, value in change.items()}
    return {**current, **merged}
