"""One entry of a spec's lists is added or removed, and the others stay."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import Authorizer
from aichat_workspace.api.web.limits.rate_limits import RateLimits
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.logs.reader import Workload
from aichat_workspace.api.workspaces.writing.service import ChangeOptions, Workspaces
from aichat_workspace.api.workspaces.writing.spec_lists import (
    CONNECTIONS,
    MODELS,
    PATTERNS,
    Change,
    SpecList,
    add,
    model_progress,
    of_class,
    remove,
    reset_password,
    restart,
)
from aichat_workspace.domain.policy import size_classes
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.kube.errors import ConflictError
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import resource

TEAM = "aichat-workspace-operator-system"
_PINNED = f"gemma2:2b@sha256:{'a' * 64}"
_FIRST = {"name": "one", "url": "https://a.example.org/v1", "secretName": "key"}
_CHANGED = {**_FIRST, "url": "https://b.example.org/v1"}


@pytest.mark.parametrize(
    ("spec_list", "entries", "entry", "expected"),
    [
        (MODELS, None, "gemma2:2b", ["gemma2:2b"]),
        (MODELS, ["gemma2:2b"], "llama3.2", ["gemma2:2b", "llama3.2"]),
        (MODELS, ["llama3.2:latest"], "Llama3.2", ["llama3.2:latest"]),
        (MODELS, [_PINNED, "llama3.2"], "gemma2:2b", [_PINNED, "llama3.2"]),
        (MODELS, ["gemma2:2b", "llama3.2"], _PINNED, [_PINNED, "llama3.2"]),
        (PATTERNS, ["explain_code"], "explain_code", ["explain_code"]),
        (PATTERNS, ["explain_code"], "create_summary", ["explain_code", "create_summary"]),
        (CONNECTIONS, [], _FIRST, [_FIRST]),
        (CONNECTIONS, [_FIRST], _CHANGED, [_CHANGED]),
    ],
)
def test_an_entry_is_added_once(
    spec_list: SpecList, entries: list[Any] | None, entry: Any, expected: list[Any]
) -> None:
    spec = {"suspended": True} | ({} if entries is None else {spec_list.field: entries})
    assert add(spec_list, entry)(spec) == {"suspended": True, spec_list.field: expected}


@pytest.mark.parametrize(
    ("spec_list", "entries", "name", "expected"),
    [
        (MODELS, [_PINNED, "llama3.2"], "gemma2:2b", ["llama3.2"]),
        (MODELS, ["no model's name", "llama3.2"], "no model's name", ["llama3.2"]),
        (PATTERNS, ["explain_code"], "explain_code", []),
        (CONNECTIONS, [_FIRST], "one", []),
    ],
)
def test_an_entry_is_removed_by_its_name(
    spec_list: SpecList, entries: list[Any], name: str, expected: list[Any]
) -> None:
    spec = {"suspended": True, spec_list.field: entries}
    assert remove(spec_list, name)(spec) == {"suspended": True, spec_list.field: expected}
    with pytest.raises(ProblemError, match=f"spec.{spec_list.field} has no") as caught:
        remove(spec_list, "another")(spec)
    assert caught.value.status == 404


_CLASS_MODELS = ["gemma2:2b", "llama3.2"]
_PLATFORM = PlatformSpec.model_validate(
    {"sizeClasses": [{"name": "small", "models": _CLASS_MODELS}, {"name": "bare"}]}
)


def _models_of(spec: dict[str, Any]) -> tuple[str, ...] | None:
    return size_classes.models_of(spec, lambda: _PLATFORM)


@pytest.mark.parametrize(
    ("spec", "change", "expected"),
    [
        ({"className": "small"}, add(MODELS, "phi3"), [*_CLASS_MODELS, "phi3"]),
        ({"className": "small", "models": ["phi3"]}, add(MODELS, "qwen3"), ["phi3", "qwen3"]),
        ({"className": "bare"}, add(MODELS, "phi3"), ["phi3"]),
        ({"className": "gone", "models": ["phi3"]}, add(MODELS, "qwen3"), ["phi3", "qwen3"]),
        ({}, add(MODELS, "phi3"), ["phi3"]),
        ({"className": "small"}, remove(MODELS, "gemma2:2b"), ["llama3.2"]),
        ({"className": "bare", "models": ["phi3"]}, remove(MODELS, "phi3"), []),
    ],
)
def test_a_change_of_models_begins_with_those_of_the_size_class(
    spec: dict[str, Any], change: Change, expected: list[str]
) -> None:
    assert of_class(change, _models_of)(spec) == {**spec, "models": expected}


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        ({"className": "gone"}, add(MODELS, "phi3")),
        ({"className": "gone"}, remove(MODELS, "phi3")),
        ({"className": "gone", "models": ["phi3"]}, remove(MODELS, "phi3")),
    ],
)
def test_models_of_a_missing_class_are_not_replaced_by_one_more(
    spec: dict[str, Any], change: Change
) -> None:
    with pytest.raises(ProblemError, match="no size class 'gone'") as caught:
        of_class(change, _models_of)(spec)
    assert (caught.value.status, caught.value.code) == (409, "size-class-missing")


def test_a_model_that_its_class_has_already_changes_nothing() -> None:
    spec = {"className": "small"}
    assert of_class(add(MODELS, "gemma2:2b"), _models_of)(spec) == spec


def test_the_last_model_is_not_taken_out_where_the_class_would_give_its_own() -> None:
    spec = {"className": "small", "models": ["phi3"]}
    with pytest.raises(ProblemError, match=r"has gemma2:2b, llama3\.2") as caught:
        of_class(remove(MODELS, "phi3"), _models_of)(spec)
    assert (caught.value.status, caught.value.code) == (409, "models-of-class")


def test_a_reset_changes_the_password_alone_unless_the_platform_team_sets_it() -> None:
    now = datetime(2026, 11, 24, 9, 0, 0, 7, UTC)
    assert reset_password(now)({"access": {"signUp": True}}) == {
        "access": {"signUp": True, "passwordReset": "2026-11-24T09:00:00.000007+00:00"}
    }
    assert "passwordReset" in reset_password(now)({})["access"]
    with pytest.raises(ProblemError, match="'boss'") as caught:
        reset_password(now)({"access": {"adminSecretName": "boss"}})
    assert caught.value.status == 409


def test_a_restart_is_asked_for_by_the_time_and_keeps_that_of_the_other_workload() -> None:
    now = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    spec = {"models": ["gemma2:2b"], "restart": {"ollama": "monday"}}
    text = "2026-11-24T09:00:00+00:00"
    assert restart([Workload.OPENWEBUI], now)(spec) == {
        "models": ["gemma2:2b"],
        "restart": {"ollama": "monday", "openWebUI": text},
    }
    assert restart(Workload, now)({}) == {"restart": {"ollama": text, "openWebUI": text}}
    with pytest.raises(ProblemError, match="Resume it") as caught:
        restart(Workload, now)({"suspended": True})
    assert (caught.value.status, caught.value.code) == (409, "suspended")


def test_the_progress_of_a_model_is_the_status_of_it() -> None:
    entry = {"name": "gemma2:2b", "state": "Pulling", "percent": 24}
    document = {"spec": {"models": ["gemma2:2b", "llama3.2"]}, "status": {"models": [entry]}}
    assert model_progress(document, "Gemma2:2b") == entry
    assert model_progress(document, "llama3.2:latest") == {"name": "llama3.2", "state": "Pending"}
    with pytest.raises(ProblemError, match="no model 'other'"):
        model_progress(document, "other")


class RacingClient(FakeWorkspaceClient):
    """Another caller changes the workspace just before the first change."""

    has_raced = False

    async def json_patch(self, *args: Any, **options: Any) -> Any:
        if not self.has_raced:
            self.has_raced = True
            theirs = {"models": ["theirs:1"]}
            self.stored = resource(team=TEAM, version=11, generation=2, spec=theirs)
            self.watch_event(self.stored)
            raise ConflictError(409, "Conflict", "the generation is another")
        return await super().json_patch(*args, **options)


async def test_two_additions_at_once_lose_none() -> None:
    client = RacingClient()
    client.cluster = ClusterView(client, {})
    client.watch_event(resource(team=TEAM, version=10))
    authorizer = Authorizer.create(client, RateLimits.create(1e6, 10**6))
    workspaces = Workspaces(client.cluster, authorizer, client)
    view, has_changed = await workspaces.change(
        Caller("ann", "1", ()), "team-a", add(MODELS, "ours:1"), ChangeOptions()
    )
    assert has_changed
    assert view.document["spec"]["models"] == ["theirs:1", "ours:1"]
