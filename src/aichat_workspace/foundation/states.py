"""What people read for each state of a workspace and of a model: one word and its tone.

The command line and the console say the same. States are the resource's own words
(domain/v1alpha1/workspace_status.py, domain/models/status.py); a newer operator may know more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Tone = Literal["good", "working", "trouble", "idle"]
"""How it is: as it should be, on its way, a person has to act, or at rest."""


@dataclass(frozen=True, slots=True)
class State:
    """A state as a word, with the tone that chooses its sign and colour."""

    word: str
    tone: Tone


PHASES: Final[Mapping[str, State]] = {
    "Pending": State("Waiting", "working"),
    "Provisioning": State("Starting", "working"),
    "PullingModels": State("Downloading", "working"),
    "Ready": State("Ready", "good"),
    "Degraded": State("Needs you", "trouble"),
    "Suspended": State("Suspended", "idle"),
    "Terminating": State("Deleting", "working"),
}
MODELS: Final[Mapping[str, State]] = {
    "Pending": State("waits", "idle"),
    "Pulling": State("downloading", "working"),
    "Ready": State("ready", "good"),
    "Failed": State("failed", "trouble"),
    "Removing": State("being removed", "working"),
}
RUNS: Final[Mapping[str, State]] = {
    "Running": State("under way", "working"),
    "Done": State("done", "good"),
    "Failed": State("failed", "trouble"),
}
"""The states of a backup or a restore (domain/v1alpha1/backup.py)."""
STEPS: Final[Mapping[str, str]] = {
    "Provisioned": "namespace, quota, walls",
    "OllamaAvailable": "model server",
    "OpenWebUIAvailable": "chat",
    "ModelsReady": "models",
    "Ready": "people can chat",
}
"""The steps in which a workspace comes up, by condition, in their order."""


def phase_state(phase: str) -> State:
    """Return the state of a phase; an unknown one is shown as it is."""
    return PHASES.get(phase, State(phase, "idle"))


def model_state(state: str) -> State:
    """Return the state of a model or pattern; an unknown one is shown as it is."""
    return MODELS.get(state, State(state, "idle"))


def run_state(state: str) -> State:
    """Return the state of a backup or a restore; an unknown one is shown as it is."""
    return RUNS.get(state, State(state, "idle"))
