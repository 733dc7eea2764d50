"""The real Ollama pulls real models from the local registry over TLS, and they answer."""

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest

from aichat_workspace.domain.models.name import parse_model
from aichat_workspace.domain.models.status import ModelState, desired_models
from aichat_workspace.domain.render.ollama import (
    DISCARD_TORN_DOWNLOADS,
    PUBLIC_KEY,
    TIDY_DOWNLOADS,
)
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.transport import direct
from aichat_workspace.operator.models.report import Report
from aichat_workspace.operator.models.sync import ModelSync
from aichat_workspace.operator.models.task import ModelSyncTask, SyncObserver
from aichat_workspace.runtime import servers
from localcluster import certificates
from localcluster.build.images.ollama import ensure_ollama
from localcluster.build.versions import OLLAMA
from localcluster.ports import free_ports
from localcluster.progress import reporting
from localcluster.registry.catalog import MINILM, SMOLLM2
from localcluster.registry.making import ensure_models
from tests.contracts.ollama import ModelServer, OllamaContract

WEIGHTS_BYTES = 98_362_432
CHAT, FURTHER = "library/smollm2:135m", "library/gemma2:2b"
CAPITAL = ("user", "What is the capital of France?")
# Building Ollama takes some minutes where no cluster has been built before.
pytestmark = pytest.mark.timeout(1500)


