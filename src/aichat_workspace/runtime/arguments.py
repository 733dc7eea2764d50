"""The arguments of the server programs: their settings are environment variables."""

from argparse import ArgumentParser
from collections.abc import Sequence
from importlib.metadata import version

from aichat_workspace.domain import names


def answer(program: str, description: str, arguments: Sequence[str] | None = None) -> None:
    """Print help or the version and exit with 0 if asked to; refuse other arguments with 2."""
    parser = ArgumentParser(
        program,
        description=description,
        epilog="Its settings are environment variables: config/ has those that a cluster needs.",
    )
    parser.add_argument(
        "--version", action="version", version=f"{program} {version(names.OPERATOR)}"
    )
    parser.parse_args(arguments)
