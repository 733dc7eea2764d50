"""Let few requests go on in each turn of the event loop, however many could."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_PER_TURN: Final = 16


@dataclass(slots=True)
class Pacer:
    """Calls functions in the order in which they come, a few in a turn; other work goes on between.

    Requests that arrive together, or wait for the same answer, would all go on in one turn, which
    stops everything else for half a millisecond each.
    """

    per_turn: int = _PER_TURN
    """Calls in one turn."""
    _waiting: deque[Callable[[], None]] = field(default_factory=deque)
    _is_scheduled: bool = False

    def add(self, function: Callable[[], None]) -> None:
        """Call the function in one of the next turns."""
        self._waiting.append(function)
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._call_some)

    async def turn(self) -> None:
        """Wait for the caller's turn."""
        turn = asyncio.get_running_loop().create_future()
        self.add(lambda: None if turn.done() else turn.set_result(None))
        await turn

    def _call_some(self) -> None:
        for _ in range(min(self.per_turn, len(self._waiting))):
            self._waiting.popleft()()
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._call_some)
