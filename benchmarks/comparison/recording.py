"""Record an operator's writes for one resource, and replay them for others."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from aichat_workspace.foundation.resource import Resource
from benchmarks.comparison.audit_log import Event, is_write

_APPLY, _JSON_PATCH = "apply", "json-patch"


@dataclass(frozen=True, slots=True)
class Write:
    """One write.

    `verb` is create, apply, json-patch, update or delete. `created_uid` is the UID of the object
    that it created, or empty.
    """

    verb: str
    group: str
    version: str
    plural: str
    name: str
    namespace: str
    subresource: str
    body: Any
    created_uid: str

    @property
    def resource(self) -> Resource:
        return Resource(self.group, self.version, "", self.plural, namespaced=bool(self.namespace))

    @property
    def target(self) -> tuple[str, str, str]:
        return (self.plural, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Recording:
    """The writes for the resource `name` with the UID `uid`, in order."""

    name: str
    uid: str
    writes: tuple[Write, ...]

    @property
    def children(self) -> tuple[Write, ...]:
        """Return the last write of each created object, without the resource itself and events."""
        created = {write.target for write in self.writes if write.created_uid}
        last = {write.target: write for write in self.writes if write.target in created}
        return tuple(write for write in last.values() if write.plural != "events")

    def save(self, path: Path) -> None:
        path.write_bytes(orjson.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Self:
        record = orjson.loads(path.read_bytes())
        writes = tuple(Write(**write) for write in record.pop("writes"))
        return cls(**record, writes=writes)


def record(events: Iterable[Event], name: str, uid: str) -> Recording:
    """Return a user's writes about `name`, from audit events with bodies.

    Rejected writes are left out, and writes that do not mention the name, such as an operator's own
    session key.
    """
    seen = {uid}
    writes = []
    for event in events:
        if not is_write(event) or event["responseStatus"].get("code", 0) >= 400:
            continue
        if name in event["requestURI"] or name.encode() in orjson.dumps(event.get("requestObject")):
            writes.append(_write(event, seen))
    return Recording(name, uid, tuple(writes))


def _write(event: Event, seen: set[str]) -> Write:
    reference, body = event["objectRef"], event.get("requestObject")
    reply = event.get("responseObject") or {}
    uid = reply.get("metadata", {}).get("uid", "") if event["verb"] != "delete" else ""
    created_uid = uid if uid and uid not in seen else ""
    seen.add(uid)
    is_namespace = reference["resource"] == "namespaces"
    return Write(
        verb=_verb(event["verb"], body),
        group=reference.get("apiGroup", ""),
        version=reference["apiVersion"],
        plural=reference["resource"],
        name=reference.get("name") or reply["metadata"]["name"],
        # an audit event puts a namespace into itself
        namespace="" if is_namespace else reference.get("namespace", ""),
        subresource=reference.get("subresource", ""),
        body=body,
        created_uid=created_uid,
    )


def _verb(verb: str, body: Any) -> str:
    """Return the verb of a write.

    An audit event does not tell kinds of patches apart. Merge patches are replayed as applies,
    which cost the API server about the same.
    """
    if verb != "patch":
        return verb
    return _JSON_PATCH if isinstance(body, list) else _APPLY


@dataclass(slots=True)
class Replay:
    """A recording for another resource, whose names and UIDs replace the recorded ones.

    A UID is replaced once it is known.
    """

    recording: Recording
    name: str
    uid: str
    _replaced: dict[str, str] = field(default_factory=dict)
    _versions: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._replaced = {self.recording.name: self.name, self.recording.uid: self.uid}

    def adapt(self, write: Write) -> Write:
        """Return the write for this resource."""
        text = orjson.dumps(asdict(write)).decode()
        for old, new in self._replaced.items():
            text = text.replace(old, new)
        adapted = Write(**orjson.loads(text))
        version = self._versions.get(adapted.target)
        if version and isinstance(adapted.body, dict):
            _set_version(adapted.body.get("metadata", {}), version)
        elif version and isinstance(adapted.body, list):
            for operation in adapted.body:
                if operation["path"] == "/metadata/resourceVersion":
                    operation["value"] = version
        return adapted

    def learn(self, write: Write, adapted: Write, reply: Mapping[str, Any] | None) -> None:
        """Remember the UID and the version in the reply to an adapted write."""
        metadata = (reply or {}).get("metadata", {})
        if write.created_uid and "uid" in metadata:
            self._replaced[write.created_uid] = metadata["uid"]
        if "resourceVersion" in metadata:
            self._versions[adapted.target] = metadata["resourceVersion"]


def _set_version(metadata: dict[str, Any], version: str) -> None:
    if "resourceVersion" in metadata:
        metadata["resourceVersion"] = version
