from typing import Any

import pytest

from aichat_workspace.domain.policy import effective_spec, limits, size_classes
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from tests.unit.domain.samples import workspace

SMALL: dict[str, Any] = {
    "name": "small",
    "resources": {
        "ollama": {"cpuLimit": "2", "memoryRequest": "2Gi", "memoryLimit": "4Gi"},
        "openWebUI": {"memoryLimit": "1Gi"},
    },
    "storage": {"ollama": {"size": "10Gi", "storageClassName": "slow"}},
    "models": ["registry.example.org:5000/ours/tiny:1b"],
}
LARGE: dict[str, Any] = {
    "name": "large",
    "resources": {"ollama": {"gpu": {"count": 1, "resourceName": "example.org/gpu"}}},
    "allowedTeams": ["science"],
}
RETIRED: dict[str, Any] = {"name": "tiny", "successor": "small"}


def platform(*classes: dict[str, Any], **settings: Any) -> PlatformSpec:
    return PlatformSpec.model_validate({"sizeClasses": classes, **settings})


PLATFORM = platform(SMALL, LARGE, RETIRED)


def spec(**fields: Any) -> WorkspaceSpec:
    return WorkspaceSpec.model_validate({"workspaceName": "team-a", **fields})


def problems(sized: WorkspaceSpec, settings: PlatformSpec = PLATFORM) -> list[Problem]:
    return [*size_classes.violations(sized, "red", settings)]


def test_a_class_gives_what_the_workspace_leaves_out() -> None:
    filled = size_classes.fill_spec(spec(className="small"), PLATFORM)
    share = effective_spec.ollama_share(filled, PLATFORM)
    assert (share.cpu_limit, share.memory_limit, share.storage) == ("2", "4Gi", "10Gi")
    assert effective_spec.openwebui_share(filled, PLATFORM).memory_limit == "1Gi"
    assert filled.storage.ollama.storage_class_name == "slow"
    assert filled.models == ("registry.example.org:5000/ours/tiny:1b",)


def test_a_workspaces_own_values_come_before_its_classs() -> None:
    own = spec(
        className="small",
        resources={"ollama": {"cpuLimit": "3", "gpu": {"count": 2}}},
        storage={"ollama": {"size": "30Gi"}},
        models=["gemma2:2b"],
    )
    filled = size_classes.fill_spec(own, PLATFORM)
    assert filled.resources.ollama.cpu_limit == "3"
    assert filled.resources.ollama.memory_limit == "4Gi"
    assert filled.resources.ollama.gpu == own.resources.ollama.gpu
    assert (filled.storage.ollama.size, filled.storage.ollama.storage_class_name) == (
        "30Gi",
        "slow",
    )
    assert filled.models == ("gemma2:2b",)


def test_what_a_class_leaves_out_is_the_platforms() -> None:
    settings = platform({"name": "small"}, ollama={"cpuLimit": "7"})
    filled = size_classes.fill_spec(spec(className="small"), settings)
    assert effective_spec.ollama_share(filled, settings).cpu_limit == "7"


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"memoryLimit": "1Gi"}, ("1Gi", "1Gi")),  # its class requests 2Gi
        ({"memoryRequest": "6Gi"}, ("6Gi", "6Gi")),  # its class limits to 4Gi
        ({}, ("2Gi", "4Gi")),
    ],
)
def test_a_classs_bound_follows_the_workspaces(
    own: dict[str, str], expected: tuple[str, str]
) -> None:
    filled = size_classes.fill_spec(spec(className="small", resources={"ollama": own}), PLATFORM)
    share = effective_spec.ollama_share(filled, PLATFORM)
    assert (share.memory_request, share.memory_limit) == expected


def test_to_fill_a_spec_twice_changes_nothing_more() -> None:
    filled = size_classes.fill_spec(spec(className="small"), PLATFORM)
    assert size_classes.fill_spec(filled, PLATFORM) == filled


@pytest.mark.parametrize("name", [None, "huge"])
def test_without_a_class_a_spec_stays_as_it_is(name: str | None) -> None:
    own = spec(**({"className": name} if name else {}))
    assert size_classes.fill_spec(own, PLATFORM) is own


def test_a_class_with_a_successor_gives_the_successors_values() -> None:
    filled = size_classes.fill_spec(spec(className="tiny"), PLATFORM)
    assert filled.storage.ollama.size == "10Gi"
    assert problems(spec(className="tiny")) == []


def test_a_missing_class_is_refused_by_name_with_what_there_is() -> None:
    (problem,) = problems(spec(className="huge"))
    assert (problem.reason, problem.field) == (Reason.SIZE_CLASS_NOT_FOUND, "spec.className")
    assert problem.message.startswith("there is no size class 'huge'; 'red' may choose small;")


