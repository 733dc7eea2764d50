"""A quota's amounts are read and written in Kubernetes' form."""

import pytest

from aichat_workspace.domain.kubernetes.quota import amounts, write_amount


@pytest.mark.parametrize(
    ("resource", "text", "written"),
    [
        ("limits.cpu", "4500m", "4500m"),
        ("requests.cpu", "2000m", "2"),
        ("limits.memory", "1048576Ki", "1Gi"),
        ("requests.storage", "22Gi", "22Gi"),
        ("gold.storageclass.storage.k8s.io/requests.storage", "1024Mi", "1Gi"),
        ("requests.nvidia.com/gpu", "2", "2"),
        ("persistentvolumeclaims", "2k", "2000"),
        ("pods", "0", "0"),
    ],
)
def test_an_amount_is_read_and_written(resource: str, text: str, written: str) -> None:
    assert write_amount(resource, amounts({resource: text})[resource]) == written


def test_amounts_of_equal_resources_can_be_added() -> None:
    first, second = amounts({"limits.cpu": "500m"}), amounts({"limits.cpu": "1"})
    assert write_amount("limits.cpu", first["limits.cpu"] + second["limits.cpu"]) == "1500m"
