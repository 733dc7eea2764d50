#!/usr/bin/env python3
"""Create a workspace, ask its model, and delete it: smoke_test.py MODEL.

It is the same test for `make deploy` and for a Job in the cluster. It needs nothing but Python and
aichatctl, since a released image has no shell. AICHAT_SERVER is the API's address; AICHAT_TOKEN is
a token, or AICHAT_TOKEN_FILE has one. TIMEOUT is for the creation. Where a command of aichatctl
fails, its exit code is the test's.
"""

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, NoReturn

# Nobody else's: they are in a team of their own, and the token has no rights in another one.
TEAM: Final = "aichat-smoke-tests"
# Names of workspaces are unique in the cluster, so a fixed one could be taken by any team.
PREFIX: Final = "aichat-smoke-test-"
QUESTION: Final = "What is the capital of France?"
_NOT_FOUND: Final = 3
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    for number in _SIGNALS:
        signal.signal(number, _end)
    if token_file := os.environ.get("AICHAT_TOKEN_FILE"):
        os.environ["AICHAT_TOKEN"] = Path(token_file).read_text().strip()
    try:
        run(sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


def run(model: str) -> None:
    """Run the test.

    Raises:
        CalledProcessError: aichatctl has failed, and has said why.
        SystemExit: the reply is empty, or a signal has come.
    """
    say("removing what interrupted runs have left")
    for name in aichatctl("list", "--team", TEAM, "--output", "name").split():
        delete(name, "--wait", "--timeout", "5m")
    name = PREFIX + secrets.token_hex(4)
    try:
        say(f"creating the workspace {name} with {model}")
        create(name, model)
        say(f"asking {model}")
        say(f"it replies: {ask(name)}")
        say("deleting the workspace")
        delete(name, "--wait", "--timeout", "5m")
    except BaseException:
        _ignore_signals()  # the workspace is deleted, whatever comes
        aichatctl("describe", name, "--team", TEAM, is_shown=True, is_checked=False)
        aichatctl("delete", name, "--team", TEAM, "--yes", is_shown=True, is_checked=False)
        raise
    say("the smoke test has passed")


def create(name: str, model: str) -> None:
    """Create a workspace that ends by itself if nothing else deletes it, and wait for it."""
    settings = ("--set", "expiresAfter=1h", "--set", "embeddingModel=none")
    wait = ("--wait", "--timeout", os.environ.get("TIMEOUT", "10m"))
    aichatctl("create", name, "--team", TEAM, "--model", model, *settings, *wait, is_shown=True)


def ask(name: str) -> str:
    reply = aichatctl("prompt", name, "--team", TEAM, "--temperature", "0", "--seed", "1", QUESTION)
    return reply.strip() or sys.exit("the model's reply is empty")


def delete(name: str, *options: str) -> None:
    try:
        aichatctl("delete", name, "--team", TEAM, "--yes", *options, is_shown=True)
    except subprocess.CalledProcessError as error:
        if error.returncode != _NOT_FOUND:
            raise


def aichatctl(*arguments: str, is_shown: bool = False, is_checked: bool = True) -> str:
    """Run a command and return its output, unless that is shown.

    Raises:
        CalledProcessError: it is checked, and has failed.
    """
    out = None if is_shown else subprocess.PIPE
    command = ["aichatctl", *arguments]
    return subprocess.run(command, stdout=out, text=True, check=is_checked).stdout or ""


def say(text: str) -> None:
    print(text, flush=True)  # in its order among the lines of aichatctl


def _end(number: int, frame: object) -> NoReturn:
    del frame
    _ignore_signals()
    sys.exit(128 + number)


def _ignore_signals() -> None:
    """Do nothing at a signal from now on. SIG_IGN would be aichatctl's setting, too."""
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)


if __name__ == "__main__":
    main()
