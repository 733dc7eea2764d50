"""Pods are assigned to the resources that a benchmark brings up."""

from typing import Any

from benchmarks.cluster.population import name_of
from benchmarks.comparison.stage import is_pod_of


def test_a_pod_belongs_to_a_resource_by_its_namespace_or_its_own_name() -> None:
    def pod(namespace: str, name: str) -> Any:
        return {"metadata": {"namespace": namespace, "name": name}}

    assert is_pod_of(pod(name_of(1), "web-0"), {name_of(1)})
    assert is_pod_of(pod("default", f"{name_of(1)}-web-0"), {name_of(1)})
    assert not is_pod_of(pod("kube-system", "operator-0"), {name_of(1)})
