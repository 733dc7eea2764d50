"""The status of the AIChatPlatform.

The CRD and the reference page are generated from these models.
"""

from enum import StrEnum

from pydantic import Field

from aichat_workspace.domain.v1alpha1.base import Schema
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionOf, map_by


class PlatformConditionType(StrEnum):
    """What a condition of the platform is about."""

    ACCEPTED = "Accepted"
    REFERENCES_RESOLVED = "ReferencesResolved"
    PEOPLE_ADMITTED = "PeopleAdmitted"
    NETWORK_POLICIES_ENFORCED = "NetworkPoliciesEnforced"


class PlatformCondition(ConditionOf[PlatformConditionType]):
    """One fact about the platform, and what to do about it."""


class WorkspaceCounts(Schema):
    """How many workspaces there are, without those that are being deleted."""

    total: int = Field(default=0, ge=0, description="All of them.")
    following: int = Field(
        default=0, ge=0, description="They are as these settings and their own spec say."
    )
    waiting: int = Field(
        default=0, ge=0, description="They will be: they come up, or wait to change their images."
    )
    failing: int = Field(
        default=0, ge=0, description="A person has to act; their conditions say who and how."
    )


class PlatformStatus(Schema):
    """The status of AIChatPlatform, which the operator writes."""

    observed_generation: int = Field(
        default=0, ge=0, description="The generation of the spec that this status is about."
    )
    workspaces: WorkspaceCounts = Field(
        default=WorkspaceCounts(), description="How many workspaces follow these settings."
    )
    conditions: tuple[PlatformCondition, ...] = Field(
        default=(),
        description="Facts about the settings, with their reasons.",
        json_schema_extra=map_by("type"),
    )
