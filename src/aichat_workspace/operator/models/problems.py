"""What keeps a model or a pattern from a workspace, and what is to be done, in words."""

import re
from datetime import datetime
from typing import Final

from aichat_workspace.domain import names, versions
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render.ollama import PUBLIC_KEY
from aichat_workspace.ollama.errors import (
    ModelNotFoundError,
    ModelPrivateError,
    ModelRefusedError,
    NewerServerNeededError,
    OllamaError,
    OllamaUnreachableError,
    VolumeFullError,
)
from aichat_workspace.operator.models.downloads import STALL_SECONDS
from aichat_workspace.operator.models.errors import (
    InsufficientSpaceError,
    ModelExceedsMemoryError,
    ModelTooLargeError,
    SlotExpiredError,
)

VOLUME_FULL: Final = (
    "the models' volume is full; raise spec.storage.ollama.size, or remove a model; what is left "
    "of a download that was given up is removed within a day"
)
_VERSION: Final = re.compile(r"\b[0-9]+\.[0-9]+(?:\.[0-9]+)?\b")


def stalled(model: str) -> str:
    """Write why a download does not come on."""
    return (
        f"download of {model} waits for data from the registry; after "
        f"{STALL_SECONDS:.0f} s without any it is begun again by itself"
    )


def not_listed(model: str) -> Problem:
    """Return what is wrong with a model whose download succeeded, but which is not listed."""
    return Problem(
        Reason.MODEL_NOT_LISTED,
        f"the model server has downloaded {model} and does not list it, so it keeps it under "
        "another name or can't read it; look for it in Open WebUI and write that name in "
        "spec.models, or read the model server's log",
    )


def hosted(model: str) -> Problem:
    """Return what is wrong with a model that runs at ollama.com."""
    return Problem(
        Reason.MODEL_HOSTED,
        f"{model} runs at ollama.com, and no prompt of a workspace is sent there; name a model "
        "without cloud in its tag in spec.models",
    )


def pull_problem(model: str, error: OllamaError, workspace: str, server_version: str) -> Problem:
    """Return what ended a model's download, and what is to be done.

    `server_version` matters for NewerServerNeededError only.
    """
    pod = f"{names.ollama(workspace)}-0"
    problems: dict[type[OllamaError], Problem] = {
        ModelNotFoundError: Problem(
            Reason.MODEL_NOT_FOUND,
            f"the registry has no model {model!r}; correct its name in spec.models or "
            "spec.embeddingModel",
        ),
        ModelPrivateError: Problem(
            Reason.MODEL_PRIVATE,
            f"the registry has no model {model!r} or keeps it from this model server ({error}); "
            "correct its name, or add the server's public key, which `kubectl exec -n "
            f"{workspace} {pod} -- cat {PUBLIC_KEY}` shows, to an account there that may read it",
        ),
        NewerServerNeededError: Problem(
            Reason.MODEL_NEEDS_NEWER_SERVER, _newer_server_needed(model, str(error), server_version)
        ),
        ModelRefusedError: Problem(
            Reason.MODEL_REFUSED,
            f"{model} can't be had: {error}; name another model in spec.models",
        ),
        ModelTooLargeError: Problem(Reason.MODEL_TOO_LARGE, str(error)),
        ModelExceedsMemoryError: Problem(Reason.MODEL_NEEDS_MEMORY, str(error)),
        VolumeFullError: Problem(
            Reason.MODELS_VOLUME_FULL, f"{model} can't be stored: {VOLUME_FULL}"
        ),
    }
    return problems.get(type(error)) or Problem(Reason.MODEL_FAILED, failure_message(model, error))


def _newer_server_needed(model: str, error: str, version: str) -> str:
    """Name the versions: the running one, and the needed one where the registry tells it."""
    numbers = [number for number in _VERSION.findall(error) if number != version]
    needed = f"Ollama {numbers[0]} or newer" if numbers else "a newer Ollama"
    newest = versions.OLLAMA
    known = f", as {newest}," if version != newest and not numbers else ""
    return (
        f"{model} needs {needed}, and {version or 'an older one'} runs here ({error}); set "
        f"spec.images.ollama of the AIChatPlatform to a newer one{known} and the download goes by "
        "itself"
    )


def with_next_try(problem: Problem, next_try: datetime) -> str:
    """Write a problem and when the model is tried again, if nothing changes before."""
    changes = (
        "there is more room"
        if problem.reason == Reason.MODELS_VOLUME_FULL
        else "the registry changes"
    )
    return (
        f"{problem.message}; it is tried again at {next_try:%Y-%m-%d %H:%M} UTC in case {changes}, "
        "and at once when the spec, the platform's registries, the model server or the annotation "
        f"{names.REFRESH_MODELS_ANNOTATION} change"
    )


def not_refreshed(model: str, error: OllamaError, *, passes: bool) -> str:
    """Write why a present model could not be looked up again. `passes` is whether that may pass."""
    fix = (
        "it is tried again by itself; if this lasts, see that its registry is up"
        if passes
        else "correct spec.models, or ask for another refresh once this has changed"
    )
    return (
        f"{model} can't be renewed from its registry: {error}; the one that is there stays in use; "
        f"{fix}"
    )


def failure_message(model: str, error: OllamaError) -> str:
    """What ended the download, and what is to be done."""
    if isinstance(error, InsufficientSpaceError):
        return str(error)
    if isinstance(error, SlotExpiredError):
        return f"download of {model} lets another workspace's go first; it resumes by itself"
    if isinstance(error, OllamaUnreachableError):
        return f"download of {model} was interrupted ({error}); it resumes by itself"
    return (
        f"download of {model} failed: {error}; it is tried again by itself; if this lasts, see "
        "that its registry is up and lets the model server in, or remove it from spec.models"
    )
