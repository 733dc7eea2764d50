"""Limits of answers that are collected before they are sent: each caller's share of the memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from aichat_workspace.api.web.limits.rate_limits import caller_limits
from aichat_workspace.api.web.limits.shares import ALL_TOGETHER, Shares
from aichat_workspace.api.web.responses import problems

_RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class AnswerLimit:
    """A limit on the bytes of whole answers that have arrived and are not sent yet."""

    bytes_per_caller: int
    """Those of one caller; the service accounts of a namespace have five times as many, and half of
    the room at most: people who may make one account there may make a hundred."""
    room: Shares
    """Those of all callers."""

    @classmethod
    def create(cls, bytes_per_caller: int, all_bytes: int) -> Self:
        """Create a limit of so many bytes for a caller, and for all together."""
        return cls(bytes_per_caller, Shares(all_bytes))

    @contextmanager
    def reserve(self, caller: str) -> Iterator[Callable[[int], None]]:
        """Yield a function that counts bytes until the block ends.

        It raises ProblemError: 429 beyond the caller's share, 503 beyond the room of all.
        """
        limits = caller_limits(caller, self.bytes_per_caller, self.room.overall // 2)
        with self.room.growing(limits) as grow:

            def hold(size: int) -> None:
                holder = grow(size)
                if holder == ALL_TOGETHER:
                    raise problems.no_room_for_answer()
                if holder is not None:
                    raise problems.too_many(
                        "Too many of your whole answers are under way. Ask with `stream`, or for "
                        "fewer at the same time.",
                        _RETRY_SECONDS,
                    )

            yield hold
