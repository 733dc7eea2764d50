"""What people read of models and patterns that can't be had."""

import pytest

from aichat_workspace.domain import versions
from aichat_workspace.domain.models.status import (
    ModelState,
)
from aichat_workspace.ollama.errors import (
    ModelNotFoundError,
    ModelPrivateError,
    ModelRefusedError,
    NewerServerNeededError,
    OllamaError,
    VolumeFullError,
)
from aichat_workspace.operator.models.errors import (
    ModelTooLargeError,
    goes_on,
)
from aichat_workspace.operator.models.problems import pull_problem
from aichat_workspace.operator.models.report import (
    pull_failed,
)


@pytest.mark.parametrize(
    ("error", "reason", "managed", "message"),
    [
        (ModelNotFoundError("none"), "ModelNotFound", False, "correct its name in spec.models"),
        (
            ModelPrivateError("401: denied"),
            "ModelPrivate",
            False,
            "kubectl exec -n w w-ollama-0 -- cat /var/lib/ollama/.ollama/id_ed25519.pub",
        ),
        (ModelPrivateError("401: denied"), "ModelPrivate", False, "401: denied"),
        (ModelRefusedError("400: no"), "ModelRefused", False, "400: no"),
        (ModelTooLargeError("raise the size"), "ModelTooLarge", True, "raise the size"),
        (
            VolumeFullError("no space left"),
            "ModelsVolumeFull",
            True,
            "raise spec.storage.ollama.size, or remove a model",
        ),
        (OllamaError("digest mismatch"), "ModelFailed", True, "digest mismatch"),
        (OllamaError("digest mismatch"), "ModelFailed", True, "that its registry is up"),
    ],
)
def test_a_failed_download_says_what_is_to_be_done(
    error: OllamaError, reason: str, managed: bool, message: str
) -> None:
    failed = pull_failed("m:1", pull_problem("m:1", error, "w", "0.34.0"))
    assert (failed.state, failed.managed, failed.reason) == (ModelState.FAILED, managed, reason)
    assert message in failed.message
    assert not goes_on(error)


@pytest.mark.parametrize(
    ("answer", "running", "message"),
    [
        ("412: for newer ones", "0.17.4", "needs a newer Ollama, and 0.17.4 runs here"),
        ("412: for newer ones", "0.17.4", f"to a newer one, as {versions.OLLAMA}, and"),
        ("412: for newer ones", versions.OLLAMA, "to a newer one and"),
        ("412: not 0.17.4 but 0.31.0", "0.17.4", "needs Ollama 0.31.0 or newer, and 0.17.4 runs"),
        ("412: for newer ones", "", "an older one runs here"),
    ],
)
def test_a_model_that_needs_a_newer_server_names_the_versions_and_the_setting(
    answer: str, running: str, message: str
) -> None:
    problem = pull_problem("m:1", NewerServerNeededError(answer), "w", running)
    assert problem.reason == "ModelNeedsNewerServer"
    assert message in problem.message
    assert "spec.images.ollama of the AIChatPlatform" in problem.message
