"""Start and stop a program, and read its CPU and memory from the kernel."""

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
    program: str,
    probe_variable: str,
    kubeconfig: Path,
    session: aiohttp.ClientSession,
    **environment: str,
) -> AsyncIterator[tuple[str, int]]:
    """Give the URL of a program's probes and its process ID once it is ready.

    `probe_variable` is the environment variable for the port of its probes; `environment` has more.
    """
    port = free_port()
    settings = {"ENV": "dev", "KUBECONFIG": str(kubeconfig), probe_variable: str(port)}
    process = await asyncio.create_subprocess_exec(
        program, env={**os.environ, **settings, **environment}, stderr=asyncio.subprocess.DEVNULL
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
    command: Sequence[str], environment: Mapping[str, str], log: Path, *, has_pipes: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program until the context ends, and then stop it, by force after ten seconds.

    It writes to `log`. With `has_pipes` its standard input and output are pipes instead.
    """
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.PIPE if has_pipes else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if has_pipes else out,
            stderr=out,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
    try:
        yield process
    finally:
        await stop(process)


async def stop(process: asyncio.subprocess.Process) -> None:
    """Stop a program and kill it after ten seconds; do nothing if it has ended."""
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
        async with session.get(f"{url}/readyz") as response:
            return response.status == 200
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
    match = re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(match.group(1)) / 1024 if match else 0.0
