"""OpenAI's Python client, unchanged, talks to a workspace through the application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import Any

import openai
import pytest
from aiohttp.test_utils import TestServer
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionUserMessageParam
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from aichat_workspace.api.routes import long_requests
from aichat_workspace.api.routes.long_requests import OnBytes, respond_whole
from aichat_workspace.api.web.responses import streaming
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.transport import direct
from aichat_workspace.runtime import servers
from tests.fakes.ollama import FakeOllama
from tests.unit.api.samples import ANN
from tests.unit.api.serving import connect_without_reading, serve
from tests.unit.api.world import PATH, World, running_world
from tests.unit.waiting import until

MESSAGES: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Good morning"}]


async def _running(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, **parts: Any) -> World:
    model = FakeOllama()
    server = await stack.enter_async_context(TestServer(model.application()))
    session = await stack.enter_async_context(servers.session())
    url = str(server.make_url("")).rstrip("/")
    connected = running_world(
        monkeypatch, lambda _: OllamaClient(direct(session, url)), model, **parts
    )
    return await stack.enter_async_context(connected)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield await _running(stack, monkeypatch)


def client_of(world: World, name: str = "team-a") -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{world.url}{PATH}/{name}/v1", api_key="good")


@pytest.fixture
async def client(world: World) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(world) as client:
        yield client


async def test_a_chat_is_answered_whole_with_usage(world: World, client: AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(model="m:1", messages=MESSAGES, max_tokens=7)
    assert reply.choices[0].message.content == "Good morning"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == 13
    assert world.model.bodies == [{"model": "m:1", "messages": MESSAGES, "max_tokens": 7}]
    assert not world.services.streams.taken


async def test_a_chat_is_answered_in_pieces_with_usage(world: World, client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="m:1", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == "Good morning"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2
    await until(lambda: not world.services.streams.taken)


async def test_a_chat_holds_one_of_its_callers_requests_until_it_ends(
    world: World, client: AsyncOpenAI
) -> None:
    requests = world.services.requests
    stream = await client.chat.completions.create(model="m:1", messages=MESSAGES, stream=True)
    assert requests.taken == 1
    async for _ in stream:
        pass
    await until(lambda: not requests.taken)
    with ExitStack() as others:
        for _ in range(requests.per_caller):
            others.enter_context(requests.slot("ann"))
        with pytest.raises(openai.RateLimitError, match="requests"):
            await client.with_options(max_retries=0).models.list()


async def test_texts_are_embedded(world: World, client: AsyncOpenAI) -> None:
    vectors = await client.embeddings.create(model="embed", input=["one", "two"])
    assert [datum.embedding for datum in vectors.data] == [[1.0, -1.0]] * 2
    assert vectors.usage.prompt_tokens == 3
    assert world.model.bodies[0]["model"] == "embed:latest"


async def test_whole_answers_take_turns_in_memory(world: World, client: AsyncOpenAI) -> None:
    answers, once = world.services.answers, client.with_options(max_retries=0)

    async def embed() -> object:
        return await once.embeddings.create(model="embed", input="one")

    with answers.reserve("ann") as hold:
        hold(answers.bytes_per_caller - 8)
        with pytest.raises(openai.RateLimitError, match="Ask with `stream`") as caught:
            await embed()
        assert caught.value.response.headers["Retry-After"] == "5"
    with ExitStack() as others:
        for number in range(answers.room.overall // answers.bytes_per_caller):
            others.enter_context(answers.reserve(f"other-{number}"))(answers.bytes_per_caller)
        with pytest.raises(openai.InternalServerError, match="of all callers") as full:
            await embed()
        assert full.value.status_code == 503
        stream = await once.chat.completions.create(model="m:1", messages=MESSAGES, stream=True)
        assert [chunk async for chunk in stream]
    assert await embed()
    await until(lambda: not answers.room.total)


async def test_a_whole_answer_counts_until_it_is_sent(world: World) -> None:
    answers, sizes = world.services.answers, list[int]()

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {}

    async def send(_: Message) -> None:
        sizes.append(answers.room.total)

    async def collect(on_bytes: OnBytes) -> bytes:
        on_bytes(7)
        return b"{12345}"

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    request = Request(scope, receive)
    response = await respond_whole(request, world.services, ANN, collect)
    await response(scope, receive, send)
    assert (sizes, answers.room.total) == ([7, 7], 0)


async def test_a_whole_answer_that_trickles_counts_until_its_connection_is_broken_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body is larger than what sockets and the server hold of it."""
    monkeypatch.setattr(long_requests, "_SEND_SECONDS", 2.0)
    room, size = world.services.answers.room, 12 * 1024 * 1024

    async def collect(on_bytes: OnBytes) -> bytes:
        on_bytes(size)
        return b"x" * size

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await respond_whole(request, world.services, ANN, collect)
        await response(scope, receive, send)

    async with serve(app) as url:
        with connect_without_reading(url, "GET / HTTP/1.1") as connection:
            connection.setblocking(False)
            receive_some = partial(asyncio.get_running_loop().sock_recv, connection)
            received = len(await receive_some(512))
            assert room.total == size, "it counts while it waits to be sent"
            while room.total:
                received += len(await receive_some(512))
                await asyncio.sleep(0.005)  # a client that trickles
            while piece := await receive_some(1024 * 1024):
                received += len(piece)
            assert received < size


