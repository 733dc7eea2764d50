"""The client against a model server that answers by script."""

import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
import pytest

from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.errors import (
    ModelNotFoundError,
    ModelPrivateError,
    ModelRefusedError,
    NewerServerNeededError,
    OllamaError,
    OllamaUnreachableError,
    RequestRefusedError,
    VolumeFullError,
)
from aichat_workspace.ollama.installed import InstalledModel, ModelDetails, ModelFacts
from aichat_workspace.ollama.replies import ReplyEnd, ReplyPiece
from aichat_workspace.ollama.transport import Response


class ScriptedServer:
    """A server with one response to every request; `sent` has the requests."""

    def __init__(self, *chunks: bytes, status: int = 200, fails: Exception | None = None) -> None:
        self.status = status
        self.sent: list[tuple[str, str, Any]] = []
        self._chunks = chunks
        self._fails = fails

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._fails:
            raise self._fails

    @asynccontextmanager
    async def __call__(
        self, method: str, path: str, body: bytes | None, idle_seconds: float
    ) -> AsyncIterator[Response]:
        assert idle_seconds > 0
        self.sent.append((method, path, orjson.loads(body) if body else None))
        yield self


def lines(*events: dict[str, Any]) -> bytes:
    return b"".join(orjson.dumps(event) + b"\n" for event in events)


async def pull(server: ScriptedServer) -> list[tuple[int, int]]:
    pulling = OllamaClient(server).pull("m:1", stall_seconds=1)
    return [(progress.completed_bytes, progress.total_bytes) async for progress in pulling]


async def test_models_are_listed_with_digest_and_size() -> None:
    listed = {"models": [{"name": "a:1", "digest": "d", "size": 3, "details": {}}]}
    assert await OllamaClient(ScriptedServer(orjson.dumps(listed))).models() == (
        InstalledModel("a:1", "d", 3),
    )


async def test_what_the_server_states_of_a_model_is_read_and_nothing_else() -> None:
    model = {"name": "a:1", "digest": "d", "size": 3}
    stated = {
        "modified_at": "1970-01-01T00:00:07.123456789Z",
        "details": {"parameter_size": "2.6B", "quantization_level": "Q4_0", "context_length": 8},
    }
    strange = {
        "modified_at": "yesterday",
        "details": {"parameter_size": 7, "quantization_level": "", "context_length": "8"},
    }
    for more, seconds, details in (
        (stated, 7, ModelDetails("2.6B", "Q4_0", 8)),
        (strange, 0, ModelDetails()),
        ({"details": None, "modified_at": 7}, 0, ModelDetails()),
    ):
        server = ScriptedServer(orjson.dumps({"models": [{**model, **more}]}))
        (installed,) = await OllamaClient(server).models()
        assert installed == InstalledModel("a:1", "d", 3, seconds, details)


async def test_a_server_without_models_lists_none() -> None:
    assert await OllamaClient(ScriptedServer(b'{"models":null}')).models() == ()


async def test_progress_is_the_sum_of_the_layers_however_the_stream_is_cut() -> None:
    stream = lines(
        {"status": "pulling manifest"},
        {"status": "pulling", "digest": "a", "total": 10},
        {"status": "pulling", "digest": "a", "total": 10, "completed": 10},
        {"status": "pulling", "digest": "b", "total": 5, "completed": 2},
        {"status": "success"},
    )
    server = ScriptedServer(stream[:30], stream[30:31], stream[31:])
    assert await pull(server) == [(0, 0), (0, 10), (10, 10), (12, 15), (12, 15)]
    assert server.sent == [("POST", "/api/pull", {"model": "m:1"})]


async def test_complete_layers_are_shared_and_a_resumed_one_is_not() -> None:
    server = ScriptedServer(
        lines(
            {"status": "pulling", "digest": "a", "total": 10, "completed": 10},
            {"status": "pulling", "digest": "b", "total": 5, "completed": 2},
            {"status": "pulling", "digest": "b", "total": 5, "completed": 5},
            {"status": "success"},
        )
    )
    pulling = OllamaClient(server).pull("m:1", stall_seconds=1)
    assert [progress.shared_bytes async for progress in pulling] == [10, 10, 10, 10]


