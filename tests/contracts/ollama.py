"""What the API relies on of Ollama's endpoints in OpenAI's shape: the real one and the fake."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest

from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.errors import ModelNotFoundError, OllamaError

_CHAT, _EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
_TOOL = {"type": "function", "function": {"name": "tell_time", "parameters": {"type": "object"}}}
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class ModelServer:
    """A server with two models."""

    client: OllamaClient
    chat_model: str
    """It answers, and can call no tools."""
    embedding_model: str

    def chat(self, **options: Any) -> dict[str, Any]:
        """Return the body of a request."""
        messages = [{"role": "user", "content": "Good morning"}]
        return {"model": self.chat_model, "messages": messages, "max_tokens": 20, **options}

    async def stream(self, **options: Any) -> list[dict[str, Any]]:
        body = self.chat(stream=True, **options)
        return [json.loads(data) async for data in self.client.openai_stream(_CHAT, body)]


class OllamaContract:
    """A subclass has a fixture `server`."""

    async def test_its_models_have_a_name_and_a_size(self, server: ModelServer) -> None:
        sizes = {model.name: model.size_bytes for model in await server.client.models()}
        assert sizes[server.chat_model] > 0
        assert sizes[server.embedding_model] > 0

    async def test_a_models_context_and_licence_are_stated(self, server: ModelServer) -> None:
        facts = await server.client.facts(server.chat_model)
        assert (facts.context_length or 0) > 0
        assert facts.licence

    async def test_a_whole_reply_has_a_message_an_end_and_usage(self, server: ModelServer) -> None:
        reply = json.loads(await server.client.openai(_CHAT, server.chat()))
        (choice,) = reply["choices"]
        assert choice["message"]["role"] == "assistant"
        assert choice["message"]["content"]
        assert choice["finish_reason"] in ("stop", "length")
        usage = reply["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0

    async def test_a_stream_has_pieces_and_an_end(self, server: ModelServer) -> None:
        chunks = [chunk["choices"][0] for chunk in await server.stream()]
        assert len([chunk for chunk in chunks if chunk["delta"].get("content")]) > 1
        assert [bool(chunk["finish_reason"]) for chunk in chunks].count(True) == 1
        assert chunks[-1]["finish_reason"] in ("stop", "length")

    async def test_a_stream_tells_usage_at_its_end_if_asked(self, server: ModelServer) -> None:
        *others, last = await server.stream(stream_options={"include_usage": True})
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] > 0
        assert all(chunk["choices"] for chunk in others)

    async def test_a_model_that_is_not_there_is_not_found(self, server: ModelServer) -> None:
        with pytest.raises(ModelNotFoundError):
            await server.client.openai(_CHAT, server.chat(model="no-such-model:1b"))

    async def test_tools_for_a_model_without_them_are_refused(self, server: ModelServer) -> None:
        with pytest.raises(OllamaError, match="does not support tools"):
            await server.client.openai(_CHAT, server.chat(tools=[_TOOL]))

    async def test_each_text_has_a_vector_of_32_bit_floats(self, server: ModelServer) -> None:
        body = {"model": server.embedding_model, "input": ["a", "b"], "encoding_format": "base64"}
        answer = json.loads(await server.client.openai(_EMBEDDINGS, body))
        assert [entry["index"] for entry in answer["data"]] == [0, 1]
        for entry in answer["data"]:
            vector = base64.b64decode(entry["embedding"], validate=True)
            assert vector
            assert len(vector) % _FLOAT_BYTES == 0
        assert answer["usage"]["total_tokens"] > 0