@dataclass(frozen=True)
class Setup:
    """A model server, and the registries that it pulls from. ``registry`` has the models, and its
    public registry has none; ``empty`` has none, and asks ``registry`` as its public one; ``alone``
    has none either, and can't reach the public one."""

    ollama: str
    registry: str
    empty: str
    alone: str
    certificate: Path
    models: Path
    program: Path

    def model(self, name: str) -> str:
        """The name by which this Ollama finds a model in the registry that has the models."""
        return f"{self.registry}/{name}"

    @contextlib.contextmanager
    def started_again(self) -> Iterator[None]:
        """The container's start, as far as it concerns files: what Ollama does then, too."""
        (port,) = free_ports(1)
        tidy = TIDY_DOWNLOADS.replace("$$", "$").replace("sleep 3600", "false")
        environment = {**os.environ, "OLLAMA_MODELS": str(self.models)}
        subprocess.run(["sh", "-c", tidy + "true"], env=environment, check=True)
        environment["OLLAMA_HOST"] = f"127.0.0.1:{port}"
        environment["HOME"] = str(self.models.parent)
        log = self.models.parent / f"ollama-{port}.log"
        with _running([str(self.program), "serve"], log, environment):
            _await(f"http://127.0.0.1:{port}/api/version", self.certificate)
            yield

    def unused_files(self) -> set[str]:
        """The files on the volume that no model has."""
        manifests = [path.read_text() for path in self.models.glob("manifests/*/*/*/*")]
        return {
            path.name
            for path in (self.models / "blobs").iterdir()
            if not any(path.name.removeprefix("sha256-") in manifest for manifest in manifests)
        }

    async def stream(self, path: str, body: object) -> AsyncGenerator[dict[str, Any], None]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.ollama}{path}", json=body) as response,
        ):
            async for line in response.content:
                yield json.loads(line)

    async def pull(self, model: str) -> list[dict[str, Any]]:
        """Every event of a download of a model, whose name begins with its registry's."""
        return [event async for event in self.stream("/api/pull", {"model": model})]

    async def delete_all(self) -> None:
        """Remove all models, and with them their weights."""
        async with aiohttp.ClientSession() as session:
            response = await session.get(f"{self.ollama}/api/tags")
            for model in (await response.json())["models"]:
                body = {"model": model["name"]}
                deleted = await session.delete(f"{self.ollama}/api/delete", json=body)
                assert deleted.status == 200

    async def chat(self, model: str, *messages: tuple[str, str]) -> str:
        """The likeliest reply, which is the same each time."""
        body = {
            "model": model,
            "stream": False,
            "options": {"temperature": 0, "seed": 1, "num_predict": 60},
            "messages": [{"role": role, "content": content} for role, content in messages],
        }
        (reply,) = [event async for event in self.stream("/api/chat", body)]
        return str(reply["message"]["content"])

    async def control(self, **limits: int) -> dict[str, Any]:
        """Set the line's limits; returns its counters."""
        url = f"https://{self.registry}/_control"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=limits, ssl=_trust(self.certificate)) as response,
        ):
            counters: dict[str, Any] = await response.json()
            return counters


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("registry")
    with reporting() as report:
        program = ensure_ollama(report) / "bin" / "ollama"
        models = ensure_models(report)
    ours = certificates.ensure(folder / "authority")
    server = certificates.issue(ours, folder / "server", ["localhost", "127.0.0.1"])
    registry_port, empty_port, alone_port, nothing_port, closed_port, ollama_port = free_ports(6)
    trust = {"SSL_CERT_FILE": str(ours.certificate)}

    def registry(port: int, models: Path, upstream: str) -> AbstractContextManager[None]:
        data = folder / f"registry-{port}"
        command = [sys.executable, "-m", "localcluster.registry", "--data", str(data)]
        command += ["--listen", f"127.0.0.1:{port}", "--blob-host", "127.0.0.1"]
        command += ["--models", str(models), "--upstream", upstream]
        command += ["--certificate", str(server.certificate), "--key", str(server.key)]
        return _running(command, data.with_suffix(".log"), trust)

    nothing = [sys.executable, "-m", "http.server", str(nothing_port), "--bind", "127.0.0.1"]
    ollama = {
        **trust,
        "OLLAMA_HOST": f"127.0.0.1:{ollama_port}",
        "OLLAMA_MODELS": str(folder / "models"),
        "LLAMA_ARG_THREADS": "1",  # several wait by spinning while one has no core
        "LLAMA_ARG_CACHE_PROMPT": "off",  # a prompt that is kept is rounded otherwise
        "HOME": str(folder),
    }
    with (
        _running([*nothing, "--directory", str(ours.certificate.parent)], folder / "nothing.log"),
        registry(registry_port, models, f"http://127.0.0.1:{nothing_port}"),
        registry(empty_port, folder / "none", f"https://localhost:{registry_port}"),
        registry(alone_port, folder / "none", f"https://localhost:{closed_port}"),
        _running([str(program), "serve"], folder / "ollama.log", ollama),
    ):
        _await(f"http://127.0.0.1:{nothing_port}/", ours.certificate)
        for port in (registry_port, empty_port, alone_port):
            _await(f"https://localhost:{port}/healthz", ours.certificate)
        _await(f"http://127.0.0.1:{ollama_port}/api/version", ours.certificate)
        yield Setup(
            f"http://127.0.0.1:{ollama_port}",
            f"localhost:{registry_port}",
            f"localhost:{empty_port}",
            f"localhost:{alone_port}",
            ours.certificate,
            folder / "models",
            program,
        )


@pytest.fixture(autouse=True)
async def undisturbed(setup: Setup) -> None:
    await setup.control()


@pytest.fixture
async def model(setup: Setup) -> str:
    """The chat model, downloaded."""
    model = setup.model(CHAT)
    assert (await setup.pull(model))[-1] == {"status": "success"}
    return model


@pytest.fixture
async def nothing_downloaded(setup: Setup) -> None:
    await setup.delete_all()


async def test_the_pinned_version_runs(setup: Setup) -> None:
    async with aiohttp.ClientSession() as session:
        response = await session.get(f"{setup.ollama}/api/version")
        assert await response.json() == {"version": OLLAMA}


async def test_a_pulled_model_says_what_it_is_and_under_which_licence(
    setup: Setup, model: str
) -> None:
    shown = await anext(setup.stream("/api/show", {"model": model}))
    assert shown["details"]["family"] == "llama"
    assert shown["details"]["quantization_level"] == "Q4_1"
    assert shown["model_info"]["general.parameter_count"] == 134_515_008
    assert f"sha256-{SMOLLM2.weights.files[0].sha256}" in shown["modelfile"]
    assert SMOLLM2.weights.files[0].sha256 in shown["license"]
    assert SMOLLM2.source in shown["license"]
    assert "Apache License" in shown["license"]


