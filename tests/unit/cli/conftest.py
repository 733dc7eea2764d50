"""The API, served once for the tests of a file; each begins with an empty cluster."""

import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.cli import following
from aichat_workspace.cli.client.events import Event
from aichat_workspace.cli.server.provider import Client, Provider, open_provider
from tests.integration import oidc_provider
from tests.unit.cli.world import World, served_world

Acting = Callable[..., None]


@pytest.fixture(scope="module")
def served() -> Iterator[World]:
    # The API's own log would go to the standard output that commands write to.
    with pytest.MonkeyPatch.context() as patch, capture_logs():
        patch.setattr(ClusterView, "is_synced", True)
        with served_world() as world:
            yield world


@pytest.fixture
def world(served: World, tmp_path: Path) -> World:
    served.begin(tmp_path)
    return served


@pytest.fixture(scope="session")
def running_idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[oidc_provider.Provider]:
    with oidc_provider.serving(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def idp(running_idp: oidc_provider.Provider) -> oidc_provider.Provider:
    """The provider, which does everything that it is asked for."""
    running_idp.device_answers, running_idp.refusal, running_idp.interval = [], "", 1
    running_idp.person, running_idp.seconds = "ann", 3600
    return running_idp


@pytest.fixture
def trust(idp: oidc_provider.Provider) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=idp.ca_file)


@pytest.fixture
def client(idp: oidc_provider.Provider) -> Client:
    return Client(idp.issuer, oidc_provider.CLIENT_ID, "openid")


@pytest.fixture
def provider(client: Client, trust: ssl.SSLContext) -> Iterator[Provider]:
    with open_provider(client, trust) as opened:
        yield opened


@pytest.fixture
def when_watched(monkeypatch: pytest.MonkeyPatch) -> Acting:
    """Do one thing after another, as another person would, each once aichatctl has taken in a
    change."""
    taken_in: queue.SimpleQueue[None] = queue.SimpleQueue()
    watch = following.watch

    def noting(*arguments: Any, **options: Any) -> Iterator[Event]:
        for event in watch(*arguments, **options):
            yield event
            if event.kind in following.CHANGES:
                taken_in.put(None)  # the next one is asked for

    monkeypatch.setattr(following, "watch", noting)

    def act_in_turn(*actions: Callable[[], object]) -> None:
        def act() -> None:
            for action in actions:
                taken_in.get()
                action()

        threading.Thread(target=act, daemon=True).start()

    return act_in_turn
