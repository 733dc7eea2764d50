"""What is seen of one tenant, from which everything is planned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref


@dataclass(frozen=True, slots=True)
class Observed:
    """What the caches hold of one tenant."""

    namespace: Manifest | None = None
    """None while it does not exist."""
    objects: Mapping[Ref, Manifest] = field(default_factory=dict)
    """All but Secrets, which the operator may not read."""
    pods: tuple[Manifest, ...] = ()
    """Those of both workloads, and of runs of the backup program."""
    expandable_classes: frozenset[str] = frozenset()
    """The cluster's StorageClasses whose volumes can grow."""

    @property
    def jobs(self) -> tuple[Manifest, ...]:
        """The runs of the backup program, also those that a schedule made."""
        return tuple(obj for reference, obj in self.objects.items() if reference.kind == "Job")


NOTHING: Final = Observed()
