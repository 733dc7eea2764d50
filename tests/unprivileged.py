"""Run a function as a user whom permissions of files stop."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

USER: Final = 65534


def run_unprivileged(run: Callable[[], object], folder: Path, foreign: Path | None = None) -> None:
    """Run in a process of its own, inside `folder`, which has to succeed.

    Root, whom no permissions stop, becomes the user nobody, who gets all of the folder but what
    is `foreign`. Paths have to be relative: those above it are root's.
    """
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            if path != foreign:
                os.chown(path, USER, USER, follow_symlinks=False)
    process = os.fork()
    if process:
        assert os.waitpid(process, 0)[1] == 0, "it failed: see its traceback"
        return
    try:
        os.chdir(folder)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
        run()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
