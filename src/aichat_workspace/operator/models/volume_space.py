"""Room on the volume of one workspace's models."""

from collections.abc import Iterable

from aichat_workspace.domain.models.capacity import (
    PresentModel,
    capacity_problem,
    occupied_bytes,
)
from aichat_workspace.operator.models.errors import InsufficientSpaceError, ModelTooLargeError


class VolumeSpace:
    """What is on the volume, and what comes. The capacity is 0 while unknown."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.present: tuple[PresentModel, ...] = ()
        """Before the downloads that run now."""
        self.removable: frozenset[str] = frozenset()
        """Keys of the models that can make room: undesired ones, and patterns of a former base."""
        self._incoming_bytes: dict[str, int] = {}
        """What each running download is to add."""

    def clear_downloads(self) -> None:
        """Say that no download runs."""
        self._incoming_bytes.clear()

    def end_download(self, model: str) -> None:
        """Say that a model is on the volume, or that its download is given up."""
        self._incoming_bytes.pop(model, None)

    def require(self, model: str, incoming_bytes: int) -> None:
        """Reserve what a download is to add.

        Raises ModelTooLargeError or InsufficientSpaceError when the volume can't hold the model
        beside the present models and the other downloads.
        """
        self._incoming_bytes[model] = incoming_bytes
        problem = self._problem(model, self.present)
        if not problem:
            return
        staying = [present for present in self.present if present.key not in self.removable]
        if self._problem(model, staying):
            raise ModelTooLargeError(problem)
        raise InsufficientSpaceError(
            f"{model} waits for room: {', '.join(sorted(self.removable))} is removed first"
        )

    def _problem(self, model: str, present: Iterable[PresentModel]) -> str:
        """Return why a model has no room beside these models and the other downloads; else ''."""
        needed = self._incoming_bytes[model]
        others = sum(self._incoming_bytes.values()) - needed
        occupied = occupied_bytes(present) + others
        return capacity_problem(model, needed, occupied, self.capacity_bytes)
