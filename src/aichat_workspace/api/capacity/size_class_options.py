"""The size classes that teams may choose: what each costs, and whether it fits."""

from collections.abc import Mapping
from typing import Any

from aichat_workspace.api.auth.authorization import Scope
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.policy import effective_spec, limits, size_classes
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.size_class import SizeClass


def documents(
    platform: PlatformSpec, scope: Scope, team: str | None, room: Mapping[str, int] | None
) -> list[dict[str, Any]]:
    """Return a schemas.options.SizeClassChoice for each class that a new workspace may name.

    Without a team they are those of the teams in the scope. `room` is how many more workspaces the
    team may have; None for any number.
    """
    return [
        _document(size_class, platform, room)
        for size_class in platform.size_classes
        if size_class.successor is None and _is_open(size_class, scope, team)
    ]


def _is_open(size_class: SizeClass, scope: Scope, team: str | None) -> bool:
    if team is not None:
        return size_classes.may_choose(team, size_class)
    teams = size_class.allowed_teams
    return not teams or any(allowed in scope for allowed in teams)


def _document(
    size_class: SizeClass, platform: PlatformSpec, room: Mapping[str, int] | None
) -> dict[str, Any]:
    spec = size_classes.fill_spec(size_classes.spec_of(size_class), platform)
    quota = effective_spec.quota(spec, platform)
    obstacles = [problem.message for problem in limits.violations(spec, platform)]
    if room is not None and not room["remaining"]:
        obstacles.insert(0, f"the team has {room['used']} of {room['hard']} workspaces")
    gpu = spec.resources.ollama.gpu
    return {
        "name": size_class.name,
        "description": size_class.description,
        "cpu": quantity.cores(quota["cpu"]),
        "memory": quantity.size(quota["memory"]),
        "storage": quantity.size(quota["storage"]),
        "modelMemory": effective_spec.ollama_share(spec, platform).memory_limit,
        "gpus": gpu.count if gpu else 0,
        "models": list(size_class.models),
        "fits": not obstacles,
        "obstacle": next(iter(obstacles), ""),
    }
