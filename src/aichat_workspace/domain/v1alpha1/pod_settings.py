"""Where the pods of workspaces run, and as whom."""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StrictBool

from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import (
    ATOMIC,
    DnsName,
    LabelKey,
    LabelValue,
    Quantity,
)
from aichat_workspace.domain.v1alpha1.metadata_settings import PODS, Metadata

_MAX_TERMS: Final = 8
# https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#NodeSelectorTerm
_EXPRESSION_RULES: Final[dict[str, Any]] = {
    "x-kubernetes-validations": [
        rule(
            "self.operator in ['Exists', 'DoesNotExist'] ? "
            "!has(self.values) || self.values.size() == 0 : "
            "has(self.values) && self.values.size() > 0",
            "Exists and DoesNotExist take no values, and the other operators some",
        ),
        rule(
            "!(self.operator in ['Gt', 'Lt']) || "
            "(self.values.size() == 1 && self.values[0].matches(r'^[0-9]+$'))",
            "Gt and Lt take one whole number",
        ),
    ]
}


class RunAs(StrEnum):
    """Who says as which user and group pods run."""

    FIXED = "Fixed"
    CLUSTER = "Cluster"


class RuntimeClass(Schema):
    """The RuntimeClass of all pods (https://kubernetes.io/docs/concepts/containers/runtime-class/)."""

    name: DnsName = Field(description="Its name.")
    cpu_overhead: Quantity = Field(
        default="0",
        description="Its overhead.podFixed.cpu: each workspace's quota has room for it.",
    )
    memory_overhead: Quantity = Field(
        default="0",
        description="Its overhead.podFixed.memory: each workspace's quota has room for it.",
    )


class MatchExpression(Schema):
    """What a node's label has to be."""

    key: LabelKey = Field(description="The label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(
        description="How the label is compared with the values."
    )
    values: tuple[LabelValue, ...] = Field(
        default=(),
        max_length=16,
        description="What it is compared with.",
        json_schema_extra=ATOMIC,
    )


class NodeTerm(Schema):
    """Nodes for which all expressions hold."""

    match_expressions: tuple[
        Annotated[MatchExpression, Field(json_schema_extra=_EXPRESSION_RULES)], ...
    ] = Field(
        min_length=1,
        max_length=_MAX_TERMS,
        description="What holds of the node's labels.",
        json_schema_extra=ATOMIC,
    )


class PreferredTerm(Schema):
    """Nodes that are preferred."""

    weight: int = Field(ge=1, le=100, description="How much.")
    preference: NodeTerm = Field(description="Which.")


class NodeAffinity(Schema):
    """Which nodes pods may run on, and which they prefer."""

    required: tuple[NodeTerm, ...] = Field(
        default=(),
        max_length=_MAX_TERMS,
        description="A node must match one of them.",
        json_schema_extra=ATOMIC,
    )
    preferred: tuple[PreferredTerm, ...] = Field(
        default=(),
        max_length=_MAX_TERMS,
        description="Where there is a choice.",
        json_schema_extra=ATOMIC,
    )


class Pods(Schema):
    """Where the pods of workspaces run, and as whom. A change takes turns."""

    run_as: RunAs = Field(
        default=RunAs.FIXED,
        description="Fixed: user 1000, which the images know. Cluster: pods name no user, group or "
        "fsGroup, and admission has to give them some, as OpenShift does by its ranges.",
    )
    runtime_class: RuntimeClass | None = Field(
        default=None, description="Their RuntimeClass; the cluster's default when left out."
    )
    priority_class_name: DnsName | None = Field(
        default=None, description="Their PriorityClass; the cluster's default when left out."
    )
    node_affinity: NodeAffinity = Field(
        default=NodeAffinity(),
        description="Which nodes they may run on, besides what a workspace's spec.scheduling says.",
    )
    spread_over: tuple[LabelKey, ...] = Field(
        default=(),
        max_length=4,
        description="Labels of nodes over whose values all workspaces' model servers are spread "
        "where there is room, and all their chats, as topology.kubernetes.io/zone; the first one "
        "counts most.",
        json_schema_extra=ATOMIC,
    )
    host_users: StrictBool = Field(
        default=True,
        description="Whether users of the pods are the node's. With false they have a user "
        "namespace, where nodes and their volumes can (Kubernetes 1.33 or newer by default).",
    )
    metadata: Metadata = Field(
        default=Metadata(), description="What every pod carries.", json_schema_extra=PODS
    )
