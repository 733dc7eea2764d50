"""What a process holds: memory, tasks, threads, open files and connections."""

import json
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.waiting import eventually

_MEMORY_SHARE: Final = 1.1
_MEMORY_MIB: Final = 8
_OBJECTS_SHARE: Final = 1.05
# A watch or a request that is just being made again.
_IN_FLIGHT: Final = 3


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds at a moment."""

    memory_mib: float
    objects: int
    """What Python's collector knows of."""
    tasks: int
    threads: int
    files: int
    connections: int

    @classmethod
    def read(cls, pid: int, report: Path) -> Self:
        """Ask the process, which writes to `report`, and the kernel."""
        report.unlink(missing_ok=True)
        os.kill(pid, signal.SIGUSR1)
        eventually(report.exists, "the process reports", 30)
        counts = json.loads(report.read_text())
        status = Path(f"/proc/{pid}/status").read_text()
        files = [_target(file) for file in Path(f"/proc/{pid}/fd").iterdir()]
        return cls(
            memory_mib=_number(status, "VmRSS") / 1024,
            objects=counts["objects"],
            tasks=counts["tasks"],
            threads=_number(status, "Threads"),
            files=len(files),
            connections=sum(target.startswith("socket:") for target in files),
        )

    def leaks_since(self, before: "Usage") -> list[str]:
        """Name what has grown by more than the noise of a cycle."""
        bounds = {
            "memory_mib": before.memory_mib * _MEMORY_SHARE + _MEMORY_MIB,
            "objects": before.objects * _OBJECTS_SHARE,
            "tasks": before.tasks + _IN_FLIGHT,
            "threads": before.threads + _IN_FLIGHT,
            "files": before.files + _IN_FLIGHT,
            "connections": before.connections + _IN_FLIGHT,
        }
        return [
            f"{name}: {getattr(before, name):.0f} before, {getattr(self, name):.0f} now"
            for name, bound in bounds.items()
            if getattr(self, name) > bound
        ]


def _number(status: str, field: str) -> int:
    match = re.search(rf"^{field}:\s+(\d+)", status, re.MULTILINE)
    assert match, field
    return int(match[1])


def _target(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:  # closed meanwhile
        return ""
