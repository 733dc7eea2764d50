"""Draw the pictures of docs/console.md: python hack/console_pictures.py [FOLDER]

The pages are the real application's, the workspaces are samples: SAMPLES says which. Messages and
events are what the operator itself says of them.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, async_playwright

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from aichat_workspace.api.auth.authentication import Caller  # noqa: E402
from aichat_workspace.api.schemas.teams import Role, SubjectKind, TokenCreate  # noqa: E402
from aichat_workspace.api.teams.members import Subject  # noqa: E402
from aichat_workspace.domain import names  # noqa: E402
from aichat_workspace.domain.models.capacity import capacity_problem  # noqa: E402
from aichat_workspace.domain.v1alpha1.workspace import Workspace  # noqa: E402
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus  # noqa: E402
from aichat_workspace.operator.telemetry.events import events  # noqa: E402
from tests.fakes.console import TEAM, ConsoleWorld, make_world, namespace  # noqa: E402
from tests.fakes.listing import take_list  # noqa: E402
from tests.unit.api.samples import resource  # noqa: E402
from tests.unit.api.serving import serve  # noqa: E402

_WIDE: Final = {"width": 1180, "height": 760}
_PHONE: Final = {"width": 390, "height": 844}
_GIB: Final = 2**30


def ago(**span: int) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat(timespec="seconds")


def condition(kind: str, *, is_met: bool, time: str, message: str = "", reason: str = "As") -> Any:
    return {
        "type": kind,
        "status": "True" if is_met else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": time,
        "observedGeneration": 1,
    }


def ready(name: str, *, days: int, models: list[str], team: str = TEAM) -> dict[str, Any]:
    created = datetime.now(UTC) - timedelta(days=days)
    kinds = ("Provisioned", "OllamaAvailable", "OpenWebUIAvailable", "ModelsReady", "Ready")
    seconds = (1, 4, 9, 71, 72)
    return resource(
        name,
        team=team,
        created=created.isoformat(timespec="seconds"),
        spec={"models": models},
        status={
            "phase": "Ready",
            "url": f"https://{name}.ai.example.org",
            "namespace": {"name": name, "uid": f"namespace-of-{name}"},
            "modelsReady": f"{len(models)}/{len(models)}",
            "models": [
                {"name": model, "state": "Ready", "totalBytes": int(1.6 * _GIB)} for model in models
            ],
            "patterns": [{"name": "explain_code", "state": "Ready"}],
            "conditions": [
                condition(kind, is_met=True, time=(created + timedelta(seconds=after)).isoformat())
                for kind, after in zip(kinds, seconds, strict=True)
            ],
        },
    )


def pulling(name: str) -> dict[str, Any]:
    created, model = ago(minutes=2), "llama3.3:70b"
    met = ("Provisioned", "OllamaAvailable", "OpenWebUIAvailable")
    return resource(
        name,
        team=TEAM,
        created=created,
        spec={"models": [model, "nomic-embed-text"]},
        status={
            "phase": "PullingModels",
            "url": f"https://{name}.ai.example.org",
            "namespace": {"name": name, "uid": f"namespace-of-{name}"},
            "modelsReady": "1/2 41%",
            "models": [
                {
                    "name": model,
                    "state": "Pulling",
                    "percent": 41,
                    "completedBytes": int(16.1 * _GIB),
                    "totalBytes": int(39.6 * _GIB),
                    "bytesPerSecond": 68 * 2**20,
                    "etaSeconds": 360,
                },
                {"name": "nomic-embed-text", "state": "Ready", "totalBytes": 274 * 2**20},
            ],
            "conditions": [
                *(condition(kind, is_met=True, time=ago(seconds=110)) for kind in met),
                condition("ModelsReady", is_met=False, time=created, reason="Pulling"),
                condition(
                    "Ready",
                    is_met=False,
                    time=created,
                    reason="Pulling",
                    message="llama3.3:70b is being downloaded",
                ),
            ],
        },
    )


def degraded(name: str) -> dict[str, Any]:
    present, needed = int(3.2 * _GIB), int(17.4 * _GIB)
    problem = capacity_problem("gemma3:27b", needed, present, 20 * _GIB)
    sample = ready(name, days=31, models=["gemma2:2b"], team="sales")
    status = sample["status"]
    status["phase"] = "Degraded"
    status["conditions"][-2:] = [
        condition(
            "ModelsReady",
            is_met=False,
            time=ago(minutes=20),
            reason="ModelTooLarge",
            message=problem,
        ),
        condition(
            "Ready", is_met=False, time=ago(minutes=20), reason="ModelTooLarge", message=problem
        ),
    ]
    entries: list[dict[str, Any]] = [
        {"time": ago(minutes=20), "action": "edit", "user": "ann@example.org"},
        {"time": ago(days=2), "action": "resume", "user": "bo@example.org"},
        {"time": ago(days=31), "action": "create", "user": "ann@example.org"},
    ]
    entries[0] |= {"changed": ["spec.models"], "added": ["gemma3:27b"]}
    marks = sample["metadata"]["annotations"]
    marks[names.HISTORY_ANNOTATION] = json.dumps(entries[::-1])
    failed = {"name": "gemma3:27b", "state": "Failed", "reason": "ModelTooLarge"}
    status["models"].append({**failed, "message": problem})
    return sample


def suspended(name: str) -> dict[str, Any]:
    sample = ready(name, days=64, models=["qwen2.5:7b"], team="finance")
    sample["spec"]["suspended"] = True
    sample["status"] |= {"phase": "Suspended", "url": None}
    return sample


SAMPLES: Final = (
    ready("red-chat", days=9, models=["gemma2:2b", "llama3.2"]),
    pulling("research-chat"),
    degraded("sales-chat"),
    suspended("year-end-chat"),
)


def fill(world: ConsoleWorld) -> None:
    for sample in SAMPLES:
        world.put(sample)
    tenants = [namespace(sample["spec"]["workspaceName"]) for sample in SAMPLES]
    store = world.services.cluster._namespaces._store
    take_list(store, [*store.all(), *tenants], 2)
    world.client.events = [*events_of(SAMPLES[2])]
    fill_usage(world)


def fill_usage(world: ConsoleWorld) -> None:
    """Give each workspace a quota and volumes."""
    quotas, claims = [], []
    for number, sample in enumerate(SAMPLES, 1):
        name = sample["spec"]["workspaceName"]
        metadata = {"name": name, "namespace": name, "resourceVersion": "2"}
        hard = {"limits.cpu": "6", "limits.memory": "12Gi", "requests.storage": "40Gi", "pods": "4"}
        used = {"limits.cpu": str(number), "limits.memory": f"{2 * number}Gi", "pods": "2"}
        used["requests.storage"] = "30Gi"
        quotas.append({"metadata": metadata, "status": {"hard": hard, "used": used}})
        for claim, size in ((names.ollama(name), "20Gi"), (names.openwebui(name), "10Gi")):
            status = {"phase": "Bound", "capacity": {"storage": size}}
            spec = {"storageClassName": "fast", "resources": {"requests": {"storage": size}}}
            claims.append({"metadata": {**metadata, "name": claim}, "spec": spec, "status": status})
    cluster = world.services.cluster
    take_list(cluster._quotas._store, quotas, 2)
    take_list(cluster._claims._store, claims, 2)


async def fill_team(world: ConsoleWorld) -> None:
    """Give the team members and a token."""
    world.client.people.created = ago(days=12)
    ann, services = Caller("ann@example.org", "1", ()), world.services
    for person, role in (("bo@example.org", Role.ADMIN), ("cleo@example.org", Role.VIEWER)):
        subject = Subject(SubjectKind.USER, person)
        await services.members.invite(ann, TEAM, subject, role, dry_run=False)
    await services.tokens.create(ann, TEAM, TokenCreate(name="ci", role=Role.EDITOR))


def events_of(sample: dict[str, Any]) -> Iterator[Any]:
    """Yield what the operator reports of a workspace that was well until twenty minutes ago."""
    was_well = ready(sample["spec"]["workspaceName"], days=31, models=["gemma2:2b"])
    now = datetime.now(UTC) - timedelta(minutes=20)
    new_status = WorkspaceStatus.model_validate(sample["status"], by_alias=True)
    for event in events(Workspace.parse(was_well), new_status, now):
        metadata = {**event["metadata"], "resourceVersion": "1"}
        metadata["creationTimestamp"] = now.isoformat()
        regarding = event["regarding"]
        yield {**event, "metadata": metadata, "message": event["note"], "involvedObject": regarding}


PAGES: Final = {
    "list": "/",
    "new": f"/new?name=blue-chat&team={TEAM}&model=gemma2:2b",
    "workspace": "/workspaces/sales-chat?team=sales",
    "team": f"/teams/{TEAM}",
    "models": "/models?memory=8Gi&storage=20Gi",
    "platform": "/platform",
    "settings": "/workspaces/sales-chat/settings?team=sales&raise=storage.ollama.size",
}
PICTURES: Final[tuple[tuple[str, Any, Any], ...]] = (
    ("list", "light", _WIDE),
    ("new", "light", _WIDE),
    ("workspace", "dark", _WIDE),
    ("list", "dark", _PHONE),
    ("settings", "light", _WIDE),
    ("team", "light", _WIDE),
    ("models", "dark", _WIDE),
    ("platform", "light", _WIDE),
)


async def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    world = make_world({})
    fill(world)
    await fill_team(world)
    async with async_playwright() as playwright, serve(world.app, world.services.stopping) as url:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        for name, scheme, viewport in PICTURES:
            suffix = "-phone" if viewport is _PHONE else ""
            await draw(
                browser,
                url,
                name,
                scheme,
                viewport,
                folder / f"console-{name}-{scheme}{suffix}.png",
            )
        await browser.close()


async def draw(
    browser: Browser, url: str, name: str, scheme: Any, viewport: Any, picture: Path
) -> None:
    """Sign in, and draw one page."""
    context = await browser.new_context(viewport=viewport, color_scheme=scheme, base_url=url)
    page = await context.new_page()
    page.on("console", lambda line: print(f"console: {line.text}"))
    page.on("pageerror", lambda error: print(f"the page broke: {error}"))
    await page.goto("/login")
    await page.fill("#token", "good")
    await page.press("#token", "Enter")
    await page.wait_for_url("**/")
    await page.goto(PAGES[name])
    await page.wait_for_timeout(1000)  # the check of the form, and the first refresh
    await page.screenshot(path=picture, animations="disabled", full_page=True)
    await context.close()


if __name__ == "__main__":
    asyncio.run(main())
