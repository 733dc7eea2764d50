"""Making downloads slow, stuck or broken on request, so that tests can watch what clients do."""

import asyncio
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
    next ``fail_manifests`` requests for a manifest are answered 503.
    """

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
            if value is not None and (not isinstance(value, int) or value < 0):
                raise ValueError(f"{name} must be a number from 0, or null")
        return cls(**{name: value or cls.__dict__[name] for name, value in content.items()})


@dataclass
class Line:
    """The line that downloads share, and what went over it."""

    limits: Limits = field(default_factory=Limits)
    blob_bytes_sent: int = 0
    blob_requests: int = 0
    manifest_requests: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def take_failure(self, name: str) -> bool:
        """Whether this request must fail; counts it down."""
        left: int = getattr(self.limits, name)
        if left:
            self.limits = Limits(**{**vars(self.limits), name: left - 1})
        return bool(left)

    async def chunks(self, size: int) -> AsyncIterator[int]:
        """How many bytes to send next, when it is time to, until ``size`` were sent."""
        sent = 0
        while sent < size:
            allowed = self._allowed(size, sent)
            if not allowed:
                await asyncio.sleep(_POLL_SECONDS)
                continue
            await self._wait_turn(allowed)
            yield allowed
            sent += allowed
            self.blob_bytes_sent += allowed

    def _allowed(self, size: int, sent: int) -> int:
        rate, stall = self.limits.bytes_per_second, self.limits.stall_after_bytes
        chunk = _CHUNK_BYTES if rate is None else max(1, min(_CHUNK_BYTES, rate // 10))
        until = size if stall is None else min(size, stall)
        return max(0, min(chunk, until - sent))

    async def _wait_turn(self, size: int) -> None:
        if self.limits.bytes_per_second:
            async with self._turn:
                await asyncio.sleep(size / self.limits.bytes_per_second)
