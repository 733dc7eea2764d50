"""The platform's choices."""

from tests.unit.api.routes.calling import calling
from tests.unit.api.samples import resource


async def test_models_in_use_are_counted_with_the_sizes_that_are_known() -> None:
    reported = [
        {"name": "gemma2:2b", "state": "Ready", "totalBytes": 7},
        {"name": "llama3.2:latest", "state": "Pulling", "totalBytes": 9},
    ]
    models = {"models": ["gemma2:2b", "llama3.2"]}
    async with calling() as (cluster, client):
        cluster.watch_event(resource("team-a", spec=models, status={"models": reported}))
        cluster.watch_event(resource("team-b", spec={"models": ["Gemma2:2b"]}))
        answer = (await client.get("/api/v1/models")).json()
    assert answer["inUse"] == [
        {"name": "gemma2:2b", "workspaces": 2, "sizeBytes": 7},
        {"name": "llama3.2:latest", "workspaces": 1, "sizeBytes": None},
    ]
