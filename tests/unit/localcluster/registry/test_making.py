"""What is written into the models that the registry serves."""

import pytest

from localcluster.registry.catalog import MODELS, Model
from localcluster.registry.making import licence


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.title)
def test_a_models_licence_layer_says_who_made_it_and_where_its_files_are_from(model: Model) -> None:
    text = licence(model)
    assert text.startswith(f"{model.title}: {model.source}\nfiles of {model.weights.source}\n")
    for file in model.weights.files:
        assert f"{file.sha256}  {file.name}\n" in text
    assert "Apache License" in text
