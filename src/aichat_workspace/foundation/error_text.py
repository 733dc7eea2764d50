"""What an error says."""


def error_text(error: BaseException) -> str:
    """Return the error's text, or its type's name: a time limit, for one, has no text."""
    return str(error) or type(error).__name__
