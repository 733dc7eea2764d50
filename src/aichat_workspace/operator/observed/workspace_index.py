"""What the operator knows of all workspaces together: who has a host, and how many are how."""

from collections import Counter, defaultdict

from aichat_workspace.domain.status.backups import backup_standing
from aichat_workspace.domain.status.platform_status import Standing, standing
from aichat_workspace.domain.v1alpha1.platform_status import WorkspaceCounts
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.kube.objects import Json, key


class WorkspaceIndex:
    """Keeps hosts and numbers as workspaces come, change and go."""

    def __init__(self) -> None:
        self.phases: Counter[str] = Counter()
        """The number of workspaces by phase."""
        self.backups: Counter[str] = Counter()
        """The number of workspaces that ask for backups, by how these are."""
        self._standings: Counter[Standing] = Counter()
        self._hosts: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)

    @property
    def counts(self) -> WorkspaceCounts:
        """What the platform's status says of them."""
        return WorkspaceCounts(
            total=self._standings.total(),
            following=self._standings[Standing.FOLLOWING],
            waiting=self._standings[Standing.WAITING],
            failing=self._standings[Standing.FAILING],
        )

    def with_host(self, host: str) -> list[tuple[str, str]]:
        """Return the namespaces and names of the workspaces that chose this host, in order."""
        return sorted(self._hosts.get(host, ()))

    def take_in(self, old: Json | None, new: Json | None) -> bool:
        """Take in a workspace that has changed. Return whether `counts` have."""
        self._index_host(old, new)
        return self._count(old, new)

    def _index_host(self, old: Json | None, new: Json | None) -> None:
        if old is not None and (host := chosen_host(old)):
            self._hosts[host].discard(key(old))
            if not self._hosts[host]:
                del self._hosts[host]
        if new is not None and (host := chosen_host(new)):
            self._hosts[host].add(key(new))

    def _count(self, old: Json | None, new: Json | None) -> bool:
        for workspace, step in ((old, -1), (new, 1)):
            if workspace is not None:
                self.phases[_phase(workspace)] += step
                if (backups := backup_standing(workspace)) is not None:
                    self.backups[backups] += step
        before = None if old is None else standing(old)
        after = None if new is None else standing(new)
        if before is after:
            return False
        if before is not None:
            self._standings[before] -= 1
        if after is not None:
            self._standings[after] += 1
        return True


def chosen_host(workspace: Json) -> str | None:
    """Return the host that a workspace asks for; None where it leaves that to the platform."""
    host: str | None = (workspace.get("spec", {}).get("ingress") or {}).get("host")
    return host


def _phase(workspace: Json) -> str:
    phase: str = (workspace.get("status") or {}).get("phase", Phase.PENDING)
    return phase