def test_a_class_of_other_teams_is_refused_by_name_with_what_there_is() -> None:
    (problem,) = problems(spec(className="large"))
    assert problem.reason == Reason.SIZE_CLASS_NOT_ALLOWED
    assert "team 'red' may not choose the size class 'large'; 'red' may choose small;" in (
        problem.message
    )
    assert [*size_classes.violations(spec(className="large"), "science", PLATFORM)] == []


def test_a_retired_class_is_no_way_to_a_successor_of_other_teams() -> None:
    settings = platform(LARGE, {"name": "tiny", "successor": "large"})
    (problem,) = problems(spec(className="tiny"), settings)
    assert problem.reason == Reason.SIZE_CLASS_NOT_ALLOWED
    assert "'large', which has replaced 'tiny'," in problem.message


def test_a_successor_that_is_gone_is_said() -> None:
    (problem,) = problems(spec(className="tiny"), platform(RETIRED))
    assert "there is no size class 'tiny', for its successor 'small' is not there" in (
        problem.message
    )
    assert "may choose none" in problem.message


def test_a_new_workspace_can_not_choose_a_retired_class() -> None:
    (problem,) = size_classes.retirement_problems(spec(className="tiny"), "red", PLATFORM)
    assert "'tiny' is retired, and 'small' has replaced it" in problem.message
    for name in ("small", "huge", None):
        fields = {"className": name} if name else {}
        assert not [*size_classes.retirement_problems(spec(**fields), "red", PLATFORM)]


def test_a_team_is_offered_what_it_may_choose_and_is_not_retired() -> None:
    for team, names in {"red": ["small"], "science": ["small", "large"]}.items():
        assert [entry.name for entry in size_classes.choices_of_team(team, PLATFORM)] == names


def test_a_class_counts_against_the_ceiling() -> None:
    settings = platform(SMALL, ceiling={"memory": "4Gi"})
    (violation,) = limits.violations(spec(className="small"), settings)
    assert "asks for 5Gi of memory" in violation.message


def test_what_a_class_chooses_by_name_needs_no_leave() -> None:
    settings = platform(SMALL, LARGE, allowed={"storageClasses": []})
    for name in ("small", "large"):
        assert [*limits.violations(spec(className=name), settings)] == []
    own = spec(storage={"ollama": {"storageClassName": "slow"}})
    assert [problem.reason for problem in limits.violations(own, settings)] == [
        Reason.STORAGE_CLASS_NOT_ALLOWED
    ]


CLASS_MODEL = "registry.example.org:5000/ours/tiny:1b"


def models_of(sized: Workspace, settings: PlatformSpec = PLATFORM) -> tuple[str, ...]:
    """Return the models whose registries the workspace's pods may reach."""
    own_class = size_classes.class_of(sized, settings)
    filled = size_classes.with_size_class(sized, settings)
    return effective_spec.permitted(filled.spec, settings, own_class).models


@pytest.mark.parametrize("name", ["small", "tiny"])
def test_a_model_of_the_class_in_effect_is_allowed_in_any_spelling(name: str) -> None:
    assert models_of(workspace(className=name, models=[])) == (CLASS_MODEL,)
    own = (CLASS_MODEL.replace("tiny", "TINY"),)
    assert models_of(workspace(className=name, models=own)) == own
    assert not [*limits.violations(spec(className=name, models=own), PLATFORM)]
    other = "registry.example.org:5000/ours/other:1b"
    assert models_of(workspace(className=name, models=[other])) == ()


def test_a_model_of_another_class_opens_no_port() -> None:
    for fields in ({}, {"className": "large"}):
        assert models_of(workspace(models=[CLASS_MODEL], **fields)) == ()
        (violation,) = limits.violations(spec(models=[CLASS_MODEL], **fields), PLATFORM)
        assert violation.reason == Reason.REGISTRY_NOT_ALLOWED
    retired = platform(SMALL | {"successor": "large"}, LARGE)
    assert models_of(workspace(className="small", models=[CLASS_MODEL]), retired) == ()


def test_a_model_of_a_class_of_other_teams_opens_no_port() -> None:
    settings = platform(SMALL | {"allowedTeams": ["science"]})
    for models in ([], [CLASS_MODEL]):
        sized = workspace(className="small", models=models)
        assert models_of(sized, settings) == ()
        of_science = sized.model_copy(update={"namespace": "science"})
        assert models_of(of_science, settings) == (CLASS_MODEL,)


def test_a_classs_change_is_no_edit_of_the_workspace() -> None:
    sized = workspace(className="small")
    filled = size_classes.with_size_class(sized, PLATFORM)
    assert filled.spec != sized.spec
    assert (filled.own_spec, filled.spec_digest) == (sized.spec, sized.spec_digest)
    unsized = workspace()
    assert size_classes.with_size_class(unsized, PLATFORM) is unsized
