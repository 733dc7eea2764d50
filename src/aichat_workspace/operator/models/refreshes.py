"""Which present models are looked up again at their registries, and when."""

import asyncio
import math
from collections.abc import Iterable
from typing import Final

from aichat_workspace.domain.models.capacity import PresentModel
from aichat_workspace.domain.models.name import model_key

_REFRESH_SECONDS: Final = 24 * 3600.0


class Refreshes:
    """The models of one workspace that are to be looked up again, by their keys."""

    def __init__(self, *, is_requested: bool, follows_tags: bool) -> None:
        self.notes: dict[str, str] = {}
        """Why models could not be looked up again."""
        self._follows_tags = follows_tags
        self._next_at = -math.inf if is_requested or follows_tags else math.inf
        """When all models are to be looked up again, on the loop's clock, in seconds."""
        self._due: set[str] = set()
        self._due_later: set[str] = set()
        """Those whose registry is to be asked again at the next check."""

    def begin_check(self, models: Iterable[str]) -> None:
        """Take up what is due: all models when it is time, else those of the last check."""
        now = asyncio.get_running_loop().time()
        self._due, self._due_later = self._due_later, set()
        if now >= self._next_at:
            self._due = set(map(model_key, models))
            self._next_at = now + _REFRESH_SECONDS if self._follows_tags else math.inf

    def add(self, keys: Iterable[str]) -> None:
        """Have models looked up, too."""
        self._due.update(keys)

    def drop(self, models: Iterable[str]) -> None:
        """Look models up no more: they are downloaded anyway."""
        self._due.difference_update(map(model_key, models))

    def next(self, present: Iterable[PresentModel]) -> str | None:
        """Return a present model to look up now; None when all are."""
        return next((model.name for model in present if model.key in self._due), None)

    def begin(self, model: str) -> None:
        """Say that a model is being looked up."""
        self.drop([model])
        self.notes.pop(model_key(model), None)

    def fail(self, model: str, note: str, *, is_tried_again: bool) -> None:
        """Say why a model could not be looked up."""
        self.notes[model_key(model)] = note
        if is_tried_again:
            self._due_later.add(model_key(model))

    @property
    def are_complete(self) -> bool:
        """Whether no registry is to be asked again."""
        return not self._due_later