async def test_a_further_name_is_the_same_weights_and_costs_no_further_download(
    setup: Setup, model: str
) -> None:
    further = setup.model(FURTHER)
    before = (await setup.control())["blob_bytes_sent"]
    assert (await setup.pull(further))[-1] == {"status": "success"}
    assert (await setup.control())["blob_bytes_sent"] == before
    async with aiohttp.ClientSession() as session:
        client = OllamaClient(direct(session, setup.ollama))
        digests = {listed.name: listed.digest for listed in await client.models()}
        assert digests[further] == digests[model]
        assert await client.weights(further) == await client.weights(model) != ""


@pytest.mark.parametrize(
    "messages",
    [
        [CAPITAL],
        [("system", "You are a helpful assistant."), CAPITAL],
        [("user", "What is the capital of Italy?"), ("assistant", "It is Rome."), CAPITAL],
        [("user", "Grüße an alle! 日本 " + "the fox jumps " * 150), ("assistant", "Yes."), CAPITAL],
    ],
    ids=["question", "with-a-system-prompt", "last-of-a-conversation", "after-a-long-text"],
)
async def test_a_model_answers_a_question(
    setup: Setup, model: str, messages: list[tuple[str, str]]
) -> None:
    assert "Paris" in await setup.chat(model, *messages)


async def test_a_model_made_with_a_system_prompt_answers_as_the_prompt_itself_does(
    setup: Setup, model: str
) -> None:
    prompt, question = "Answer like a pirate of the sea.", ("user", "Who are you?")
    body = {"model": "pirate", "from": model, "system": prompt}
    events = [event async for event in setup.stream("/api/create", body)]
    assert events[-1]["status"] == "success"
    reply = await setup.chat("pirate", question)
    assert reply == await setup.chat(model, ("system", prompt), question)
    assert reply != await setup.chat(model, question)


@pytest.mark.parametrize("name", ["all-minilm", "nomic-embed-text"])
async def test_the_embedding_model_finds_the_text_that_is_meant(setup: Setup, name: str) -> None:
    model = setup.model(f"library/{name}:latest")
    assert (await setup.pull(model))[-1] == {"status": "success"}
    texts = ["a cat sits", "a kitten is sitting", "quarterly revenue report"]
    vectors = (await anext(setup.stream("/api/embed", {"model": model, "input": texts})))[
        "embeddings"
    ]
    assert [len(vector) for vector in vectors] == [384] * 3
    question, right, wrong = vectors
    assert _product(question, right) > 0.6
    assert _product(question, wrong) < 0.2
    shown = await anext(setup.stream("/api/show", {"model": model}))
    assert MINILM.weights.files[0].sha256 in shown["license"]


async def test_an_unknown_model_is_reported_as_the_public_registry_does(setup: Setup) -> None:
    events = await setup.pull(setup.model("library/no-such-model:1b"))
    assert events[-1] == {"error": "pull model manifest: file does not exist"}


@pytest.mark.usefixtures("nothing_downloaded")
async def test_a_model_that_only_the_public_registry_has_comes_from_there(setup: Setup) -> None:
    before = (await setup.control())["blob_bytes_sent"]
    model = f"{setup.empty}/{CHAT}"
    assert (await setup.pull(model))[-1] == {"status": "success"}
    assert (await setup.control())["blob_bytes_sent"] - before > WEIGHTS_BYTES
    assert "Paris" in await setup.chat(model, CAPITAL)


async def test_that_the_public_registry_is_out_of_reach_is_told_in_plain_words(
    setup: Setup,
) -> None:
    started = time.monotonic()
    events = await setup.pull(f"{setup.alone}/library/qwen3:0.6b")
    assert time.monotonic() - started < 5
    (error,) = (event["error"] for event in events if "error" in event)
    assert "the local registry has no model qwen3:0.6b, and localhost:" in error
    assert "can't be reached from here (Connection refused)" in error


