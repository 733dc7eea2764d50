"""What can be wrong with what a person wrote. Each message names the fix."""


class DomainError(Exception):
    """Something that was asked for can't be; a retry does not help, an edit does."""


class InvalidModelName(DomainError):  # noqa: N818  (reads as what it is)
    """Not a name in Ollama's grammar."""
