"""One of our programs as a process: started, ended, and what it uses as the kernel counts it."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from localcluster.ports import free_port

_START_SECONDS: Final = 90
_GRACE_SECONDS: Final = 10
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


@asynccontextmanager
async def started(
    command: Sequence[str], environment: Mapping[str, str], log: Path, *, talks: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that writes to `log`, or with `talks` to us, and reads what we tell it. It ends
    with the context, by force where it does not listen."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.PIPE if talks else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if talks else out,
            stderr=out,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
    try:
        yield process
    finally:
        await stop(process)


async def stop(process: asyncio.subprocess.Process) -> None:
    """End a program, by force after ten seconds; nothing where it has ended."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
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
