"""One of our programs as a process: started, ended, and what it uses as the kernel counts it."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from localcluster.ports import free_port

_START_SECONDS: Final = 90
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def running(
    program: str, port_variable: str, kubeconfig: Path, session: aiohttp.ClientSession
) -> AsyncIterator[tuple[str, int]]:
    """The URL and the process ID of a program, once it is ready. `port_variable` says where it
    listens."""
    port = free_port()
    settings = {"ENV": "dev", "KUBECONFIG": str(kubeconfig), port_variable: str(port)}
    process = await asyncio.create_subprocess_exec(
        program, env={**os.environ, **settings}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(_START_SECONDS):
            while not await _is_ready(url, session):  # noqa: ASYNC110  (another process's state)
                await asyncio.sleep(0.1)
        yield url, process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _is_ready(url: str, session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get(f"{url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mib(pid: int) -> float:
    return _memory(pid, "VmRSS")


def peak_rss_mib(pid: int) -> float:
    return _memory(pid, "VmHWM")


def _memory(pid: int, field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) / 1024 if found else 0.0
