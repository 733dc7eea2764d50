"""What a workspace desires of its model server, and who is called while that is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aichat_workspace.domain.models.status import (
    DesiredModels,
)
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.operator.models.report import Report


@dataclass(frozen=True, slots=True)
class ModelSyncTask:
    """What one workspace desires of its model server."""

    client: OllamaClient = field(compare=False)
    desired: DesiredModels
    server: str
    """The serving pod's UID and restarts; empty for none. Another may have lost the models."""
    capacity_bytes: int
    """Of the models' volume; 0 while unknown."""
    insecure_registries: frozenset[str]
    """Registries that speak plain HTTP."""
    recorded: Report = field(compare=False)
    """What earlier runs wrote into the status."""
    memory_bytes: int = 0
    """Of the server; 0 where models are in graphics processors' memory."""
    follows_tags: bool = False
    """Look present models up at their registries now and once a day."""
    refresh: str = ""
    """A person's request to look them up once; met when the report has the same text."""


@dataclass(frozen=True, slots=True)
class SyncObserver:
    """Who is called while models are synchronized."""

    on_change: Callable[[str], None]
    """With a workspace whose models or patterns are in another state, or say something else."""
    on_progress: Callable[[str], None] = lambda _: None
    """With a workspace whose downloads have come on by a per cent, at most every five seconds, or
    have another speed, at most every minute."""
    on_pull: Callable[[str], None] = lambda _: None
    """With the outcome of each download."""
    on_bytes: Callable[[int], None] = lambda _: None
    """With the bytes that came since the last time."""
    on_list: Callable[[str, Mapping[str, str]], None] = lambda *_: None
    """With a workspace and the digest of each model that its server lists."""
