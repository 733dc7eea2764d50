"""Draw the picture of `aichatctl create --wait` from a real run: `make demo`, then `make picture`.

On the demo's node it creates a workspace by the API, in a terminal of its own, and records what the
terminal shows, and when. It writes that as one picture that plays, and the end of it as text, into
docs/images. Nothing in it is written by hand.
"""

import html
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pexpect
import pyte

ROOT: Final = Path(__file__).parents[1]
SYSTEM: Final = "aichat-workspace-operator-system"
TEAM: Final = "science"
WORKSPACE: Final = "research-chat"
COMMAND: Final = (
    f"aichatctl create {WORKSPACE} --team {TEAM} --model smollm2:135m --pattern explain_code --wait"
)
SERVER: Final = "https://workspaces.aichat.localhost"
WIDTH: Final = 100
_ROWS: Final = 24
_SECONDS: Final = 400
_FRAME_SECONDS: Final = 0.5
_LAST_SECONDS: Final = 6.0
_CELL: Final = 7.8  # pixels; a monospaced letter is 0.6 of its size wide
_LINE: Final = 20
_PADDING: Final = 16
_COLOURS: Final = {"green": "g", "brown": "y", "red": "r", "brightblack": "f"}
_STYLE: Final = """\
svg{color-scheme:light dark}
rect{fill:#f6f8fa;stroke:#d0d7de}
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328;
white-space:pre}
.b{font-weight:600}.g{fill:#116329}.y{fill:#7d4e00}.r{fill:#a40e26}.f{fill:#59636e}
@media(prefers-color-scheme:dark){rect{fill:#161b22;stroke:#30363d}text{fill:#e6edf3}
.g{fill:#56d364}.y{fill:#e3b341}.r{fill:#ff7b72}.f{fill:#9198a1}}
@media(prefers-reduced-motion:reduce){g g{animation:none!important}}
"""

Style = tuple[str, bool]
"""A colour as pyte names it, and whether the text is bold."""
Row = tuple[tuple[str, Style], ...]
"""Texts side by side."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What the terminal shows from a moment on."""

    seconds: float
    """Since the start."""
    rows: tuple[Row, ...]


@dataclass(slots=True)
class Recorder:
    """A terminal that remembers what it showed; of each half second, only the end."""

    frames: list[Frame] = field(default_factory=list)
    _screen: pyte.Screen = field(default_factory=lambda: pyte.Screen(WIDTH, _ROWS))
    _stream: pyte.Stream = field(init=False)

    def __post_init__(self) -> None:
        self._stream = pyte.Stream(self._screen)

    def take(self, text: str, seconds: float) -> None:
        """Show what a program writes."""
        self._stream.feed(text.replace("\x1b[2m", "\x1b[90m"))  # pyte knows no faint text
        frame = Frame(seconds - seconds % _FRAME_SECONDS, tuple(self._rows()))
        if self.frames and frame.rows == self.frames[-1].rows:
            return
        if self.frames and frame.seconds == self.frames[-1].seconds:
            self.frames.pop()
        self.frames.append(frame)

    def _rows(self) -> Iterator[Row]:
        shown = max((y for y, row in enumerate(self._screen.display) if row.strip()), default=-1)
        for y in range(shown + 1):
            cells = [self._screen.buffer[y][x] for x in range(WIDTH)]
            spans = [
                ("".join(cell.data for cell in run), style)
                for style, run in groupby(cells, lambda cell: (cell.fg, cell.bold))
            ]
            yield tuple(spans)


def main() -> None:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        frames = record(_environment(Path(folder)))
    (output / "create-wait.svg").write_text(draw(COMMAND, frames))
    (output / "create-wait.txt").write_text(text := as_text(COMMAND, frames[-1]))
    print(text)


def _environment(folder: Path) -> dict[str, str]:
    """Return a person's environment: the API's address, its authority and their token."""
    command = [sys.executable, "-m", "localcluster", "status", "--name", "demo", "-o", "json"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"the demo is not running; run make demo first\n{process.stderr}")
    demo = json.loads(process.stdout)

    def kubectl(*arguments: str) -> str:
        ran = subprocess.run(
            [shutil.which("kubectl") or "kubectl", *arguments],
            env={**os.environ, "KUBECONFIG": demo["kubeconfig"]},
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise SystemExit(f"kubectl {' '.join(arguments)}: {ran.stderr}")
        return ran.stdout.strip()

    kubectl("delete", "namespace", TEAM, "--ignore-not-found", "--timeout=180s")
    kubectl("create", "namespace", TEAM)
    kubectl("label", "namespace", TEAM, "aichatworkspaces.io/team=true")
    role = ("--clusterrole=aichatworkspace-admin", f"--serviceaccount={SYSTEM}:demo")
    kubectl("create", "rolebinding", "demo", *role, "-n", TEAM)
    token = ("create", "token", "demo", "-n", SYSTEM, "--audience", "aichat-workspace-api")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "AICHAT_CONFIG": str(folder / "config.yaml"),
        "AICHAT_SERVER": SERVER,
        "AICHAT_CA_FILE": str(demo["ingress_authority"]),
        "AICHAT_TOKEN": kubectl(*token),
    }


