import pytest

from aichat_workspace.foundation.error_text import error_text


@pytest.mark.parametrize(
    ("error", "text"), [(OSError("no route"), "no route"), (TimeoutError(), "TimeoutError")]
)
def test_an_error_without_a_text_is_named_by_its_type(error: Exception, text: str) -> None:
    assert error_text(error) == text
