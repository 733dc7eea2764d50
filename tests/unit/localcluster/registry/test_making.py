"""The licence layer of the registry's models."""

import pytest

from localcluster.registry.catalog import MODELS, Model
from localcluster.registry.making import licence


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.title)
def test_a_models_licence_layer_names_its_makers_and_the_source_of_its_files(model: Model) -> None:
    text = licence(model)
    assert text.startswith(f"{model.title}: {model.source}\nfiles of {model.weights.source}\n")
    for file in model.weights.files:
        assert f"{file.sha256}  {file.name}\n" in text
    assert "Apache License" in text
