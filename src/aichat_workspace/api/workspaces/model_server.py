"""The model servers of workspaces: their models, and replies to prompts.

What a server does not answer is logged with its address, and told without.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from aichat_workspace.api.schemas.workspace import Prompt
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web.responses import cluster_errors, problems
from aichat_workspace.api.web.responses.field_errors import FieldError
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.tenant_namespace import require_namespace, require_running
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain.models.catalogue import KNOWN_BY_KEY
from aichat_workspace.domain.models.name import InvalidModelNameError, model_key, parse_model
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.errors import (
    ModelNotFoundError,
    OllamaError,
    OllamaUnreachableError,
    RequestRefusedError,
)
from aichat_workspace.ollama.installed import InstalledModel, ModelFacts
from aichat_workspace.ollama.replies import ReplyPiece
from aichat_workspace.runtime.servers import Connect

_MODELS_TTL_SECONDS: Final = 2.0
_MAX_LISTS: Final = 50
_MODELS_SECONDS: Final = 25.0
_FACTS_TTL_SECONDS: Final = 3_600.0
_MAX_FACTS: Final = 1_000
_FACTS_SECONDS: Final = 5.0
_CONCURRENT_FACTS: Final = 4
_NO_FACTS: Final = ModelFacts()
_log: Final = structlog.get_logger()
T = TypeVar("T")

Models = tuple[InstalledModel, ...]
Facts = Mapping[str, ModelFacts]


def _new_cache() -> TtlCache[str, Models]:
    return TtlCache(_MODELS_TTL_SECONDS, _MAX_LISTS)


@dataclass(frozen=True, slots=True)
class ModelServers:
    """Asks workspaces' model servers. Every method raises ProblemError: 409 while the workspace has
    no server, 503 when it does not answer, 502 when it fails."""

    cluster: ClusterView
    connect: Connect
    _models_cache: TtlCache[str, Models] = field(default_factory=_new_cache)
    _facts_cache: TtlCache[tuple[str, str], ModelFacts] = field(
        default_factory=lambda: TtlCache(_FACTS_TTL_SECONDS, _MAX_FACTS)
    )
    """By the workspace's UID, as a server could lie about a digest, and the digest."""

    def server(self, view: View) -> OllamaClient:
        """Return the workspace's server. Raises ProblemError (409) while it has none."""
        require_running(view, "no model answers")
        return self.connect(require_namespace(self.cluster, view))

    async def models(self, view: View) -> Models:
        """Return the server's models by name, as of two seconds ago at most."""
        server = self.server(view)
        return await self._models_cache.get(
            view.document["uid"], lambda: _read_models(view, server)
        )

    async def facts(self, view: View, models: Models) -> Facts:
        """Return what the server states of models that are not well known, by their digests.

        It leaves out those of which the server states nothing within some seconds. A digest's facts
        are asked for once in an hour. Raises ProblemError (409) while there is no server.
        """
        server, uid = self.server(view), view.document["uid"]
        waiting = iter([model for model in models if model_key(model.name) not in KNOWN_BY_KEY])
        facts: dict[str, ModelFacts] = {}

        async def work() -> None:
            for model in waiting:
                with suppress(OllamaError):
                    facts[model.digest] = await self._facts_cache.get(
                        (uid, model.digest), partial(server.facts, model.name)
                    )

        with suppress(TimeoutError):
            async with asyncio.timeout(_FACTS_SECONDS), asyncio.TaskGroup() as group:
                for _ in range(_CONCURRENT_FACTS):
                    group.create_task(work())
        return facts

    def ask(self, view: View, prompt: Prompt) -> tuple[str, AsyncGenerator[ReplyPiece, None]]:
        """Return the model that answers, and its reply in pieces.

        Raises ProblemError (422) when there is no such model, as the pieces do.
        """
        models = self.cluster.models_of(view.document["spec"]) or ()
        model = prompt.model or next(iter(models), None)
        if model is None:
            error = FieldError("model", "the workspace has no model; name one, or add one")
            raise problems.invalid([error])
        options = {
            name: value
            for name, value in (("temperature", prompt.temperature), ("seed", prompt.seed))
            if value is not None
        }
        pieces = self.server(view).chat(
            canonical_name(model), prompt.prompt, system=prompt.system, options=options
        )
        return model, _as_problems(view, pieces)

    async def openai(
        self, view: View, path: str, body: Mapping[str, Any], on_bytes: Callable[[int], object]
    ) -> bytes:
        """Return the response to a request in OpenAI's shape, as the server gives it.

        `on_bytes` is called with the size of each piece that arrives; what it raises ends it.
        """
        server = self.server(view)
        try:
            return await server.openai(path, _with_canonical_name(body), on_bytes=on_bytes)
        except OllamaError as error:
            raise model_server_problem(view, error) from None

    def openai_stream(
        self, view: View, path: str, body: Mapping[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        """Return the data of each event of the response."""
        events = self.server(view).openai_stream(path, _with_canonical_name(body))
        return _as_problems(view, events)


def model_documents(view: View, models: Models, facts: Facts) -> list[dict[str, Any]]:
    """Return a schemas.workspace.InstalledModel for each model. `facts` are by digest."""
    status = view.document["status"]
    origins = {model_key(model["name"]): "model" for model in status.get("models", ())}
    origins |= {f"{pattern['name']}:latest": "pattern" for pattern in status.get("patterns", ())}
    return [
        {
            "name": model.name,
            "sizeBytes": model.size_bytes,
            "origin": origins.get(model_key(model.name), "person"),
            "parameters": model.details.parameters,
            "quantization": model.details.quantization,
            **_context_and_licence(model, facts.get(model.digest, _NO_FACTS)),
        }
        for model in models
    ]


def _context_and_licence(model: InstalledModel, facts: ModelFacts) -> dict[str, Any]:
    """Return what the server states, or else what is known of a model of this name."""
    known = KNOWN_BY_KEY.get(model_key(model.name))
    context = model.details.context_length or facts.context_length
    return {
        "contextLength": context or (known.context_length if known else None),
        "licence": facts.licence or (known.licence if known else None),
    }


def canonical_name(model: str) -> str:
    """Return the name as the server lists it. Raises ProblemError (422)."""
    try:
        return str(parse_model(model))
    except InvalidModelNameError as error:
        raise problems.invalid([FieldError("model", str(error))]) from None


def _with_canonical_name(body: Mapping[str, Any]) -> dict[str, Any]:
    return {**body, "model": canonical_name(body["model"])}


async def _read_models(view: View, server: OllamaClient) -> Models:
    try:
        async with asyncio.timeout(_MODELS_SECONDS):
            models = await server.models()
    except TimeoutError:  # it sends slowly: never silent for long, and never done
        raise model_server_problem(view, OllamaUnreachableError("it takes too long")) from None
    except OllamaError as error:
        raise model_server_problem(view, error) from None
    return tuple(sorted(models, key=lambda model: model.name))


async def _as_problems(view: View, pieces: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield the pieces. Raises ProblemError for an error of the server."""
    has_begun = False
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                has_begun = True
                yield piece
    except OllamaError as error:
        problem = model_server_problem(view, error)
        if has_begun:
            detail = f"The reply broke off. {problem.detail}"
            problem = ProblemError(502, "model-error", detail)
        raise problem from None


def model_server_problem(view: View, error: OllamaError) -> ProblemError:
    """Return the problem for an error of the workspace's server, without addresses."""
    reading = f"GET /api/v1/workspaces/{view.name}"
    match error:
        case OllamaUnreachableError():
            _log.warning("a model server does not answer", workspace=view.name, error=str(error))
            return problems.unavailable(
                f"The model server of {view.name!r} does not answer. {reading}/diagnosis says why."
            )
        case ModelNotFoundError():
            message = f"there is no such model here; {reading}/models lists those it has"
            return problems.no_model(message)
        case RequestRefusedError():
            return problems.invalid([FieldError("", cluster_errors.without_addresses(str(error)))])
    message = cluster_errors.without_addresses(str(error))
    return ProblemError(502, "model-error", f"The model server refuses: {message}")
