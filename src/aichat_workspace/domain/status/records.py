"""What a status lists: the objects, models, patterns and rewrites of a workspace."""

from dataclasses import asdict

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.models.status import (
    ModelStatus,
    PatternStatus,
)
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.v1alpha1.workspace_status import (
    MAX_REWRITTEN_FIELDS,
    ModelEntry,
    NamespaceRecord,
    PatternEntry,
    ResourceEntry,
    RewriteEntry,
)


def rewrite_entries(facts: StatusInputs) -> tuple[RewriteEntry, ...]:
    return tuple(
        RewriteEntry(
            kind=rewrite.ref.kind,
            name=rewrite.ref.name,
            fields=rewrite.fields[:MAX_REWRITTEN_FIELDS],
            revision=rewrite.revision,
        )
        for rewrite in facts.rewrites
    )


def resource_entries(facts: StatusInputs) -> tuple[ResourceEntry, ...]:
    """Every object but the Secret, which the operator may not read."""
    return tuple(
        ResourceEntry(
            kind=ref.kind,
            name=ref.name,
            state="Present" if ref in facts.observed.objects else "Missing",
        )
        for ref in facts.desired
        if ref.kind != "Secret"
    )


def namespace_record(namespace: Manifest) -> NamespaceRecord:
    metadata = namespace["metadata"]
    return NamespaceRecord(name=metadata["name"], uid=metadata["uid"])


def model_entry(model: ModelStatus) -> ModelEntry:
    fields = {**asdict(model), "reason": model.reason or ""}
    return ModelEntry(**fields, percent=model.percent, eta_seconds=model.eta_seconds)


def pattern_entry(pattern: PatternStatus) -> PatternEntry:
    return PatternEntry(**asdict(pattern))