async def test_weights_are_named_by_their_digest() -> None:
    digest = "e" * 64
    modelfile = f"# FROM m:1\n\nFROM /models/blobs/sha256-{digest}\nSYSTEM Be brief.\n"
    server = ScriptedServer(orjson.dumps({"modelfile": modelfile}))
    assert await OllamaClient(server).weights("m:1") == digest
    assert server.sent == [("POST", "/api/show", {"model": "m:1"})]
    assert await OllamaClient(ScriptedServer(b"{}")).weights("m:1") == ""


async def test_the_system_prompt_is_read() -> None:
    server = ScriptedServer(orjson.dumps({"modelfile": "FROM x", "system": "Be brief."}))
    assert await OllamaClient(server).system("m:1") == "Be brief."
    assert server.sent == [("POST", "/api/show", {"model": "m:1"})]
    assert await OllamaClient(ScriptedServer(b"{}")).system("m:1") == ""


@pytest.mark.parametrize(
    ("shown", "facts"),
    [
        ({}, ModelFacts()),
        (
            {
                "license": "Apache License\nVersion 2.0",
                "model_info": {
                    "general.architecture": "qwen3",
                    "general.license": "apache-2.0",
                    "qwen3.context_length": 40_960,
                },
            },
            ModelFacts(40_960, "apache-2.0"),
        ),
        ({"license": f"\n {'x' * 200}\n"}, ModelFacts(None, "x" * 100)),
        ({"license": 7, "model_info": {"general.architecture": ["x"]}}, ModelFacts()),
        ({"license": " \n", "model_info": []}, ModelFacts()),
    ],
)
async def test_context_and_licence_are_read_where_they_are_stated(
    shown: object, facts: ModelFacts
) -> None:
    assert await OllamaClient(ScriptedServer(orjson.dumps(shown))).facts("m:1") == facts


async def test_capabilities_are_read() -> None:
    server = ScriptedServer(orjson.dumps({"capabilities": ["completion", "tools"]}))
    assert await OllamaClient(server).capabilities("m:1") == {"completion", "tools"}
    assert server.sent == [("POST", "/api/show", {"model": "m:1"})]
    assert await OllamaClient(ScriptedServer(b"{}")).capabilities("m:1") == frozenset()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('pull model manifest: 401: {"error":"Invalid username or password."}', ModelPrivateError),
        ("pull model manifest: 403: forbidden", ModelPrivateError),
        ("pull model manifest: unauthorized: access denied", ModelPrivateError),
        ("pull model manifest: 412: \n\nneeds a newer version\n", NewerServerNeededError),
        ("pull model manifest: 400: no such quantization", ModelRefusedError),
        ("pull model manifest: 404: manifest unknown", ModelNotFoundError),
        ("pull model manifest: 429: slow down", OllamaError),
        ("pull model manifest: 503: upstream not found", OllamaError),
        ("this model requires MLX support, but there is none", ModelRefusedError),
    ],
)
async def test_what_a_registry_refuses_has_its_kind(message: str, kind: type[OllamaError]) -> None:
    with pytest.raises(OllamaError) as raised:
        await pull(ScriptedServer(lines({"error": message})))
    assert type(raised.value) is kind
    assert "\n" not in str(raised.value)


async def test_the_version_is_the_servers() -> None:
    assert await OllamaClient(ScriptedServer(b'{"version":"0.34.0"}')).version() == "0.34.0"
    with pytest.raises(OllamaError, match="/api/version"):
        await OllamaClient(ScriptedServer(b"[]")).version()


@pytest.mark.parametrize("capabilities", ["tools", [1], {"tools": True}])
async def test_unexpected_capabilities_are_an_error(capabilities: object) -> None:
    with pytest.raises(OllamaError, match="/api/show"):
        await OllamaClient(
            ScriptedServer(orjson.dumps({"capabilities": capabilities}))
        ).capabilities("m:1")


async def test_an_unknown_name_has_its_own_error() -> None:
    server = ScriptedServer(lines({"error": "pull model manifest: file does not exist"}))
    with pytest.raises(ModelNotFoundError):
        await pull(server)


async def test_any_other_error_in_the_stream_is_an_error_that_may_pass() -> None:
    with pytest.raises(OllamaError, match="digest mismatch") as raised:
        await pull(ScriptedServer(lines({"status": "pulling"}, {"error": "digest mismatch"})))
    assert type(raised.value) is OllamaError


