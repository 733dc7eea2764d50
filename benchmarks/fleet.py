"""A fleet that is only simulated: an API server in memory that lists and watches thousands of
copies of what one real resource has become.

It shows what the operator itself costs with so many, in minutes and on any machine: nothing is
stored, and no controller works beside it. A write is merged into the object and seen by its watch,
which is all that an operator relies on.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import web

from benchmarks import standin

_NAME, _UID = "@name@", "@uid@@@@"
_UID_DIGITS: Final = len(_UID)
_VERSION: Final = 1_000_000  # of everything there is; what is written has a later one
_ROOT: Final = re.compile(r"(?P<root>/api/v1|/apis/[^/]+/[^/]+)/(?P<rest>.+)")

Json = dict[str, Any]
Place = tuple[str, str, str, str]
"""Of an object: the API's root, the plural, the namespace and the name."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One kind as the operator lists it. `copied` are the objects of the recorded resource, with
    placeholders; `others` are there once."""

    head: Mapping[str, str]
    copied: tuple[str, ...]
    others: tuple[Json, ...]


@dataclass(slots=True)
class Fleet:
    """`listings` are by path. `on_write` is told of each write, once it is taken in."""

    listings: Mapping[str, Listing]
    names: tuple[str, ...]
    on_write: Callable[[str, Json], None] = lambda *_: None
    asked_at: float = 0.0
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
        """How many the operator is to know of."""
        return sum(
            len(each.copied) * len(self.names) + len(each.others) for each in self.listings.values()
        )

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    def find(self, place: Place) -> tuple[str, Json] | None:
        """An object and the path of its listing; None where no listing has it."""
        root, plural, namespace, name = place
        owner = next((each for each in _owners(namespace, name) if each in self._numbers), None)
        if owner is None:
            return None
        mask = (root, plural, namespace.replace(owner, _NAME), name.replace(owner, _NAME))
        if mask not in self._templates:
            return None
        path, template = self._templates[mask]
        return path, self._object(path, template, self._numbers[owner])

    @property
    def plurals(self) -> list[str]:
        """The kinds that are copied."""
        return list(dict.fromkeys(plural for _, plural, _, _ in self._templates))

    def copies(self, plural: str, count: int) -> list[tuple[str, Json]]:
        """An object of that kind of each of so many resources, and the path of its listing."""
        found = next(each for place, each in self._templates.items() if place[1] == plural)
        path, template = found
        return [
            (path, self._object(path, template, number))
            for number in range(min(count, len(self.names)))
        ]

    def place_of(self, path: str, body: Json) -> Place:
        """Of an object of a listing."""
        return _place(path, body["metadata"])

    def put(self, path: str, place: Place, changed: Json) -> Json:
        """Replace an object, with a version of its own, and tell who watches."""
        changed = self._versioned(changed)
        self._changed[place] = orjson.dumps(changed)  # a third of what it takes as objects
        self._tell(path, "MODIFIED", changed)
        return changed

    def remove(self, path: str, removed: Json) -> None:
        """Tell who watches that an object is gone. It comes back when it is written."""
        self._tell(path, "DELETED", self._versioned(removed))

    def _versioned(self, changed: Json) -> Json:
        self._version += 1
        metadata = {**changed["metadata"], "resourceVersion": str(self._version)}
        return {**changed, "metadata": metadata}

    def _tell(self, path: str, kind: str, changed: Json) -> None:
        line = orjson.dumps({"type": kind, "object": changed}) + b"\n"
        for queue in self._watchers.get(path, ()):
            queue.put_nowait(line)

    def _object(self, path: str, template: str, number: int) -> Json:
        """An object as it is now."""
        text = template.replace(_NAME, self.names[number]).replace(_UID, f"{number:08x}")
        copy: Json = {**self.listings[path].head, **orjson.loads(text)}
        changed = self._changed.get(_place(path, copy["metadata"]))
        return copy if changed is None else dict(orjson.loads(changed))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        listing = self.listings.get(request.path)
        if "/proxy/" in request.path:
            reply = standin.REPLIES.get((request.method, request.path.partition("/proxy")[2]))
            return web.json_response(reply, status=404 if reply is None else 200)
        if listing is not None and "watch" in request.query:
            return await self._watch(request)
        self.requests, self.asked_at = self.requests + 1, time.time()
        if request.method == "GET":
            if listing is None:
                return web.json_response({"kind": "Status", "code": 404}, status=404)
            return self._list(request.path, request.query)
        return await self._write(request)

    def _list(self, path: str, query: Mapping[str, str]) -> web.Response:
        """A page: copies of one object for so many resources, one after the other."""
        listing = self.listings[path]
        begin, limit = int(query.get("continue", 0)), int(query.get("limit", 500))
        total = len(listing.copied) * len(self.names)
        items = [
            self._object(path, listing.copied[at // len(self.names)], at % len(self.names))
            for at in range(begin, min(begin + limit, total))
        ]
        metadata = {"resourceVersion": str(self._version)}
        if begin + limit < total:
            metadata["continue"] = str(begin + limit)
        else:
            items += listing.others
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
        path, found = known
        merged = self.put(path, place, merge(found, body))
        self.on_write(place[1], merged)
        return web.Response(body=orjson.dumps(merged), content_type="application/json")


def place_of(path: str, body: Any) -> Place:
    """Of the object that a request is about; a POST says its name in the body."""
    found = _ROOT.fullmatch(path)
    if found is None:
        raise ValueError(f"{path!r} is no path of the Kubernetes API")
    parts = found["rest"].split("/")
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        _, namespace, *parts = parts
    name = parts[1] if len(parts) > 1 else body["metadata"]["name"]
    return found["root"], parts[0], namespace, name


def _place(path: str, metadata: Json) -> Place:
    root, plural, *_ = place_of(path, {"metadata": metadata})
    return root, plural, metadata.get("namespace", ""), metadata["name"]


def _owners(namespace: str, name: str) -> Iterable[str]:
    """Whose it may be: its namespace, itself, or what its own name begins with."""
    length = len("bench-0000")
    return namespace, name, name[:length]


def listing(text: str, name: str, uids: Iterable[str]) -> Listing:
    """A list as the API server gave it, prepared to be multiplied. `name` and `uids` are those of
    the recorded resource and its objects."""
    found = orjson.loads(text)
    head = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
    copied, others = [], []
    for item in found["items"]:
        template = orjson.dumps(item).decode()
        if name not in template:
            others.append({**head, **item})
            continue
        for uid in uids:
            template = template.replace(uid, _UID + uid[_UID_DIGITS:])
        copied.append(template.replace(name, _NAME))
    return Listing(head, tuple(copied), tuple(others))


def merge(found: Any, change: Any) -> Any:
    """As a server-side apply of everything that the change says; lists are values."""
    if not (isinstance(found, dict) and isinstance(change, dict)):
        return change
    merged = {key: merge(found.get(key), value) for key, value in change.items()}
    return {**found, **merged}