async def test_a_pushed_model_can_be_pulled(setup: Setup, model: str) -> None:
    copied = setup.model("team/mine:v1")
    async with aiohttp.ClientSession() as session:
        copy = {"source": model, "destination": copied}
        assert (await session.post(f"{setup.ollama}/api/copy", json=copy)).status == 200
        pushed = [event async for event in setup.stream("/api/push", {"model": copied})]
        assert pushed[-1] == {"status": "success"}
        gone = await session.delete(f"{setup.ollama}/api/delete", json={"model": copied})
        assert gone.status == 200
    assert (await setup.pull(copied))[-1] == {"status": "success"}


@pytest.mark.usefixtures("nothing_downloaded")
async def test_a_slow_download_tells_how_far_it_is(setup: Setup) -> None:
    await setup.control(bytes_per_second=40_000_000)
    events = await setup.pull(setup.model(CHAT))
    assert events[-1] == {"status": "success"}
    completed = [
        event["completed"]
        for event in events
        if event.get("total") == WEIGHTS_BYTES and "completed" in event
    ]
    assert completed == sorted(completed)
    assert completed[-1] > 0.9 * WEIGHTS_BYTES
    assert len(set(completed)) > 10, "it is told as it goes"


@pytest.mark.usefixtures("nothing_downloaded")
async def test_a_torn_download_is_retried_where_it_broke_off(setup: Setup) -> None:
    """F12: with a real Ollama."""
    before = (await setup.control(fail_blobs=1))["blob_bytes_sent"]
    model = setup.model(CHAT)
    assert (await setup.pull(model))[-1] == {"status": "success"}
    assert (await setup.control())["blob_bytes_sent"] - before < 1.2 * WEIGHTS_BYTES
    assert "Paris" in await setup.chat(model, CAPITAL)


@pytest.mark.usefixtures("nothing_downloaded")
async def test_a_failing_registry_is_told_and_the_next_try_goes_well(setup: Setup) -> None:
    await setup.control(fail_manifests=1)
    events = await setup.pull(setup.model(CHAT))
    assert "503" in events[-1]["error"]
    assert (await setup.pull(setup.model(CHAT)))[-1] == {"status": "success"}


@pytest.mark.usefixtures("nothing_downloaded")
async def test_a_stall_is_reported_and_a_cancelled_pull_resumes(setup: Setup) -> None:
    """F12: with a real Ollama that hangs."""
    before = (await setup.control(stall_after_bytes=60_000_000))["blob_bytes_sent"]
    model = setup.model(CHAT)
    async with contextlib.aclosing(setup.stream("/api/pull", {"model": model})) as events:
        async for event in events:
            if event.get("completed", 0) >= 55_000_000:
                break
    assert event["total"] == WEIGHTS_BYTES
    await setup.control()
    assert (await setup.pull(model))[-1] == {"status": "success"}
    sent = (await setup.control())["blob_bytes_sent"] - before
    assert sent < 1.2 * WEIGHTS_BYTES, "the second pull began again"
    assert "Paris" in await setup.chat(model, CAPITAL)


@pytest.mark.usefixtures("nothing_downloaded")
async def test_a_download_whose_note_is_torn_needs_what_the_container_does_at_its_start(
    setup: Setup,
) -> None:
    await setup.control(stall_after_bytes=20_000_000)
    model = setup.model(CHAT)
    async with contextlib.aclosing(setup.stream("/api/pull", {"model": model})) as events:
        async for event in events:
            if event.get("completed", 0) >= 20_000_000:
                break
    await setup.control()
    (note,) = (setup.models / "blobs").glob("*-partial-0")
    async with asyncio.timeout(30):
        text = ""
        while '"Completed":0' in text or not text:
            await asyncio.sleep(0.05)
            text = note.read_text()
    note.write_text("")
    assert (await setup.pull(model))[-1] == {"error": "EOF"}
    environment = {**os.environ, "OLLAMA_MODELS": str(setup.models)}
    subprocess.run(["sh", "-c", DISCARD_TORN_DOWNLOADS], env=environment, check=True)  # noqa: ASYNC221
    assert (await setup.pull(model))[-1] == {"status": "success"}


