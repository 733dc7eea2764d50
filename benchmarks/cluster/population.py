"""Create callers with tokens, teams, and workspaces that look real."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.api.settings import AUDIENCE
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client

MANAGER: Final = "benchmark"
WORKSPACE: Final = kinds.WORKSPACE
_NAMESPACE: Final = kinds.NAMESPACE
_ACCOUNT: Final = Resource("", "v1", "ServiceAccount", "serviceaccounts")
_RBAC: Final = "rbac.authorization.k8s.io"
_BINDING: Final = Resource(_RBAC, "v1", "RoleBinding", "rolebindings")
_CLUSTER_BINDING: Final = Resource(
    _RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
TEAMS: Final = 20
_AT_ONCE: Final = 8
_NOW: Final = "2026-01-01T00:00:00Z"
_CONDITIONS: Final = (
    ("Provisioned", "Provisioned", "All 14 objects are as they should be."),
    ("OllamaAvailable", "MinimumReplicasAvailable", "The model server answers."),
    ("OpenWebUIAvailable", "MinimumReplicasAvailable", "The chat answers."),
    ("ModelsReady", "AllReady", "All models and patterns are there."),
    ("IngressServed", "Served", "An ingress controller serves the host."),
    ("UpToDate", "UpToDate", "The images are the platform's."),
    ("ToolsOffered", "ToolsOffered", "Chats offer tools to the models that can call them."),
    ("Ready", "Ready", "People can chat."),
)
_KINDS: Final = ("Namespace", "Secret", "ResourceQuota", "Service", "StatefulSet", "Deployment")


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller's tokens: `token` for our API, `direct` for the Kubernetes API server."""

    token: str
    direct: str


def workspace(name: str, team: str) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": kinds.WORKSPACE.kind,
        "metadata": {"name": name, "namespace": team},
        "spec": {
            "workspaceName": name,
            "models": ["gemma2:2b", "llama3.2"],
            "patterns": ["explain_code", "create_summary"],
        },
    }


def status(name: str, team: str, models_ready: str) -> dict[str, Any]:
    """Return a status as the operator writes it, to be applied."""
    condition = {"status": "True", "lastTransitionTime": _NOW, "observedGeneration": 1}
    return {
        "apiVersion": names.API_VERSION,
        "kind": kinds.WORKSPACE.kind,
        "metadata": {"name": name, "namespace": team},
        "status": {
            "observedGeneration": 1,
            "phase": "Ready",
            "isCreated": True,
            "url": f"https://{name}.aichat.example.org",
            "namespace": {"name": name, "uid": "3f1c6f0e-0c63-4a59-9d1e-9f64d0b3c111"},
            "conditions": [
                {"type": kind, "reason": reason, "message": message, **condition}
                for kind, reason, message in _CONDITIONS
            ],
            "modelsReady": models_ready,
            "models": [
                {"name": model, "state": "Ready", "percent": 100, "managed": True}
                for model in ("gemma2:2b", "llama3.2:latest")
            ],
            "patterns": [
                {"name": pattern, "state": "Ready", "revision": "a1b2c3d4"}
                for pattern in ("explain_code", "create_summary")
            ],
            "resources": [
                {"kind": kind, "name": f"{name}-{kind.lower()}", "state": "Present"}
                for kind in _KINDS
            ],
        },
    }


def team_of(n: int) -> str:
    return f"bench-team-{n % TEAMS}"


def name_of(n: int) -> str:
    return f"bench-{n:04}"


async def at_once(work: Callable[[int], Awaitable[object]], numbers: Iterable[int]) -> None:
    """Work on some numbers at a time."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def work_in_turn(n: int) -> None:
        async with gate:
            await work(n)

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(work_in_turn(number))


async def populate(client: Client, count: int) -> None:
    """Create the teams, and workspaces in them."""

    async def create_team(n: int) -> None:
        metadata = {"name": team_of(n), "labels": {names.TEAM_LABEL: "true"}}
        await client.create(_NAMESPACE, {"metadata": metadata}, field_manager=MANAGER)

    async def create_workspace(n: int) -> None:
        name, team = name_of(n), team_of(n)
        await client.create(WORKSPACE, workspace(name, team), field_manager=MANAGER)
        body = status(name, team, "2/2")
        await client.apply(WORKSPACE, body, field_manager=MANAGER, subresource="status")

    await at_once(create_team, range(TEAMS))
    await at_once(create_workspace, range(count))


@dataclass(frozen=True, slots=True)
class Callers:
    """Callers with all rights on workspaces: everywhere, or the n-th in `team_of(n)` only."""

    everywhere: Sequence[Caller]
    of_teams: Sequence[Caller]


async def callers(client: Client, count: int) -> Callers:
    """Create so many callers of each sort, with their permissions."""
    everywhere, of_teams = ([f"{kind}-{n}" for n in range(count)] for kind in ("caller", "member"))
    await client.create(_CLUSTER_BINDING, _binding(_homes(everywhere)), field_manager=MANAGER)
    for n in range(min(TEAMS, count)):
        members = _binding({name: team_of(n) for name in of_teams[n::TEAMS]})
        members["metadata"]["namespace"] = team_of(n)
        await client.create(_BINDING, members, field_manager=MANAGER)
    return Callers(
        await _create_accounts(client, everywhere), await _create_accounts(client, of_teams)
    )


def _homes(accounts: Sequence[str]) -> dict[str, str]:
    """Return each account's namespace; the accounts of one share a rate limit of the API."""
    return {account: team_of(n) for n, account in enumerate(accounts)}


def _binding(homes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "metadata": {"name": MANAGER},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "aichatworkspace-editor"},
        "subjects": [
            {"kind": "ServiceAccount", "name": name, "namespace": team}
            for name, team in homes.items()
        ],
    }


async def _create_accounts(client: Client, accounts: Sequence[str]) -> list[Caller]:
    callers: dict[int, Caller] = {}

    async def create(n: int) -> None:
        team, name = team_of(n), accounts[n]
        metadata = {"name": name, "namespace": team}
        await client.create(_ACCOUNT, {"metadata": metadata}, field_manager=MANAGER)
        token = await _token(client, team, name, [AUDIENCE])
        callers[n] = Caller(token, await _token(client, team, name, []))

    await at_once(create, range(len(accounts)))
    return [callers[n] for n in range(len(accounts))]


async def _token(client: Client, team: str, account: str, audiences: list[str]) -> str:
    body = {"spec": {"audiences": audiences, "expirationSeconds": 7200}}
    path = _ACCOUNT.path(team, account, "token")
    review = await client.review(path, body)
    return str(review["status"]["token"])
