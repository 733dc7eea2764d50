"""Ollama's engine is compiled from the build of llama.cpp that Ollama names."""

from pathlib import Path

import pytest

from localcluster.build.images.engine import ensure_engine
from localcluster.build.versions import LLAMA_CPP
from localcluster.errors import CommandFailedError


def test_another_build_of_llama_cpp_is_an_error_that_names_the_files_to_change(
    other_llama_cpp: str, cache_folder: Path
) -> None:
    with pytest.raises(CommandFailedError) as error:
        ensure_engine(lambda *_: None)
    assert str(error.value) == (
        f"this Ollama is built with llama.cpp {other_llama_cpp}, but versions.toml says "
        f"{LLAMA_CPP}; change that, and llama-cpp.in, to {other_llama_cpp}"
    )
    folders = (cache_folder / "binaries").glob("llama-cpp-*")
    assert [path for path in folders if not path.name.endswith(".partial")] == []