@pytest.mark.parametrize(
    "error",
    [
        "max retries exceeded: write /models/blobs/sha256-1-partial: no space left on device",
        "open /models/blobs/sha256-1-partial-0: disk quota exceeded",
    ],
)
async def test_a_full_volume_has_its_own_error(error: str) -> None:
    """F14: the model volume's disk is full."""
    with pytest.raises(VolumeFullError):
        await pull(ScriptedServer(lines({"error": error})))


async def test_a_registry_whose_disk_is_full_is_no_full_volume() -> None:
    message = "pull model manifest: 500: no space left on device"
    with pytest.raises(OllamaError) as raised:
        await pull(ScriptedServer(lines({"error": message})))
    assert type(raised.value) is OllamaError


async def test_a_registrys_message_is_cut() -> None:
    message = "pull model manifest: 500: " + "x" * 1_000_000
    with pytest.raises(OllamaError) as raised:
        await pull(ScriptedServer(lines({"error": message})))
    assert str(raised.value) == message[:512]


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(ScriptedServer(lines({"status": "pulling"})), id="ends early"),
        pytest.param(ScriptedServer(b'{"status":"pul'), id="torn"),
        pytest.param(ScriptedServer(fails=ConnectionResetError("reset")), id="reset"),
        pytest.param(ScriptedServer(fails=TimeoutError()), id="silent"),
        pytest.param(ScriptedServer(b"no endpoints available", status=503), id="no endpoints"),
    ],
)
async def test_a_broken_download_is_an_unreachable_server(server: ScriptedServer) -> None:
    """F12: a reset in mid-pull."""
    with pytest.raises(OllamaUnreachableError):
        await pull(server)


async def test_an_endless_line_is_refused() -> None:
    """F12: a server that never ends a line."""
    with pytest.raises(OllamaError, match="endless line"):
        await pull(ScriptedServer(*[b"x" * 1024] * 2000))


@pytest.mark.parametrize(
    "reply",
    [
        b"[]",
        b"null",
        b'"models"',
        b"{}",
        b'{"models":{}}',
        b'{"models":7}',
        b'{"models":[{"name":"m:1","digest":"d","size":-1}]}',
        b'{"models":[{"name":"m:1","digest":"d","size":9223372036854775808}]}',
        b'{"models":[7]}',
        b'{"models":[{"name":"a:1"}]}',
        b'{"models":[{"name":"a:1","digest":"d","size":"3"}]}',
        b'{"models":[{"name":null,"digest":"d","size":3}]}',
    ],
)
async def test_an_unexpected_list_is_an_error(reply: bytes) -> None:
    with pytest.raises(OllamaError, match="/api/tags"):
        await OllamaClient(ScriptedServer(reply)).models()


@pytest.mark.parametrize("reply", [b"[]", b"7", b'{"modelfile":7}', b'{"modelfile":["FROM x"]}'])
async def test_an_unexpected_modelfile_is_an_error(reply: bytes) -> None:
    with pytest.raises(OllamaError, match="/api/show"):
        await OllamaClient(ScriptedServer(reply)).weights("m:1")


@pytest.mark.parametrize(
    "reply",
    [
        b"7\n",
        b"[]\n",
        b'"status"\n',
        b'{"digest":7}\n',
        b'{"digest":"a","total":"many"}\n',
        b'{"digest":"a","total":3,"completed":null}\n',
    ],
)
async def test_unexpected_progress_is_an_error(reply: bytes) -> None:
    """F12: a server that lies about sizes."""
    with pytest.raises(OllamaError, match="/api/pull"):
        await pull(ScriptedServer(reply))


async def test_a_prompt_is_sent_with_its_system_prompt_and_options() -> None:
    server = ScriptedServer(lines({"message": {"content": "Paris"}}, {"done": True}))
    chat = OllamaClient(server).chat(
        "m:1", "The capital of France?", system="Be brief.", options={"seed": 1, "temperature": 0}
    )
    unstated = ReplyEnd(None, None, None, None)
    assert [piece async for piece in chat] == [ReplyPiece("Paris"), ReplyPiece(end=unstated)]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "The capital of France?"},
    ]
    options = {"seed": 1, "temperature": 0}
    body = {"model": "m:1", "messages": messages, "options": options}
    assert server.sent == [("POST", "/api/chat", body)]


