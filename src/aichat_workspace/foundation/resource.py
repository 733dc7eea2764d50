"""A kind that the API server serves, and its paths."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind, as https://kubernetes.io/docs/reference/using-api/api-concepts/ addresses it."""

    group: str
    """Empty for the core group."""
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """Return the path of a collection, an object or an object's subresource.

        Without a namespace, a namespaced kind's path is that of all namespaces.
        """
        root = f"/apis/{self.group}" if self.group else "/api"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}/{self.version}{scope}/{self.plural}{tail}"