async def test_models_are_listed_with_their_time(client: AsyncOpenAI) -> None:
    models = [model async for model in client.models.list()]
    assert [model.id for model in models] == ["embed:latest", "m:1"]
    assert {(model.owned_by, model.created) for model in models} == {("team-a", 1_795_510_800)}


async def test_only_known_fields_reach_the_model_server(world: World, client: AsyncOpenAI) -> None:
    await client.chat.completions.create(
        model="m:1",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hello"}], "name": "ann"},
        ],
        max_completion_tokens=5,
        temperature=0,
        stop=["END"],
        n=1,
        response_format={"type": "json_object"},
        tools=[{"type": "function", "function": {"name": "f"}}],
        tool_choice="none",
        user="ann",
        store=True,
        extra_body={
            "_debug_render_only": True,
            "keep_alive": -1,
            "options": {"num_ctx": 9_000_000},
        },
    )
    assert world.model.bodies == [
        {
            "model": "m:1",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hello"}], "name": "ann"},
            ],
            "max_tokens": 5,
            "temperature": 0.0,
            "stop": ["END"],
            "response_format": {"type": "json_object"},
        }
    ]


async def test_what_is_refused_has_the_clients_own_error(
    client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a refusal takes: a stream's head goes out before one that comes late."""
    monkeypatch.setattr(streaming, "_HEAD_SECONDS", 600.0)
    refusals: list[tuple[dict[str, Any], type[openai.APIStatusError], str]] = [
        ({"model": "other"}, openai.NotFoundError, "there is no such model"),
        ({"model": "../x"}, openai.BadRequestError, "is not a model name"),
        ({"n": 2}, openai.BadRequestError, "leave n out"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"messages": [{"role": "king", "content": ""}]}, openai.BadRequestError, "role"),
        ({"tools": [{"type": "function"}]}, openai.BadRequestError, "does not support tools"),
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
    ]
    for fields, kind, part in refusals:
        for stream in (False, True):
            body = {"model": "m:1", "messages": MESSAGES, **fields}
            with pytest.raises(kind, match=part) as caught:
                await client.chat.completions.create(**body, stream=stream)
            assert isinstance(caught.value.body, dict)
            assert caught.value.body["type"] == "invalid_request_error"


async def test_callers_without_permission_or_workspace_have_the_clients_own_error(
    world: World, client: AsyncOpenAI
) -> None:
    async with client_of(world, name="none") as other:
        with pytest.raises(openai.NotFoundError, match="no workspace 'none'"):
            await other.models.list()
    world.revoke()
    with pytest.raises(openai.NotFoundError, match="no workspace 'team-a'"):
        await client.chat.completions.create(model="m:1", messages=MESSAGES)
    with pytest.raises(openai.NotFoundError, match="There is nothing at"):
        await client.responses.create(model="m:1", input="Hello")


async def test_a_suspended_workspace_is_409_and_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with AsyncExitStack() as stack:
        world = await _running(stack, monkeypatch, spec={"suspended": True})
        client = await stack.enter_async_context(client_of(world))
        for work in (
            client.models.list(),
            client.embeddings.create(model="m:1", input="x"),
            client.chat.completions.create(model="m:1", messages=MESSAGES),
            client.chat.completions.create(model="m:1", messages=MESSAGES, stream=True),
        ):
            with pytest.raises(openai.ConflictError, match="Resume it first") as caught:
                await work
            assert caught.value.response.headers["X-Should-Retry"] == "false"
        async with world.get(f"{PATH}/team-a/models") as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (
                409,
                "suspended",
            )


async def test_a_reply_that_breaks_off_is_an_error(world: World, client: AsyncOpenAI) -> None:
    world.model.ends = "breaks off"
    stream = await client.chat.completions.create(model="m:1", messages=MESSAGES, stream=True)
    texts = [(await anext(stream)).choices[0].delta.content for _ in range(2)]
    assert texts == ["Good ", "morning"]
    with pytest.raises(openai.APIError, match="The reply broke off"):
        await anext(stream)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_permission_that_ends_while_the_model_loads_frees_the_server(
    world: World, client: AsyncOpenAI, stream: bool
) -> None:
    world.model.ends = "never begins"

    async def ask() -> None:
        reply: Any = await client.chat.completions.create(
            model="m:1", messages=MESSAGES, stream=stream
        )
        async for _ in reply:
            pass

    asking = asyncio.create_task(ask())
    await until(lambda: world.model.running == 1)
    world.revoke()
    async with asyncio.timeout(12):
        with pytest.raises(openai.APIError, match="no workspace 'team-a'"):
            await asking
    await until(lambda: not world.model.running)
    await until(lambda: not world.services.streams.taken)


@pytest.mark.parametrize("ends", ["never begins", "goes on"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_disconnect_frees_the_server(world: World, ends: str, stream: bool) -> None:
    world.model.ends = ends if stream else "never begins"
    async with client_of(world) as client:
        asking = asyncio.create_task(
            client.chat.completions.create(model="m:1", messages=MESSAGES, stream=stream)
        )
        await until(lambda: world.model.running == 1)
        if ends == "goes on" and stream:
            reply: Any = await asking
            assert (await anext(reply)).choices[0].delta.content == "Good "
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: not world.model.running)
    await until(lambda: not world.services.streams.taken)
