"""Making downloads slow, stuck or broken on request, so that tests can watch what clients do."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields
from typing import Any, Final

_CHUNK_BYTES: Final = 256 * 1024
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Limits:
    """What is wrong with the line; None and 0 mean nothing.

    ``bytes_per_second`` is shared by all downloads. A download that has sent ``stall_after_bytes``
    sends nothing more until that changes. The next ``fail_blobs`` downloads break off half way, the
    next ``fail_manifests`` requests for a manifest are answered 503. All that is so for one
    ``repository``, or for every one where none is named.
    """

    repository: str = ""
    bytes_per_second: int | None = None
    stall_after_bytes: int | None = None
    fail_blobs: int = 0
    fail_manifests: int = 0

    @classmethod
    def parse(cls, content: Any) -> "Limits":
        """From JSON. Raises ValueError with the reason."""
        names = {each.name for each in fields(cls)}
        if not isinstance(content, dict) or not content.keys() <= names:
            raise ValueError(f"expected an object with some of: {', '.join(sorted(names))}")
        for name, value in content.items():
            if name == "repository":
                right, what = isinstance(value, str), "text"
            else:
                right, what = isinstance(value, int) and value >= 0, "a number from 0"
            if value is not None and not right:
                raise ValueError(f"{name} must be {what}, or null")
        return cls(**{name: value or cls.__dict__[name] for name, value in content.items()})


@dataclass
class Line:
    """The line that downloads share, and what went over it."""

    limits: Limits = field(default_factory=Limits)
    bytes_sent_of: Counter[str] = field(default_factory=Counter)
    blob_requests: int = 0
    manifest_requests: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def blob_bytes_sent(self) -> int:
        return self.bytes_sent_of.total()

    def take_failure(self, name: str, repository: str) -> bool:
        """Whether this request must fail; counts it down."""
        left: int = getattr(self._limits_of(repository), name)
        if left:
            self.limits = Limits(**{**vars(self.limits), name: left - 1})
        return bool(left)

    def _limits_of(self, repository: str) -> Limits:
        return self.limits if self.limits.repository in ("", repository) else Limits()

    async def chunks(self, size: int, repository: str) -> AsyncIterator[int]:
        """How many bytes to send next, when it is time to, until ``size`` were sent."""
        sent = 0
        while sent < size:
            limits = self._limits_of(repository)
            allowed = _allowed(limits, size, sent)
            if not allowed:
                await asyncio.sleep(_POLL_SECONDS)
                continue
            if limits.bytes_per_second:
                async with self._turn:
                    await asyncio.sleep(allowed / limits.bytes_per_second)
            yield allowed
            sent += allowed
            self.bytes_sent_of[repository] += allowed


def _allowed(limits: Limits, size: int, sent: int) -> int:
    rate, stall = limits.bytes_per_second, limits.stall_after_bytes
    chunk = _CHUNK_BYTES if rate is None else max(1, min(_CHUNK_BYTES, rate // 10))
    until = size if stall is None else min(size, stall)
    return max(0, min(chunk, until - sent))
