"""Where the operator runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the operator runs. `ENV=dev` is a laptop with a kubeconfig: no admission policy is
    expected, and model servers are reached through the API server."""

    dev: bool
    kubeconfig: str | None
    probe_port: int
    backup_image: str = ""
    """The image with the backup program, for an operator that does not run in a pod of it."""

    @classmethod
    def read(cls, environment: Mapping[str, str], *, in_cluster: bool) -> Self:
        """Raises ValueError for a port that is not a number."""
        port = environment.get("PROBE_PORT", "8081")
        if not port.isdigit():
            raise ValueError(f"PROBE_PORT is {port!r}; write a port number, or 0 for none")
        return cls(
            dev=environment.get("ENV") == "dev" or not in_cluster,
            kubeconfig=environment.get("KUBECONFIG") or None,
            probe_port=int(port),
            backup_image=environment.get("BACKUP_IMAGE", ""),
        )