async def test_the_operator_pulls_by_host_and_port_and_makes_changed_patterns_again(
    setup: Setup,
) -> None:
    model, story = setup.model("library/qwen2.5-coder:1.5b"), ("user", "Tell me of the sea.")
    async with aiohttp.ClientSession() as session:
        client = OllamaClient(direct(session, setup.ollama))
        sync = ModelSync(SyncObserver(lambda _: None), concurrent_pulls=lambda: 2)
        try:
            for prompt in ("Answer in one short sentence.", "Answer like a pirate."):
                want = desired_models([model], ["our_style"], {"our_style": prompt})
                work = ModelSyncTask(client, want, "pod", 10**12, frozenset(), Report((), ()))
                async with asyncio.timeout(60):
                    await _reported(sync, work)
                assert await client.system("our_style:latest") == prompt
                expected = await setup.chat(model, ("system", prompt), story)
                assert await setup.chat("our_style", story) == expected
        finally:
            await sync.close()
        weights = await client.weights(str(parse_model(model)))
        assert weights, "the server says which weights a model has"
        assert await client.weights("our_style:latest") == weights


class _Refusing(BaseHTTPRequestHandler):
    """A registry that refuses each model in the way of its name, as public ones do."""

    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.requests.append(self.path)
        refusals = {
            "private": (401, '{"error":"Invalid username or password."}'),
            "newer": (412, "\n\nThe model requires a newer version of Ollama.\n\n"),
            "none": (404, ""),
        }
        status, text = refusals[self.path.partition("?")[0].split("/")[3]]
        self.send_response(status)
        if status == 401 and not self.path.startswith("/token"):
            host = self.headers["Host"]
            challenge = f'Bearer realm="http://{host}/token/x/private",service="x",scope="y"'
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


async def test_what_a_registry_refuses_says_why_and_is_asked_once(setup: Setup) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    registry = f"localhost:{server.server_port}"
    names = [f"{registry}/team/{name}:1" for name in ("private", "newer", "none")]
    try:
        async with aiohttp.ClientSession() as session:
            client = OllamaClient(direct(session, setup.ollama))
            task = ModelSyncTask(
                client,
                desired_models(names, [], {}),
                "pod",
                10**12,
                frozenset({registry}),
                Report((), ()),
            )
            sync = ModelSync(SyncObserver(lambda _: None), concurrent_pulls=lambda: 3)
            async with asyncio.timeout(60):
                await _reported(sync, task, ModelState.FAILED)
            requests = len(_Refusing.requests)
            await asyncio.sleep(5)  # quick retries begin after two seconds
            assert len(_Refusing.requests) == requests
            models = {
                str(model.reason): model.message
                for model in sync.set_desired("team-a", task).models
            }
            await sync.close()
    finally:
        server.shutdown()
        server.server_close()
    assert set(models) == {"ModelPrivate", "ModelNeedsNewerServer", "ModelNotFound"}
    assert "Invalid username or password" in models["ModelPrivate"]
    assert f"and {OLLAMA} runs here" in models["ModelNeedsNewerServer"]
    key = setup.models.parent / ".ollama" / Path(PUBLIC_KEY).name
    assert key.read_text().startswith("ssh-ed25519 "), "the key that the message names is there"


