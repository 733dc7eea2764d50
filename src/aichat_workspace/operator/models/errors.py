"""Why the operator itself ends a download."""

from aichat_workspace.ollama.errors import OllamaError, OllamaUnreachableError


class ModelTooLargeError(OllamaError):
    """The volume has no room for the model. A larger one helps, a retry does not."""


class ModelExceedsMemoryError(OllamaError):
    """The server has too little memory for the model. More of it helps, a retry does not."""


class SlotExpiredError(OllamaError):
    """Another workspace has the place of the download now. It goes on when its turn comes."""


class InsufficientSpaceError(OllamaError):
    """There is room once models that are not desired any more are removed. A retry helps."""


def goes_on(error: OllamaError) -> bool:
    """Whether a download that ended with this error goes on by itself."""
    return isinstance(error, InsufficientSpaceError | SlotExpiredError | OllamaUnreachableError)
