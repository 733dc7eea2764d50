import pytest

from aichat_workspace.api.schemas.platform import PlatformDocument
from aichat_workspace.console.settings_form import FIELDS
from aichat_workspace.console.views import settings


def test_the_platforms_values_are_those_of_fields() -> None:
    schema = PlatformDocument.model_json_schema()
    (example,) = schema["examples"]
    values = settings.defaults(example)
    assert values["storage.ollama.size"] == "20Gi"
    chat = {field.path for field in FIELDS if field.path.startswith("resources.openWebUI")}
    assert chat <= values.keys()
    assert settings.defaults({**example, "embeddingModel": None})["embeddingModel"] == "none"


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("20Gi", "40Gi"), ("4", "8"), ("500m", "1000m"), ("", None), ("x", None)],
)
def test_a_raised_amount_is_twice_as_much(amount: str, expected: str | None) -> None:
    assert settings.raised("a", amount) == ({"a": expected} if expected else {})
