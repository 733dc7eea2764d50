"""Edit a spec in the caller's editor."""

import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.spec import Json

_HEAD: Final = """\
# The spec of {name}. Save and leave to change it; leave it as it is to change nothing.
# Every field: docs/reference.md. Fields that you take out return to their defaults.
"""


@contextmanager
def edited(
    name: str, spec: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Json | None]:
    """Let the caller edit a spec, and yield it; None where nothing has changed.

    When the block fails, the text is kept, and the CliError says where.
    """
    import yaml

    descriptor, file = tempfile.mkstemp(prefix=f"{name}-", suffix=".yaml")
    path = Path(file)
    text = _HEAD.format(name=name) + yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    is_done = False
    try:
        _run_editor(path, environment)
        new_text = path.read_text(encoding="utf-8")
        yield None if new_text == text else _parse(new_text)
        is_done = True
    except CliError as error:
        fix = f"your text is in {path}"
        raise CliError(error.what, error.why, fix, error.code) from None
    finally:
        if is_done:
            path.unlink()


def _run_editor(path: Path, environment: Mapping[str, str]) -> None:
    import subprocess

    program = environment.get("VISUAL") or environment.get("EDITOR") or "vi"
    try:
        code = subprocess.call([*shlex.split(program), str(path)])  # noqa: S603  (the caller's)
    except OSError as error:
        raise CliError("nothing was changed", (f"{program}: {error.strerror}",)) from None
    if code != 0:
        raise CliError("nothing was changed", (f"{program} has ended with {code}",))


def _parse(text: str) -> Json:
    import yaml

    try:
        spec = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CliError("nothing was changed", (str(error).replace("\n", " "),)) from None
    if not isinstance(spec, dict):
        raise CliError("nothing was changed", ("the text is no YAML object",))
    return spec
