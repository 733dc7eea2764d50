"""The simulated fleet: lists, writes and watches, as far as operators rely on them."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from benchmarks.comparison.fleet import Fleet, listing, merge, place_of

SERVICES = "/api/v1/services"
TEAMS = "/apis/example.org/v1/teams"
UID = "01234567-89ab-cdef-0123-456789abcdef"


def page(kind: str, version: str, *items: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": version, "kind": f"{kind}List", "items": items})


SERVICE = {
    "metadata": {"name": "web", "namespace": "bench-9999", "uid": UID, "resourceVersion": "5"},
    "spec": {"ports": [80], "of": "bench-9999"},
}
OTHER = {"metadata": {"name": "kubernetes", "namespace": "default", "uid": "other"}}
TEAM = {
    "metadata": {"name": "bench-9999", "namespace": "default", "uid": UID, "resourceVersion": "5"},
    "spec": {},
}


@pytest.fixture
def fleet() -> Fleet:
    listings = {
        SERVICES: listing(page("Service", "v1", SERVICE, OTHER), "bench-9999", [UID]),
        TEAMS: listing(page("Team", "example.org/v1", TEAM), "bench-9999", [UID]),
    }
    return Fleet(listings, ("bench-0000", "bench-0001", "bench-0002"))


async def test_all_are_listed_page_by_page_with_names_and_uids_of_their_own(fleet: Fleet) -> None:
    async with (
        TestServer(fleet.application()) as server,
        ClientSession(server.make_url("/")) as api,
    ):
        first = await (await api.get(SERVICES, params={"limit": "2"})).json()
        token = first["metadata"]["continue"]
        last = await (await api.get(SERVICES, params={"limit": "2", "continue": token})).json()
    items = [*first["items"], *last["items"]]
    assert [item["metadata"]["namespace"] for item in items] == [*fleet.names, "default"]
    assert [item["metadata"]["uid"] for item in items[:2]] == [
        f"00000000{UID[8:]}",
        f"00000001{UID[8:]}",
    ]
    assert items[1]["spec"]["of"] == "bench-0001"
    assert "continue" not in last["metadata"]
    assert (first["kind"], fleet.objects, fleet.requests) == ("ServiceList", 7, 2)


async def test_a_write_is_answered_seen_by_a_watch_and_listed(fleet: Fleet) -> None:
    notes: list[str] = []
    fleet.on_write = lambda plural, body: notes.append(f"{plural} {body['metadata']['name']}")
    path = "/api/v1/namespaces/bench-0001/services/web"
    async with (
        TestServer(fleet.application()) as server,
        ClientSession(server.make_url("/")) as api,
    ):
        async with api.get(SERVICES, params={"watch": "true"}) as watch:
            body = json.dumps({"metadata": {"name": "web"}, "spec": {"ports": [81]}})
            written = await (await api.patch(path, data=body)).json()
            async with asyncio.timeout(5):
                event = json.loads(await watch.content.readline())
        items = (await (await api.get(SERVICES)).json())["items"]
    assert written["spec"] == {"ports": [81], "of": "bench-0001"}
    assert event == {"type": "MODIFIED", "object": written}
    assert int(written["metadata"]["resourceVersion"]) > 1_000_000
    assert items[1] == written
    assert (fleet.writes, notes) == (1, ["services web"])


async def test_a_status_is_replaced_because_its_writer_owns_all_of_it(fleet: Fleet) -> None:
    path = "/apis/example.org/v1/namespaces/default/teams/bench-0001/status"
    async with (
        TestServer(fleet.application()) as server,
        ClientSession(server.make_url("/")) as api,
    ):
        for status in ({"turn": {"state": "Changing"}, "phase": "Ready"}, {"phase": "Ready"}):
            body = json.dumps({"metadata": {"name": "bench-0001"}, "status": status})
            written = await (await api.patch(path, data=body)).json()
    assert written["status"] == {"phase": "Ready"}
    assert written["spec"] == {}


async def test_an_object_of_no_resource_can_be_added(fleet: Fleet) -> None:
    added = {"metadata": {"name": "settings", "namespace": "default", "uid": "u"}}
    async with (
        TestServer(fleet.application()) as server,
        ClientSession(server.make_url("/")) as api,
        api.get(SERVICES, params={"watch": "true"}) as watch,
    ):
        fleet.add(SERVICES, added)
        async with asyncio.timeout(5):
            event = json.loads(await watch.content.readline())
        items = (await (await api.get(SERVICES)).json())["items"]
    assert event["type"] == "ADDED"
    assert items[-1] == event["object"]


async def test_a_write_to_an_object_of_no_resource_is_merged_into_it(fleet: Fleet) -> None:
    fleet.add(
        SERVICES, {"metadata": {"name": "settings", "namespace": "default"}, "spec": {"a": 1}}
    )
    async with (
        TestServer(fleet.application()) as server,
        ClientSession(server.make_url("/")) as api,
    ):
        path = "/api/v1/namespaces/default/services/settings/status"
        body = json.dumps({"metadata": {"name": "settings"}, "status": {"ready": True}})
        written = await (await api.patch(path, data=body)).json()
        items = (await (await api.get(SERVICES)).json())["items"]
    assert (written["spec"], written["status"]) == ({"a": 1}, {"ready": True})
    assert items[-1] == written


async def test_what_no_list_has_is_answered_and_not_kept(fleet: Fleet) -> None:
    async with (
        TestServer(fleet.application()) as server,
        ClientSession(server.make_url("/")) as api,
    ):
        body = json.dumps({"metadata": {"name": "a"}})
        event = await (await api.post("/api/v1/namespaces/default/events", data=body)).json()
        absent = await api.get("/api/v1/namespaces/default/events/a")
        proxy = "/api/v1/namespaces/bench-0000/services/ollama:11434/proxy"
        tags = await (await api.get(f"{proxy}/api/tags")).json()
    assert event["metadata"]["uid"]
    assert absent.status == 404
    assert tags["models"]


def test_copies_are_of_the_first_resources(fleet: Fleet) -> None:
    copies = fleet.copies("teams", 2)
    assert [(path, body["metadata"]["name"]) for path, body in copies] == [
        (TEAMS, "bench-0000"),
        (TEAMS, "bench-0001"),
    ]
    assert fleet.plurals == ["services", "teams"]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/api/v1/namespaces/a", ("/api/v1", "namespaces", "", "a")),
        ("/api/v1/namespaces", ("/api/v1", "namespaces", "", "made")),
        ("/api/v1/namespaces/a/pods/b", ("/api/v1", "pods", "a", "b")),
        ("/apis/x.org/v1/namespaces/a/teams/b/status", ("/apis/x.org/v1", "teams", "a", "b")),
        ("/apis/x.org/v1/teams", ("/apis/x.org/v1", "teams", "", "made")),
    ],
)
def test_a_path_says_which_object(path: str, place: tuple[str, str, str, str]) -> None:
    assert place_of(path, {"metadata": {"name": "made"}}) == place


def test_a_path_outside_of_the_api_is_refused() -> None:
    with pytest.raises(ValueError, match="no path of the Kubernetes API"):
        place_of("/healthz", {})


def test_maps_are_merged_and_lists_replaced() -> None:
    assert merge({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2], "d": 3}}) == {
        "a": {"b": 1, "c": [2], "d": 3}
    }


async def test_a_kind_that_is_not_installed_is_not_asked_for_again_and_again(fleet: Fleet) -> None:
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    async with (
        TestServer(fleet.application()) as server,
        ClientSession(server.make_url("/")) as api,
    ):
        watch = {"watch": "true", "timeoutSeconds": "0"}
        routes = await api.get("/apis/example.org/v1/routes")
        definition = await api.get(definitions, params=watch)
        assert (routes.status, definition.status, fleet.requests) == (404, 200, 1)
        assert await definition.read() == b""
