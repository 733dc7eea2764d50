import pytest

from aichat_workspace.domain import names
from deploy import history
from deploy.errors import RefusedError
from deploy.history import SECRET, History
from deploy.kubectl import KubectlError
from tests.unit.deploy.cluster import FakeKubectl, manifest, release


def test_a_history_is_read_as_it_was_written() -> None:
    kubectl = FakeKubectl()
    assert history.read(kubectl) == History()
    record = History().finish(release("v1")).begin(release("v2", manifest("ConfigMap", "more")))
    written = history.write(kubectl, record)
    assert history.read(kubectl) == written
    assert len(written.applied) == 3
    assert history.write(kubectl, written).version != written.version


def test_two_writers_do_not_overwrite_each_other() -> None:
    kubectl = FakeKubectl()
    first = history.write(kubectl, History())
    history.write(kubectl, first)
    with pytest.raises(KubectlError, match="Conflict"):
        history.write(kubectl, first)
    with pytest.raises(KubectlError, match="AlreadyExists"):
        history.write(kubectl, History())


def test_a_history_of_all_manifests_fits_in_a_secret() -> None:
    """Two releases of the size that this one has; a Secret holds 1 MiB."""
    crds = [
        manifest("ConfigMap", f"{number}") | {"data": {"a": "b" * 900}} for number in range(150)
    ]
    record = History().finish(release("v1", *crds)).begin(release("v2", *crds))
    assert len(history.encode(record)) < 2**20 / 4


@pytest.mark.parametrize("data", [{}, {"history.json.gz": "bm90IHBhY2tlZA=="}])
def test_a_secret_that_can_not_be_read_says_what_to_do(data: dict[str, str]) -> None:
    kubectl = FakeKubectl()
    metadata = {"name": SECRET, "namespace": names.SYSTEM_NAMESPACE, "resourceVersion": "1"}
    kubectl.objects["secret", SECRET] = {"kind": "Secret", "metadata": metadata, "data": data}
    with pytest.raises(RefusedError, match="delete secret"):
        history.read(kubectl)
