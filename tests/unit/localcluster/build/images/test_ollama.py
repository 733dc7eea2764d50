"""The machine's own Ollama is used if it is complete and has the right version."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from localcluster.build.images import ollama
from localcluster.build.images.ollama import ensure_ollama
from localcluster.build.versions import OLLAMA
from localcluster.errors import CommandFailedError

# Requests the server's version and writes the same as Ollama's `--version`.
PROGRAM = """#!{python}
import http.client, os
version, server = "{version}", None
connection = http.client.HTTPConnection(os.environ.get("OLLAMA_HOST", "127.0.0.1:11434"))
try:
    connection.request("GET", "/api/version")
    server = connection.getresponse().read().decode()
except OSError:
    print("Warning: could not connect to a running Ollama instance")
if server:
    print("ollama version is", server)
if server != version:
    print("Warning: client version is", version)
"""
OTHER = "0.17.4"
Install = Callable[[str], Path]
# A test in which it is not used does not compile it either.
pytestmark = pytest.mark.usefixtures("other_llama_cpp")


@pytest.fixture
def messages() -> list[str]:
    return []


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a version of Ollama in the folder of our variable."""

    def install(version: str) -> Path:
        libraries = tmp_path / "ollama" / "lib" / "ollama"
        (libraries / "cuda_v13").mkdir(parents=True)
        (libraries / "cuda_v13" / "libggml-cuda.so").write_text("for graphics processors")
        (libraries / "llama-server").write_text("the engine")
        (libraries / "libllama.so.1").write_text("its library")
        (libraries / "libllama.so").symlink_to("libllama.so.1")
        program = tmp_path / "ollama" / "bin" / "ollama"
        program.parent.mkdir()
        program.write_text(PROGRAM.format(python=sys.executable, version=version))
        program.chmod(0o755)
        monkeypatch.setenv("LOCALCLUSTER_PROGRAMS", str(program.parent))
        return program

    return install


@contextmanager
def running_server(version: str) -> Iterator[str]:
    """Run an Ollama server of this version, and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(version.encode())

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("running", [None, OTHER, OLLAMA])
def test_the_programs_own_version_counts_and_not_a_servers(
    install: Install,
    messages: list[str],
    monkeypatch: pytest.MonkeyPatch,
    running: str | None,
) -> None:
    program = install(OLLAMA)
    with running_server(running or "") as address:
        monkeypatch.setenv("OLLAMA_HOST", address if running else "127.0.0.1:0")
        ensure_ollama(lambda *parts: messages.append(": ".join(parts)))
    assert messages == [f"ollama: used from {program.parent}, not compiled"]


@pytest.mark.parametrize("running", [None, OTHER, OLLAMA])
def test_another_version_is_not_used_even_if_the_servers_fits(
    install: Install, monkeypatch: pytest.MonkeyPatch, running: str | None
) -> None:
    install(OTHER)
    with running_server(running or "") as address:
        monkeypatch.setenv("OLLAMA_HOST", address if running else "127.0.0.1:0")
        assert not ollama.is_built()


def test_all_but_the_folders_for_graphics_processors_is_copied(install: Install) -> None:
    program = install(OLLAMA)
    folder = ensure_ollama(lambda *_: None)
    assert (folder / "bin" / "ollama").read_bytes() == program.read_bytes()
    assert (folder / "bin" / "ollama").stat().st_mode & 0o111
    libraries = folder / "lib" / "ollama"
    names = sorted(path.name for path in libraries.iterdir())
    assert names == ["libllama.so", "libllama.so.1", "llama-server"]
    assert (libraries / "libllama.so").readlink() == Path("libllama.so.1")


def test_a_program_that_is_replaced_is_copied_again(install: Install) -> None:
    program = install(OLLAMA)
    first = ensure_ollama(lambda *_: None)
    program.write_text(f"{program.read_text()}# rebuilt\n")
    second = ensure_ollama(lambda *_: None)
    assert second != first
    assert (second / "bin" / "ollama").read_text().endswith("# rebuilt\n")


def test_a_link_to_the_program_leads_to_its_engine(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = install(OLLAMA)
    links = tmp_path / "links"
    links.mkdir()
    (links / "ollama").symlink_to(program)
    monkeypatch.setenv("LOCALCLUSTER_PROGRAMS", str(links))
    folder = ensure_ollama(lambda *_: None)
    assert (folder / "lib" / "ollama" / "llama-server").read_text() == "the engine"


def test_a_program_without_an_engine_is_not_used_and_the_reason_is_reported(
    install: Install, messages: list[str], other_llama_cpp: str
) -> None:
    program = install(OLLAMA)
    libraries = program.parents[1] / "lib" / "ollama"
    (libraries / "llama-server").unlink()
    with pytest.raises(CommandFailedError, match=other_llama_cpp):
        ensure_ollama(lambda *parts: messages.append(": ".join(parts)))
    reason = f"not used from {program.parent}: {libraries} has no llama-server"
    assert f"ollama: {reason}" in messages
    assert not ollama.is_built()