@pytest.mark.usefixtures("nothing_downloaded")
async def test_a_model_larger_than_the_memory_is_told_before_and_after_its_download(
    setup: Setup,
) -> None:
    before = (await setup.control())["blob_bytes_sent"]
    async with aiohttp.ClientSession() as session:
        client = OllamaClient(direct(session, setup.ollama))
        sync = ModelSync(SyncObserver(lambda _: None), concurrent_pulls=lambda: 2)
        want = desired_models([setup.model(CHAT)], [], {})
        small, large = (
            ModelSyncTask(client, want, "pod", 10**12, frozenset(), Report((), ()), memory)
            for memory in (WEIGHTS_BYTES, 2**30)
        )
        try:
            async with asyncio.timeout(60):
                await setup.control(bytes_per_second=20_000_000)
                await _reported(sync, small, ModelState.FAILED)
                sent = (await setup.control())["blob_bytes_sent"] - before
                assert sent < WEIGHTS_BYTES
                await _reported(sync, large)
                await _reported(sync, small, ModelState.FAILED)
            (model,) = sync.set_desired("team-a", small).models
        finally:
            await sync.close()
    assert model.reason == "ModelNeedsMemory"
    assert model.digest


async def test_a_moved_tag_is_followed_on_purpose_only(setup: Setup, model: str) -> None:
    """By a person's request, once, and by the policy."""
    moving = setup.model("team/moving:v1")
    async with aiohttp.ClientSession() as session:
        client = OllamaClient(direct(session, setup.ollama))
        sync = ModelSync(SyncObserver(lambda _: None), concurrent_pulls=lambda: 2)

        async def renewed(server: str, *, refresh: str = "", follows_tags: bool = False) -> str:
            """The model's system prompt some time after that."""
            await client.create(moving, base=model, system="Be old.")
            work = ModelSyncTask(
                client,
                desired_models([moving], [], {}),
                server,
                10**12,
                frozenset(),
                Report((), ()),
                refresh=refresh,
                follows_tags=follows_tags,
            )
            async with asyncio.timeout(60):
                await _reported(sync, work)
            await asyncio.sleep(2)
            assert sync.set_desired("team-a", work).refreshed == refresh
            return await client.system(moving)

        try:
            await client.create(moving, base=model, system="Be new.")
            pushed = [event async for event in setup.stream("/api/push", {"model": moving})]
            assert pushed[-1] == {"status": "success"}
            assert await renewed("pod-1") == "Be old."
            assert await renewed("pod-2", refresh="monday") == "Be new."
            assert await renewed("pod-3", refresh="monday") == "Be old."
            assert await renewed("pod-4", refresh="tuesday") == "Be new."
            assert await renewed("pod-5", refresh="tuesday", follows_tags=True) == "Be new."
        finally:
            await sync.close()
        assert setup.unused_files() == set(), "what was replaced left the volume"


async def test_a_model_has_the_spelling_that_ollama_keeps(setup: Setup, model: str) -> None:
    """Ollama takes over each part of a name from any model that it has."""
    async with aiohttp.ClientSession() as session:
        client = OllamaClient(direct(session, setup.ollama))
        sync = ModelSync(SyncObserver(lambda _: None), concurrent_pulls=lambda: 2)
        try:
            want = desired_models([model.replace("135m", "135M")], [], {})
            task = ModelSyncTask(client, want, "pod", 10**12, frozenset(), Report((), ()))
            async with asyncio.timeout(60):
                await _reported(sync, task)
            (status,) = sync.set_desired("team-a", task).models
            assert status.name == str(parse_model(model))
        finally:
            await sync.close()
        listed = [installed.name for installed in await client.models()]
        assert str(parse_model(model)) in listed


@pytest.mark.usefixtures("nothing_downloaded")
async def test_a_pause_of_hours_and_a_start_keep_a_download_and_remove_what_no_model_has(
    setup: Setup,
) -> None:
    before = (await setup.control(stall_after_bytes=60_000_000))["blob_bytes_sent"]
    model, blobs = setup.model(CHAT), setup.models / "blobs"
    async with contextlib.aclosing(setup.stream("/api/pull", {"model": model})) as events:
        async for event in events:
            if event.get("completed", 0) >= 55_000_000:
                break
    await setup.control()
    orphan = blobs / f"sha256-{'a' * 64}"
    orphan.write_text("of a model that is gone")
    hours_ago = time.time() - 7200
    for path in blobs.iterdir():
        os.utime(path, (hours_ago, hours_ago))
    with setup.started_again():
        assert not orphan.exists()
        assert [path for path in blobs.iterdir() if path.name.endswith("-partial")]
    assert (await setup.pull(model))[-1] == {"status": "success"}
    sent = (await setup.control())["blob_bytes_sent"] - before
    assert sent < 1.2 * WEIGHTS_BYTES, "the second pull began again"


