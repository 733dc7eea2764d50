"""The real Ollama pulls stand-in models from the local registry over TLS, and they answer."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aichat_workspace.domain.models import ModelState, parse_model, wanted
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.transport import direct
from aichat_workspace.operator.model_sync import Assignment, ModelSync
from localcluster.images.ollama import ensure_ollama
from localcluster.model.answers import DEFAULT_SENTENCE, SYSTEM_SENTENCE, SYSTEM_TOPICS
from localcluster.progress import reporting
from localcluster.registry import authority
from localcluster.versions import OLLAMA

BIG_BYTES = 200_000_000
# Building Ollama takes some minutes where no cluster has been built before.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Setup:
    """A model server and the registry that it pulls from."""

    ollama: str
    registry: str
    certificate: Path

    def model(self, name: str) -> str:
        """The name by which this Ollama finds a model in this registry."""
        return f"{self.registry.removeprefix('https://')}/{name}"

    async def stream(self, path: str, body: object) -> AsyncGenerator[dict[str, Any], None]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.ollama}{path}", json=body) as answer,
        ):
            async for line in answer.content:
                yield json.loads(line)

    async def pull(self, name: str) -> list[dict[str, Any]]:
        return [each async for each in self.stream("/api/pull", {"model": self.model(name)})]

    async def chat(self, model: str, *messages: tuple[str, str]) -> str:
        body = {
            "model": model,
            "stream": False,
            "messages": [{"role": role, "content": content} for role, content in messages],
        }
        answers = [each async for each in self.stream("/api/chat", body)]
        return str(answers[0]["message"]["content"])

    async def control(self, **limits: int) -> dict[str, Any]:
        """Set the line's limits; returns its counters."""
        url = f"{self.registry}/_control"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=limits, ssl=_trust(self.certificate)) as answer,
        ):
            counters: dict[str, Any] = await answer.json()
            return counters


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("registry")
    with reporting() as report:
        program = ensure_ollama(report) / "ollama"
    ours = authority.ensure(folder / "authority")
    server = authority.issue(ours, folder / "server", ["localhost", "127.0.0.1"])
    registry_port, ollama_port = _free_ports(2)
    registry = [sys.executable, "-m", "localcluster.registry", "--data", str(folder / "data")]
    registry += ["--listen", f"127.0.0.1:{registry_port}", "--blob-host", "127.0.0.1"]
    registry += ["--certificate", str(server.certificate), "--key", str(server.key)]
    environment = {
        "OLLAMA_HOST": f"127.0.0.1:{ollama_port}",
        "OLLAMA_MODELS": str(folder / "models"),
        "HOME": str(folder),
        "SSL_CERT_FILE": str(ours.certificate),
    }
    with _running(registry, folder / "registry.log", {}):
        _await(f"https://localhost:{registry_port}/healthz", ours.certificate)
        with _running([str(program), "serve"], folder / "ollama.log", environment):
            _await(f"http://127.0.0.1:{ollama_port}/api/version", ours.certificate)
            yield Setup(
                f"http://127.0.0.1:{ollama_port}",
                f"https://localhost:{registry_port}",
                ours.certificate,
            )


@pytest.fixture(autouse=True)
async def undisturbed(setup: Setup) -> None:
    await setup.control()


@pytest.fixture
async def gemma(setup: Setup) -> str:
    events = await setup.pull("library/gemma2:2b")
    assert events[-1] == {"status": "success"}
    return setup.model("library/gemma2:2b")


async def test_the_pinned_version_runs(setup: Setup) -> None:
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"{setup.ollama}/api/version")
        assert await answer.json() == {"version": OLLAMA}


async def test_a_pulled_model_is_listed(setup: Setup, gemma: str) -> None:
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"{setup.ollama}/api/tags")
        assert gemma in [each["name"] for each in (await answer.json())["models"]]


@pytest.mark.parametrize(
    ("messages", "reply"),
    [
        ([("user", "Good morning")], DEFAULT_SENTENCE),
        ([("user", "What is your name?")], "I am the stand-in for gemma2:2b."),
        (
            [("system", "Explain code."), ("user", "x = 1")],
            f"{SYSTEM_TOPICS[7].sentence} {DEFAULT_SENTENCE}",
        ),
        (
            [("system", "Be kind."), ("user", "Explain yourself")],
            f"{SYSTEM_SENTENCE} {DEFAULT_SENTENCE}",
        ),
        (
            [
                ("user", "your name?"),
                ("assistant", DEFAULT_SENTENCE),
                ("user", "Grüße an alle! 日"),
            ],
            DEFAULT_SENTENCE,
        ),
        ([("user", "y " * 1500 + "Thanks")], "You are welcome, any time."),
    ],
    ids=["default", "name", "system", "any-system", "last-message", "long"],
)
async def test_it_answers_by_the_prompt(
    setup: Setup, gemma: str, messages: list[tuple[str, str]], reply: str
) -> None:
    assert await setup.chat(gemma, *messages) == reply


async def test_a_model_made_with_a_system_prompt_answers_by_it(setup: Setup, gemma: str) -> None:
    body = {"model": "create_summary", "from": gemma, "system": "You write a summary."}
    assert [each async for each in setup.stream("/api/create", body)][-1]["status"] == "success"
    said = await setup.chat("create_summary", ("user", "A long story."))
    assert said == f"{SYSTEM_TOPICS[6].sentence} {DEFAULT_SENTENCE}"


async def test_models_know_their_own_names(setup: Setup) -> None:
    await setup.pull("library/smollm2:latest")
    said = await setup.chat(setup.model("library/smollm2"), ("user", "Who are you?"))
    assert said == "I am the stand-in for smollm2:latest."


