"""What can go wrong with a model server."""


class OllamaError(Exception):
    """The server answered with an error. A retry may help when its cause passes."""


class OllamaUnreachable(OllamaError):  # noqa: N818
    """No answer, or none in time. A retry helps once the server is up."""


class ModelNotFound(OllamaError):  # noqa: N818
    """The registry has no such model. A retry does not help; another name does."""