def record(environment: Mapping[str, str]) -> Sequence[Frame]:
    """Run the command in a terminal until it ends. Raises SystemExit when it fails."""
    recorder = Recorder()
    program, *arguments = COMMAND.split()
    began = time.monotonic()
    # The program's output has no types.
    process: Any = pexpect.spawn(
        shutil.which(program) or program,
        arguments,
        env={**environment},
        dimensions=(_ROWS, WIDTH),
        encoding="utf-8",
        timeout=_SECONDS,
    )
    while True:
        try:
            text = process.read_nonblocking(4_096, _SECONDS)
        except pexpect.EOF:
            break
        recorder.take(text, time.monotonic() - began)
    process.close()
    if process.exitstatus:
        rows = map(_plain, recorder.frames[-1].rows) if recorder.frames else ()
        raise SystemExit("\n".join([f"{COMMAND} exits with {process.exitstatus}", *rows]))
    return recorder.frames


def draw(command: str, frames: Sequence[Frame]) -> str:
    """Return the frames as an SVG that plays in a loop. Without motion it shows the last one."""
    end = frames[-1].seconds + _LAST_SECONDS
    height = _LINE * (max(len(frame.rows) for frame in frames) + 1) + 2 * _PADDING - 4
    width = round(WIDTH * _CELL) + 2 * _PADDING
    numbers: dict[Row, int] = {}
    keys, shown = [], []
    for number, frame in enumerate(frames):
        is_last = number == len(frames) - 1
        begin = 0.0 if number == 0 else frame.seconds / end * 100
        stop = 100.0 if is_last else frames[number + 1].seconds / end * 100
        keys.append(_keyframes(number, begin, stop))
        uses = "".join(
            f'<use href="#r{numbers.setdefault(row, len(numbers))}" y="{_LINE * (y + 1)}"/>'
            for y, row in enumerate(frame.rows)
            if _plain(row)
        )
        hidden = "" if is_last else "visibility:hidden;"
        shown.append(f'<g style="{hidden}animation:k{number} {end:.1f}s infinite">{uses}</g>')
    rows = "".join(f'<text id="r{number}">{_spans(row)}</text>' for row, number in numbers.items())
    prompt = _spans((("$ ", ("green", True)), (command, ("default", True))))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">'
        f"<title>{html.escape(command)}</title>\n<style>\n{_STYLE}{''.join(keys)}\n</style>\n"
        f'<defs>{rows}</defs>\n<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" '
        f'rx="8"/>\n<g transform="translate({_PADDING} {_PADDING + 10})"><text>{prompt}</text>\n'
        + "\n".join(shown)
        + "\n</g></svg>\n"
    )


def _keyframes(number: int, begin: float, stop: float) -> str:
    """Return the times, in per cent of a loop, at which a frame is seen."""
    parts = [] if begin == 0 else [("0%", "hidden")]
    parts.append((f"{begin:.2f}%", "visible"))
    parts.append((f"{stop:.2f}%", "visible" if stop == 100 else "hidden"))
    if stop != 100:
        parts.append(("100%", "hidden"))
    steps = "".join(
        f"{when}{{visibility:{how};animation-timing-function:step-end}}" for when, how in parts
    )
    return f"@keyframes k{number}{{{steps}}}"


def _spans(row: Row) -> str:
    """Return a row's texts, each at its cell: fonts differ in how wide a letter is."""
    column, spans = 0, []
    for text, (colour, is_bold) in row:
        stripped = text.strip()
        if stripped:
            x = (column + len(text) - len(text.lstrip())) * _CELL
            names = " ".join(filter(None, (_COLOURS.get(colour, ""), "b" if is_bold else "")))
            kind = f' class="{names}"' if names else ""
            length = f'textLength="{len(stripped) * _CELL:.1f}" lengthAdjust="spacingAndGlyphs"'
            spans.append(f'<tspan x="{x:.1f}" {length}{kind}>{html.escape(stripped)}</tspan>')
        column += len(text)
    return "".join(spans)


def _plain(row: Row) -> str:
    return "".join(text for text, _ in row).rstrip()


def as_text(command: str, frame: Frame) -> str:
    """Return the end of the run as text, for screen readers and for the test that checks it."""
    return "\n".join([f"$ {command}", *map(_plain, frame.rows), "", "Drawn by make picture.", ""])


if __name__ == "__main__":
    main()
