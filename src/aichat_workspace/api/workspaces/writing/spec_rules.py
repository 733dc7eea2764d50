"""What a written spec may be: its fields' rules, and the platform's limits."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aichat_workspace.api.web.responses import field_errors, problems
from aichat_workspace.api.web.responses.field_errors import FieldError
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain.policy import backups, limits, size_classes
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec


def require_valid(
    spec: Mapping[str, Any], stored: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Raise ProblemError (422) with every field that is wrong.

    What is stored already, as under another version's rules, is allowed to stay.
    """
    stored_errors = _spec_errors(stored) if stored else []
    errors = [error for error in _spec_errors(spec) if error not in stored_errors]
    if errors:
        raise problems.invalid(
            FieldError(
                field_errors.path_of(("spec", *error["loc"])),
                field_errors.plain_message(error["type"], error["msg"]),
            )
            for error in errors
        )


def _spec_errors(spec: Mapping[str, Any]) -> list[ErrorDetails]:
    """Return every field that is wrong, with its value."""
    try:
        WorkspaceSpec.model_validate(spec, by_alias=True, by_name=False)
    except ValidationError as error:
        return error.errors(include_url=False, include_context=False)
    return []


def require_within_limits(
    cluster: ClusterView, spec: WorkspaceSpec, team: str, stored: WorkspaceSpec | None = None
) -> None:
    """Raise ProblemError (422) with every limit of the platform that the spec breaks.

    What is stored already, as from before a limit was lowered, is allowed to stay.
    """
    try:
        platform = cluster.platform()
    except ProblemError:
        return  # the settings are not understood; the operator has the last word anyway
    known = {*_violations(stored, team, platform)} if stored else set()
    broken = [problem for problem in _violations(spec, team, platform) if problem not in known]
    if broken:
        raise problems.invalid(FieldError(problem.field, problem.message) for problem in broken)


def require_change_within_limits(cluster: ClusterView, spec: dict[str, Any], current: View) -> None:
    """Raise ProblemError (422) with all that is wrong with a changed spec, and was not before."""
    stored = current.document["spec"]
    require_valid(spec, stored)
    if (new_spec := parse_spec(spec)) is not None:
        require_within_limits(cluster, new_spec, current.team, parse_spec(stored))


def _violations(spec: WorkspaceSpec, team: str, platform: PlatformSpec) -> Iterator[Problem]:
    """Yield what no newly written spec may have. A workspace keeps a class that is retired."""
    yield from size_classes.violations(spec, team, platform)
    yield from size_classes.retirement_problems(spec, team, platform)
    yield from backups.violations(spec, team, platform)
    yield from limits.violations(backups.fill_spec(spec, team, platform), platform)


def parse_spec(spec: dict[str, Any]) -> WorkspaceSpec | None:
    """Parse a stored spec; None for one that the models reject."""
    try:
        return WorkspaceSpec.model_validate(spec, extra="ignore")
    except ValidationError:
        return None


def spec_document(spec: WorkspaceSpec) -> dict[str, Any]:
    """Return the given fields; defaults are left to the API server and the platform."""
    return spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