@pytest.mark.parametrize(("name", "length"), [("all-minilm", 384), ("nomic-embed-text", 768)])
async def test_an_embedding_model_finds_the_text_that_is_meant(
    setup: Setup, name: str, length: int
) -> None:
    await setup.pull(f"library/{name}:latest")
    texts = [
        "How tall is the tower?",
        "The tower has a height of ninety metres and stands by the river.",
        "Bake the bread at full heat until its crust is golden.",
    ]
    body = {"model": setup.model(f"library/{name}"), "input": texts}
    vectors = (await anext(setup.stream("/api/embed", body)))["embeddings"]
    assert [len(vector) for vector in vectors] == [length] * 3
    question, right, wrong = vectors
    assert _product(question, right) > _product(question, wrong)


async def test_an_unknown_model_is_reported_as_the_public_registry_does(setup: Setup) -> None:
    events = await setup.pull("library/no-such-model:1b")
    assert events[-1] == {"error": "pull model manifest: file does not exist"}


async def test_a_pushed_model_can_be_pulled(setup: Setup, gemma: str) -> None:
    mine = setup.model("team/mine:v1")
    async with aiohttp.ClientSession() as session:
        copy = {"source": gemma, "destination": mine}
        assert (await session.post(f"{setup.ollama}/api/copy", json=copy)).status == 200
        pushed = [each async for each in setup.stream("/api/push", {"model": mine})]
        assert pushed[-1] == {"status": "success"}
        gone = await session.delete(f"{setup.ollama}/api/delete", json={"model": mine})
        assert gone.status == 200
    assert (await setup.pull("team/mine:v1"))[-1] == {"status": "success"}


async def test_a_broken_download_is_retried(setup: Setup) -> None:
    await setup.control(fail_blobs=1)
    assert (await setup.pull("library/llama3.2:1b"))[-1] == {"status": "success"}


async def test_a_stall_shows_and_a_cancelled_pull_resumes(setup: Setup) -> None:
    before = (await setup.control(stall_after_bytes=60_000_000))["blob_bytes_sent"]
    body = {"model": setup.model("library/big:200m")}
    async with contextlib.aclosing(setup.stream("/api/pull", body)) as events:
        async for event in events:
            if event.get("completed", 0) >= 110_000_000:
                break
    assert event["total"] == pytest.approx(BIG_BYTES, rel=0.05)
    await asyncio.sleep(1)
    await setup.control()
    assert (await setup.pull("library/big:200m"))[-1] == {"status": "success"}
    sent = (await setup.control())["blob_bytes_sent"] - before
    assert sent < 1.2 * BIG_BYTES, "the second pull began anew"
    said = await setup.chat(setup.model("library/big:200m"), ("user", "your name?"))
    assert said == "I am the stand-in for big:200m."


async def test_the_operator_pulls_by_host_and_port_and_makes_changed_patterns_anew(
    setup: Setup,
) -> None:
    model = setup.model("library/qwen2.5-coder:1.5b")
    async with aiohttp.ClientSession() as session:
        client = OllamaClient(direct(session, setup.ollama))
        sync = ModelSync(lambda _: None, concurrent_pulls=lambda: 2)
        try:
            for prompt, topic in (("You write a summary.", 6), ("Explain code.", 7)):
                want = wanted([model], ["our_style"], {"our_style": prompt})
                work = Assignment(client, want, "pod", 10**12, frozenset(), (), ())
                async with asyncio.timeout(60):
                    await _reported(sync, work)
                    await _answered(setup, SYSTEM_TOPICS[topic].sentence)
        finally:
            await sync.close()
        weights = await client.weights(str(parse_model(model)))
        assert weights, "the server says which weights a model has"
        assert await client.weights("our_style:latest") == weights


async def test_a_pattern_leaves_a_persons_model_alone_and_takes_its_own_up_without_a_record(
    setup: Setup,
) -> None:
    model, prompt = setup.model("library/smollm2:latest"), "Explain code."
    await setup.pull("library/smollm2:latest")
    async with aiohttp.ClientSession() as session:
        client = OllamaClient(direct(session, setup.ollama))
        base = str(parse_model(model))
        await client.create("theirs:latest", base=base, system="Be a pirate.")
        await client.create("ours:latest", base=base, system=prompt)
        want = wanted([model], ["theirs", "ours"], {"theirs": prompt, "ours": prompt})
        work = Assignment(client, want, "pod", 10**12, frozenset(), (), ())
        sync = ModelSync(lambda _: None, concurrent_pulls=lambda: 2)
        states: dict[str, ModelState] = {}
        try:
            async with asyncio.timeout(60):
                while states != {"theirs": ModelState.FAILED, "ours": ModelState.READY}:
                    await asyncio.sleep(0.1)
                    report = sync.want("team-a", work)
                    states = {each.name: each.state for each in report.patterns}
        finally:
            await sync.close()
        assert await client.system("theirs:latest") == "Be a pirate."


async def _reported(sync: ModelSync, work: Assignment) -> None:
    """Wait until the workspace has its model and its pattern."""
    states: set[str] = set()
    while states != {ModelState.READY}:
        await asyncio.sleep(0.1)
        report = sync.want("team-a", work)
        states = {each.state for each in report.models} | {each.state for each in report.patterns}


async def _answered(setup: Setup, opening: str) -> None:
    said = ""
    while not said.startswith(opening):
        await asyncio.sleep(0.1)
        said = await setup.chat("our_style", ("user", "A long story."))


def _product(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def _running(command: list[str], log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, **environment}
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _trust(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


def _await(url: str, certificate: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, context=_trust(certificate)).close()  # noqa: S310
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, f"no answer from {url}"
            time.sleep(0.1)
        else:
            return
