"""Kinds of other projects, as far as the API server needs to know them: with any content."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.integration.conftest import Cluster

GATEWAY_API: Final = "gateway.networking.k8s.io"


@contextmanager
def installed(cluster: Cluster, group: str, kind: str, version: str = "v1") -> Iterator[None]:
    """A kind that is there for a while."""
    singular = kind.lower()
    name = f"{singular}s.{group}"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": anything},
    }
    cluster.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": name,
                "annotations": {"api-approved.kubernetes.io": "https://gateway-api.sigs.k8s.io"},
            },
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": f"{singular}s", "singular": singular},
                "versions": [served],
            },
        }
    )
    cluster.kubectl("wait", f"crd/{name}", "--for=condition=Established", "--timeout=30s")
    yield
    cluster.kubectl("delete", f"crd/{name}", "--timeout=60s")
