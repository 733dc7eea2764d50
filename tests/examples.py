"""The examples of a page, run as a reader would: one after the other, in one shell."""

import re
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FENCE: Final = re.compile(r"^( *)```(\S+) *(\S*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
NEEDS_MODEL_SERVER: Final = "model-server"
_END: Final = "~~~ end of example"


@dataclass(frozen=True)
class Example:
    """A block of shell and what its output holds. `mark` is the word behind ```sh."""

    line: int
    script: str
    mark: str
    expected: tuple[str, ...]

    def missing(self, output: str) -> list[str]:
        """Lines of the page that no line of the output is like; … stands for anything."""
        lines = [line.rstrip() for line in output.splitlines()]
        return [
            pattern for pattern in self.expected if not any(map(_pattern(pattern).fullmatch, lines))
        ]


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, line.split("…"))))


def examples(page: Path) -> list[Example]:
    return list(_examples(page.read_text()))


def _examples(text: str) -> Iterator[Example]:
    blocks = list(_FENCE.finditer(text))
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        _, language, mark, script = block.groups()
        if language == "sh":
            output = after.group(4) if after and after.group(2) == "text" else ""
            line = text.count("\n", 0, block.start()) + 1
            yield Example(line, textwrap.dedent(script), mark, tuple(output.splitlines()))


def run(
    documented: list[Example], environment: Mapping[str, str], folder: Path, seconds: float
) -> list[str]:
    """The output of each. The shell ends at the first command that fails, and that fails the
    test."""
    steps = [f"{example.script}\nprintf '\\n%s\\n' '{_END}'\n" for example in documented]
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "exec 2>&1\n" + "".join(steps)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=dict(environment),
        cwd=folder,
        timeout=seconds,
        check=False,
    )
    outputs = ran.stdout.split(f"\n{_END}\n")
    assert ran.returncode == 0, f"line {documented[len(outputs) - 1].line} fails:\n{outputs[-1]}"
    return outputs[:-1]


def assert_as_documented(documented: list[Example], outputs: list[str]) -> None:
    for example, output in zip(documented, outputs, strict=True):
        missing = example.missing(output)
        assert not missing, f"line {example.line}: no {missing} in\n{output}"