@pytest.mark.usefixtures("nothing_downloaded")
async def test_weights_of_a_replaced_base_and_of_a_replaced_model_leave_the_volume(
    setup: Setup,
) -> None:
    first, second = setup.model(CHAT), setup.model("library/all-minilm:latest")
    prompt = "Answer in one short sentence."
    async with aiohttp.ClientSession() as session:
        client = OllamaClient(direct(session, setup.ollama))
        sync = ModelSync(SyncObserver(lambda _: None), concurrent_pulls=lambda: 2)
        try:
            for base in (first, second):
                want = desired_models([base], ["our_style"], {"our_style": prompt})
                work = ModelSyncTask(client, want, "pod", 10**12, frozenset(), Report((), ()))
                async with asyncio.timeout(60):
                    await _reported(sync, work)
            assert len(await client.models()) == 2
            assert setup.unused_files() == set()
            # A person replaces a model in Open WebUI.
            assert (await setup.pull(first))[-1] == {"status": "success"}
            await client.create("mine:latest", base=first, system=prompt)
            await client.delete(first)
            await client.create("mine:latest", base=second, system=prompt)
            assert setup.unused_files() == set()
            await client.delete("mine:latest")
        finally:
            await sync.close()


async def test_a_pattern_leaves_a_persons_model_alone_and_takes_its_own_up_without_a_record(
    setup: Setup, model: str
) -> None:
    prompt = "Explain code."
    async with aiohttp.ClientSession() as session:
        client = OllamaClient(direct(session, setup.ollama))
        base = str(parse_model(model))
        await client.create("theirs:latest", base=base, system="Be a pirate.")
        await client.create("ours:latest", base=base, system=prompt)
        want = desired_models([model], ["theirs", "ours"], {"theirs": prompt, "ours": prompt})
        work = ModelSyncTask(client, want, "pod", 10**12, frozenset(), Report((), ()))
        sync = ModelSync(SyncObserver(lambda _: None), concurrent_pulls=lambda: 2)
        states: dict[str, ModelState] = {}
        try:
            async with asyncio.timeout(60):
                while states != {"theirs": ModelState.FAILED, "ours": ModelState.READY}:
                    await asyncio.sleep(0.1)
                    report = sync.set_desired("team-a", work)
                    states = {pattern.name: pattern.state for pattern in report.patterns}
        finally:
            await sync.close()
        assert await client.system("theirs:latest") == "Be a pirate."


async def _reported(
    sync: ModelSync, work: ModelSyncTask, state: ModelState = ModelState.READY
) -> None:
    """Wait until each of the workspace's models and patterns is in this state."""
    states: set[str] = set()
    while states != {state}:
        await asyncio.sleep(0.1)
        report = sync.set_desired("team-a", work)
        states = {entry.state for entry in report.models} | {
            entry.state for entry in report.patterns
        }


def _product(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@contextlib.contextmanager
def _running(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, **(environment or {})}
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


class TestRealOllama(OllamaContract):
    """The fake of unit tests answers in the same way: tests/unit/fakes."""

    @pytest.fixture
    async def server(self, setup: Setup) -> AsyncIterator[ModelServer]:
        chat_model, embedding_model = setup.model(CHAT), setup.model("library/all-minilm:latest")
        for name in (chat_model, embedding_model):
            assert (await setup.pull(name))[-1] == {"status": "success"}
        async with servers.session() as session:
            client = OllamaClient(direct(session, setup.ollama))
            yield ModelServer(client, chat_model, embedding_model)
