"""Make downloads slow, stuck or broken on request, to test clients with them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields
from typing import Any, Final

_CHUNK_BYTES: Final = 256 * 1024
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Limits:
    """The faults of downloads."""

    repository: str = ""
    """The only repository with these faults; empty for all."""
    bytes_per_second: int | None = None
    """The rate that all downloads share."""
    stall_after_bytes: int | None = None
    """How much a download sends before it sends nothing more until this changes."""
    fail_blobs: int = 0
    """How many downloads will end halfway."""
    fail_manifests: int = 0
    """How many requests for manifests will get status 503."""

    @classmethod
    def parse(cls, content: Any) -> "Limits":
        """Read limits from JSON.

        Raises:
            ValueError: with the reason.
        """
        names = {limit.name for limit in fields(cls)}
        if not isinstance(content, dict) or not content.keys() <= names:
            raise ValueError(f"expected an object with some of: {', '.join(sorted(names))}")
        for name, value in content.items():
            if name == "repository":
                is_valid, expected = isinstance(value, str), "text"
            else:
                is_valid, expected = type(value) is int and value >= 0, "a number from 0"
            if value is not None and not is_valid:
                raise ValueError(f"{name} must be {expected}, or null")
        return cls(**{name: value or cls.__dict__[name] for name, value in content.items()})


@dataclass
class Throttle:
    """Apply limits to downloads, and count them."""

    limits: Limits = field(default_factory=Limits)
    """The present limits."""
    bytes_sent_of: Counter[str] = field(default_factory=Counter)
    """The sent bytes of blobs by repository."""
    blob_requests: int = 0
    """How many blobs were requested."""
    manifest_requests: int = 0
    """How many manifests were requested."""
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def blob_bytes_sent(self) -> int:
        return self.bytes_sent_of.total()

    def take_failure(self, name: str, repository: str) -> bool:
        """Return whether this request must fail, and count the failure down."""
        remaining: int = getattr(self._limits_of(repository), name)
        if remaining:
            self.limits = Limits(**{**vars(self.limits), name: remaining - 1})
        return bool(remaining)

    def _limits_of(self, repository: str) -> Limits:
        return self.limits if self.limits.repository in ("", repository) else Limits()

    async def chunks(self, size: int, repository: str) -> AsyncIterator[int]:
        """Yield the size of each next chunk, when it may be sent, until ``size`` bytes are sent."""
        sent_bytes = 0
        while sent_bytes < size:
            limits = self._limits_of(repository)
            chunk_bytes = _allowed_bytes(limits, size, sent_bytes)
            if not chunk_bytes:
                await asyncio.sleep(_POLL_SECONDS)
                continue
            if limits.bytes_per_second:
                async with self._sending:
                    await asyncio.sleep(chunk_bytes / limits.bytes_per_second)
            yield chunk_bytes
            sent_bytes += chunk_bytes
            self.bytes_sent_of[repository] += chunk_bytes


def _allowed_bytes(limits: Limits, size: int, sent_bytes: int) -> int:
    rate, stall = limits.bytes_per_second, limits.stall_after_bytes
    chunk_bytes = _CHUNK_BYTES if rate is None else max(1, min(_CHUNK_BYTES, rate // 10))
    end = size if stall is None else min(size, stall)
    return max(0, min(chunk_bytes, end - sent_bytes))
