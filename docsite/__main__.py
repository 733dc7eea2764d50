"""Prepare, check or serve the documentation site: python -m docsite COMMAND."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import typer

from docsite import check as checks
from docsite import pages as prepared

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "build"
_SECONDS: Final = 0.5

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@app.command()
def pages() -> None:
    """Write what the site generator reads into build/docs and build/mkdocs.yml."""
    _write_pages(FOLDER)


def _write_pages(folder: Path) -> None:
    prepared.write(prepared.prepare(ROOT), folder)


@app.command()
def check() -> None:
    """Name what is wrong with build/site; exit with 1 if there is anything."""
    problems = [*checks.nav_problems(FOLDER), *checks.site_problems((FOLDER / "site").resolve())]
    for problem in problems:
        typer.echo(problem, err=True)
    raise typer.Exit(1 if problems else 0)


@app.command()
def serve(address: str = "127.0.0.1:8000", folder: Path = FOLDER) -> None:
    """Serve the site, and follow the pages as they are edited, until Ctrl-C.

    What it is built from is written into the folder.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the server ends, too
    _write_pages(folder)
    program = Path(sys.executable).parent / "zensical"
    command = (program, "serve", "--config-file", folder / prepared.CONFIGURATION)
    server = subprocess.Popen((*command, "--dev-addr", address))  # noqa: S603  (locked program)
    try:
        while server.poll() is None:
            time.sleep(_SECONDS)
            _write_pages(folder)
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    app()
