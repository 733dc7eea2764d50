"""Images of Deployments, and stand-ins for the programs that build and load them."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def images(deployments: Iterable[Any]) -> set[str]:
    return {
        container["image"]
        for deployment in deployments
        for container in deployment["spec"]["template"]["spec"]["containers"]
    }


@dataclass(frozen=True)
class StandIns:
    """Programs in a folder for PATH that do nothing but write down how they are called."""

    folder: Path

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


def stand_ins(folder: Path, *programs: str) -> StandIns:
    stand_in = StandIns(folder / "stand-ins")
    stand_in.folder.mkdir()
    log = shlex.quote(str(stand_in.folder / "calls"))
    for program in programs:
        path = stand_in.folder / program
        path.write_text(f'#!/bin/sh\necho "{program} $*" >>{log}\n')
        path.chmod(0o755)
    return stand_in
