from tests.unit.deploy.cluster import FakeKubectl


def test_of_a_kind_without_objects_there_are_none() -> None:
    kubectl = FakeKubectl()
    assert kubectl.get("namespaces") is None, "kubectl prints nothing for them"
    assert kubectl.items("namespaces", "-l", "some=label") == []
    kubectl.objects["namespace", "a"] = {"metadata": {"name": "a"}}
    assert kubectl.items("namespaces") == [{"metadata": {"name": "a"}}]
