"""Size classes: which one a workspace gets, and its spec with that filled in.

The operator never writes a spec, so a class stays a name there. What a class changes is a change of
the platform, and takes turns (domain/planning/rollout.py).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aichat_workspace.domain.policy import effective_spec
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec, Share
from aichat_workspace.domain.v1alpha1.size_class import SizeClass
from aichat_workspace.domain.v1alpha1.sizes import OllamaCompute, Resources, Storage, Volume
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec

FIELD: Final = "spec.className"


def find(name: str, platform: PlatformSpec) -> SizeClass | None:
    """Return the class of this name; None where the platform has none."""
    return next((entry for entry in platform.size_classes if entry.name == name), None)


def in_effect(name: str, platform: PlatformSpec) -> SizeClass | None:
    """Return the class whose values count for a workspace that names this one: its successor's,
    where it has one."""
    named = find(name, platform)
    if named is None or named.successor is None:
        return named
    return find(named.successor, platform)


def class_of(workspace: Workspace, platform: PlatformSpec) -> SizeClass | None:
    """Return the class in effect for a workspace whose team may choose it; else None."""
    size_class = in_effect(workspace.spec.class_name or "", platform)
    return size_class if size_class and may_choose(workspace.namespace, size_class) else None


def may_choose(team: str, size_class: SizeClass) -> bool:
    return not size_class.allowed_teams or team in size_class.allowed_teams


def choices_of_team(team: str, platform: PlatformSpec) -> tuple[SizeClass, ...]:
    """Return the classes that a new workspace of the team may name."""
    return tuple(
        entry
        for entry in platform.size_classes
        if entry.successor is None and may_choose(team, entry)
    )


def violations(spec: WorkspaceSpec, team: str, platform: PlatformSpec) -> Iterator[Problem]:
    """Yield why the workspace can't have the class that it names."""
    name = spec.class_name
    if name is None:
        return
    size_class = in_effect(name, platform)
    if size_class is None:
        yield Problem(
            Reason.SIZE_CLASS_NOT_FOUND,
            f"there is no size class {name!r}{_missing_successor(name, platform)}; "
            f"{_choices(team, platform)}",
            FIELD,
        )
    elif not may_choose(team, size_class):
        replaced = "" if size_class.name == name else f", which has replaced {name!r},"
        yield Problem(
            Reason.SIZE_CLASS_NOT_ALLOWED,
            f"team {team!r} may not choose the size class {size_class.name!r}{replaced}; "
            f"{_choices(team, platform)}",
            FIELD,
        )


def retirement_problems(
    spec: WorkspaceSpec, team: str, platform: PlatformSpec
) -> Iterator[Problem]:
    """Yield why a new workspace can't choose the class: another has replaced it."""
    size_class = find(spec.class_name, platform) if spec.class_name else None
    if size_class is not None and size_class.successor is not None:
        yield Problem(
            Reason.SIZE_CLASS_NOT_ALLOWED,
            f"the size class {size_class.name!r} is retired, and {size_class.successor!r} has "
            f"replaced it; {_choices(team, platform)}",
            FIELD,
        )


def models_of(
    spec: Mapping[str, Any], platform: Callable[[], PlatformSpec]
) -> tuple[str, ...] | None:
    """Return the models of a stored spec: its own, or else those of its class; None where that
    class is missing. The platform is asked for only where a class gives them."""
    own = tuple(spec.get("models") or ())
    if own or not spec.get("className"):
        return own
    size_class = in_effect(spec["className"], platform())
    return size_class.models if size_class else None


def with_size_class(workspace: Workspace, platform: PlatformSpec) -> Workspace:
    """Return the workspace with what its class gives; unchanged without a class."""
    spec = fill_spec(workspace.spec, platform)
    if spec is workspace.spec:
        return workspace
    return workspace.model_copy(update={"spec": spec, "written_spec": workspace.spec})


def fill_spec(spec: WorkspaceSpec, platform: PlatformSpec) -> WorkspaceSpec:
    """Return the spec with the values of its class, and then of the platform, that it leaves out.

    Without a class, or with one that the platform does not have, it is the very same spec.
    """
    size_class = in_effect(spec.class_name, platform) if spec.class_name else None
    return spec if size_class is None else _fill(spec, size_class, platform)


def spec_of(size_class: SizeClass) -> WorkspaceSpec:
    """Return the spec of a workspace that chooses this class and nothing else."""
    return WorkspaceSpec(workspace_name="new", class_name=size_class.name)


def _fill(spec: WorkspaceSpec, size_class: SizeClass, platform: PlatformSpec) -> WorkspaceSpec:
    as_spec = spec.model_copy(
        update={"resources": size_class.resources, "storage": size_class.storage}
    )
    of_class = platform.model_copy(
        update={
            "ollama": effective_spec.ollama_share(as_spec, platform),
            "open_webui": effective_spec.openwebui_share(as_spec, platform),
        }
    )
    ollama = effective_spec.ollama_share(spec, of_class)
    open_webui = effective_spec.openwebui_share(spec, of_class)
    own, classes = spec.resources, size_class.resources
    gpu = own.ollama.gpu or classes.ollama.gpu
    return spec.model_copy(
        update={
            "resources": Resources(
                ollama=OllamaCompute(**_bounds(ollama), gpu=gpu),
                open_webui=own.open_webui.model_copy(update=_bounds(open_webui)),
            ),
            "storage": Storage(
                ollama=_volume(spec.storage.ollama, size_class.storage.ollama, ollama),
                open_webui=_volume(
                    spec.storage.open_webui, size_class.storage.open_webui, open_webui
                ),
            ),
            "models": spec.models or size_class.models,
        }
    )


def _bounds(share: Share) -> dict[str, str]:
    return share.model_dump(exclude={"storage"})


def _volume(own: Volume, classes: Volume, share: Share) -> Volume:
    storage_class = own.storage_class_name or classes.storage_class_name
    return Volume(size=share.storage, storage_class_name=storage_class)


def _missing_successor(name: str, platform: PlatformSpec) -> str:
    named = find(name, platform)
    return f", for its successor {named.successor!r} is not there" if named else ""


def _choices(team: str, platform: PlatformSpec) -> str:
    names = ", ".join(entry.name for entry in choices_of_team(team, platform))
    return f"{team!r} may choose {names or 'none'}; change {FIELD}, or ask the platform team"