@pytest.mark.parametrize(
    "reply",
    [b"7\n", b'{"message":"hello"}\n', b'{"message":{"content":7}}\n', b'{"message":null}\n'],
)
async def test_an_unexpected_reply_is_an_error(reply: bytes) -> None:
    with pytest.raises(OllamaError, match="/api/chat"):
        [piece async for piece in OllamaClient(ScriptedServer(reply)).chat("m:1", "Good morning")]


_OPENAI: Final = "/v1/chat/completions"


async def test_events_in_openais_shape_are_read_however_the_stream_is_cut() -> None:
    stream = b": a comment\n\ndata: {1}\n\ndata:{2}\r\n\r\ndata: [DONE]\n\n"
    server = ScriptedServer(stream[:20], stream[20:21], stream[21:])
    events = OllamaClient(server).openai_stream(_OPENAI, {"model": "m:1"})
    assert [event async for event in events] == [b"{1}", b"{2}"]
    assert server.sent == [("POST", _OPENAI, {"model": "m:1"})]


async def test_a_stream_in_openais_shape_without_its_end_is_torn() -> None:
    events = OllamaClient(ScriptedServer(b"data: {1}\n\n")).openai_stream(_OPENAI, {})
    assert await anext(events) == b"{1}"
    with pytest.raises(OllamaUnreachableError, match="ended early"):
        await anext(events)


async def test_a_response_in_openais_shape_is_returned_as_it_is() -> None:
    server = ScriptedServer(b'{"usage": ', b"{}}")
    sizes = list[int]()
    response = await OllamaClient(server).openai("/v1/embeddings", {}, on_bytes=sizes.append)
    assert (response, sizes) == (b'{"usage": {}}', [10, 3])
    with pytest.raises(OllamaError, match="endless answer"):
        await OllamaClient(ScriptedServer(*[b"x" * 2**20] * 9)).openai("/v1/embeddings", {})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            404,
            b'{"error":{"message":"no such model","type":"x"}}',
            ModelNotFoundError,
        ),
        (400, b'{"error":{"message":"it can call no tools"}}', RequestRefusedError),
        (400, b'{"error":"it can call no tools"}', RequestRefusedError),
        (400, b'{"error":"invalid model name"}', ModelRefusedError),
        (500, b'{"error":{"message":"out of memory"}}', OllamaError),
        (503, b"no endpoints", OllamaUnreachableError),
    ],
)
async def test_what_the_server_refuses_has_its_kind(
    status: int, body: bytes, kind: type[OllamaError]
) -> None:
    with pytest.raises(OllamaError) as raised:
        await OllamaClient(ScriptedServer(body, status=status)).openai(_OPENAI, {})
    assert type(raised.value) is kind
    assert "{" not in str(raised.value)


@pytest.mark.parametrize("status", [200, 500])
async def test_an_endless_answer_is_refused(status: int) -> None:
    endless = ScriptedServer(*[b"x" * 2**19] * 3, status=status)
    with pytest.raises(OllamaError, match="endless answer"):
        await OllamaClient(endless).models()


@pytest.mark.parametrize("status", [200, 500])
async def test_no_answer_takes_much_memory(status: int) -> None:
    densest = b"[" + b",".join([b'{"":[]}'] * (2**20 // 8 - 1)) + b"]"
    server = ScriptedServer(densest, status=status)
    tracemalloc.start()
    try:
        with pytest.raises(OllamaError):
            await OllamaClient(server).capabilities("m:1")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (64 if status == 200 else 4) * 2**20


async def test_a_pattern_is_made_of_a_model_and_a_prompt() -> None:
    server = ScriptedServer(lines({"status": "success"}))
    await OllamaClient(server).create("p:latest", base="m:1", system="Be brief.")
    assert server.sent == [
        ("POST", "/api/create", {"model": "p:latest", "from": "m:1", "system": "Be brief."})
    ]


async def test_deleting_an_absent_model_is_no_error() -> None:
    await OllamaClient(ScriptedServer(b'{"error":"model not found"}', status=404)).delete("m:1")
