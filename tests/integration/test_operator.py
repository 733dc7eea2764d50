"""The operator against a real API server: what it makes, keeps, refuses and lets go."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.render.components import OLLAMA
from aichat_workspace.domain.render.labels import workspace_labels
from tests.integration.conftest import (
    ROOT,
    SYSTEM,
    Cluster,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.tenants import let_age, secret
from tests.waiting import eventually, let_pass

pytestmark = pytest.mark.usefixtures("operator")

KINDS = (
    "resourcequota,limitrange,serviceaccount,networkpolicy,pvc,service,statefulset,deployment,"
    "ingress,secret"
)


def condition(cluster: Cluster, resource: str, kind: str = "Ready") -> dict[str, Any]:
    document = cluster.get("aiws", resource, "-n", SYSTEM)
    conditions = document.get("status", {}).get("conditions", ())
    return next((dict(condition) for condition in conditions if condition["type"] == kind), {})


def created(cluster: Cluster, resource: str) -> bool:
    return condition(cluster, resource, "Provisioned").get("status") == "True"


def spec_of(cluster: Cluster, kind: str, name: str, namespace: str) -> Any:
    return cluster.get(kind, name, "-n", namespace)["spec"]


@pytest.fixture(scope="module")
def tenant(cluster: Cluster, operator: Path) -> Iterator[str]:
    """A workspace that every test may break and none may delete."""
    assert operator
    cluster.apply(workspace("steady", models=["gemma2:2b"], patterns=["explain_code"]))
    eventually(lambda: created(cluster, "steady"), "steady is provisioned")
    yield "steady"
    cluster.kube.delete("aiws", "steady", SYSTEM)


@pytest.mark.usefixtures("no_samples")
def test_the_original_operators_samples_become_workspaces(cluster: Cluster) -> None:
    samples = ROOT / "config" / "samples"
    five_models = str(samples / "apps_v1alpha1_aichatworkspace.yaml")
    cluster.kubectl("apply", "-k", str(samples))
    cluster.kubectl("apply", "-f", five_models)
    for resource in ("aichatworkspace-team-a", "aichatworkspace-sample"):
        eventually(lambda name=resource: created(cluster, name), f"{resource} is provisioned")  # type: ignore[misc]
    cluster.kubectl("delete", "-k", str(samples), "--wait=false")
    cluster.kubectl("delete", "-f", five_models, "--wait=false")


def test_the_longest_names_become_a_workspace(cluster: Cluster) -> None:
    name = "longest" + "x" * (names.WORKSPACE_NAME_MAX_LENGTH - len("longest"))
    cluster.apply(secret("key-of-longest", f"{SYSTEM}/{name}", {"apiKey": "hush"}))
    source = {"name": "c" * 32, "url": "https://a.example.org/v1", "secretName": "key-of-longest"}
    cluster.apply(workspace(name, connections=[source]))
    eventually(lambda: created(cluster, name), "it is provisioned")
    cluster.kube.delete("aiws", name, SYSTEM)


def test_exactly_the_designed_objects_exist_and_nothing_else(cluster: Cluster, tenant: str) -> None:
    eventually(
        lambda: cluster.names("serviceaccount", tenant)[:1] == ["serviceaccount/default"],
        "Kubernetes has completed the namespace",
    )
    objects = cluster.names(KINDS, tenant)
    secret = next(name for name in objects if name.startswith("secret/"))
    assert objects == sorted(
        [
            f"deployment.apps/{tenant}-openwebui",
            f"ingress.networking.k8s.io/{tenant}-openwebui",
            f"limitrange/{tenant}",
            f"networkpolicy.networking.k8s.io/{tenant}-default-deny",
            f"networkpolicy.networking.k8s.io/{tenant}-ollama",
            f"networkpolicy.networking.k8s.io/{tenant}-openwebui",
            f"persistentvolumeclaim/{tenant}-ollama",
            f"persistentvolumeclaim/{tenant}-openwebui",
            f"resourcequota/{tenant}",
            secret,
            f"service/{tenant}-ollama",
            f"service/{tenant}-openwebui",
            "serviceaccount/default",
            f"serviceaccount/{tenant}-ollama",
            f"serviceaccount/{tenant}-openwebui",
            f"statefulset.apps/{tenant}-ollama",
        ]
    )


def test_the_api_server_admits_the_pods_under_pod_security_restricted(
    cluster: Cluster, tenant: str
) -> None:
    """A refused pod would never appear: the controllers make it in a namespace that enforces."""
    labels = cluster.get("namespace", tenant)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    eventually(lambda: len(cluster.names("pods", tenant)) == 2, "both workloads have a pod")


def reconciles(port: int) -> float:
    """How many reconciles have gone well."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    (line,) = [
        line for line in lines if line.startswith('aichat_operator_reconciles_total{result="ok"}')
    ]
    return float(line.split()[1])


def assert_in_peace(cluster: Cluster, *about: str) -> None:
    """What can not be mended by trying is not tried at full speed: it is looked at now and then."""
    before = {user: len(cluster.requests(user)) for user in about}
    let_pass(4, "what is tried again at full speed would be tried often")
    for user in about:
        requests = cluster.requests(user)[before[user] :]
        assert len(requests) <= 4, requests


@pytest.fixture
def nothing_else(cluster: Cluster, tenant: str) -> None:
    """What other tests have left is gone, so that every write there is would be of the tenant."""
    others = ("-A", f"--field-selector=metadata.name!={tenant}", "--ignore-not-found")
    cluster.kubectl("delete", "aiws", *others, "--timeout=50s")


@pytest.mark.usefixtures("nothing_else")
def test_an_unchanged_workspace_has_nothing_written_at_all(
    cluster: Cluster, tenant: str, metrics_port: int
) -> None:
    eventually(lambda: cluster.rests(seconds=1.5), f"{tenant} to come to rest")
    before, done = cluster.writes(), reconciles(metrics_port)
    creations = (f"create namespaces/{tenant}", f"create {SYSTEM}/secrets/{tenant}-credentials")
    assert set(creations) <= set(before), "what no address names is counted"
    for note in ("second", "third"):  # what one reconcile wrote, the next would come after
        look_again(cluster, tenant, metrics_port, note)
    assert reconciles(metrics_port) >= done + 2
    assert cluster.writes() == before


def look_again(cluster: Cluster, resource: str, port: int, note: str) -> None:
    """A change to nothing that counts brings a reconcile."""
    done = reconciles(port)
    change = {"metadata": {"annotations": {"note": note}}}
    cluster.kube.patch("aiws", resource, SYSTEM, change)
    eventually(lambda: reconciles(port) > done, f"{resource} to be looked at")


@pytest.mark.parametrize(
    "kind",
    ["service", "statefulset", "resourcequota", "ingress"],
)
def test_a_deleted_object_comes_back(cluster: Cluster, tenant: str, kind: str) -> None:
    name = {"resourcequota": tenant, "ingress": f"{tenant}-openwebui"}.get(kind, f"{tenant}-ollama")
    uid = cluster.get(kind, name, "-n", tenant)["metadata"]["uid"]
    cluster.kube.delete(kind, name, tenant)

    def is_new() -> bool:
        output = cluster.kubectl("get", kind, name, "-n", tenant, "-o", "json", check=False)
        return output.startswith("{") and json.loads(output)["metadata"]["uid"] != uid

    eventually(is_new, f"{kind} {name} is back")


def test_an_edited_value_is_restored(cluster: Cluster, tenant: str) -> None:
    deployment = f"{tenant}-openwebui"
    cluster.kubectl("scale", f"deployment/{deployment}", "-n", tenant, "--replicas=3")
    eventually(
        lambda: spec_of(cluster, "deployment", deployment, tenant)["replicas"] == 1, "one replica"
    )


def test_an_added_variable_and_container_are_taken_out(cluster: Cluster, tenant: str) -> None:
    deployment = f"{tenant}-openwebui"
    before = spec_of(cluster, "deployment", deployment, tenant)
    intruder = {"name": "intruder", "image": "intruder:1"}
    added = {"spec": {"containers": [intruder], "hostNetwork": True}}
    cluster.kubectl("set", "env", f"deployment/{deployment}", "-n", tenant, "EXTRA=1")
    cluster.kubectl(
        *("patch", "deployment", deployment, "-n", tenant, "--type=strategic", "-p"),
        json.dumps({"spec": {"template": added}}),
    )
    eventually(
        lambda: spec_of(cluster, "deployment", deployment, tenant) == before, "as it was before"
    )


def test_a_stripped_label_is_put_back(cluster: Cluster, tenant: str) -> None:
    label = "app.kubernetes.io/managed-by"
    cluster.kubectl("label", "service", f"{tenant}-ollama", "-n", tenant, f"{label}-")
    eventually(
        lambda: (
            label in cluster.get("service", f"{tenant}-ollama", "-n", tenant)["metadata"]["labels"]
        ),
        "the label is back",
    )


def test_a_changed_spec_reaches_the_objects(cluster: Cluster) -> None:
    cluster.apply(workspace("changing", workspaceENV="dev"))
    eventually(lambda: created(cluster, "changing"), "provisioned")
    cluster.apply(workspace("changing", workspaceENV="prod"))

    def has_new_value() -> bool:
        spec = spec_of(cluster, "deployment", "changing-openwebui", "changing")
        variables = spec["template"]["spec"]["containers"][0]["env"]
        return {"name": "ENV", "value": "prod"} in variables

    eventually(has_new_value, "ENV=prod in the pod template")
    cluster.kube.delete("aiws", "changing", SYSTEM)


def test_a_correction_reaches_a_model_server_that_never_got_ready(cluster: Cluster) -> None:
    """Here no pod ever gets ready: there is no node."""
    cluster.apply(workspace("stuck", ollama={"contextLength": 4096}))

    def tuned() -> str:
        output = cluster.kubectl(
            "get", "pod", "stuck-ollama-0", "-n", "stuck", "-o", "json", check=False
        )
        variables = (
            json.loads(output)["spec"]["containers"][0]["env"] if output.startswith("{") else []
        )
        return next(
            (
                variable["value"]
                for variable in variables
                if variable["name"] == "OLLAMA_CONTEXT_LENGTH"
            ),
            "",
        )

    eventually(lambda: tuned() == "4096", "the first pod is there")
    cluster.apply(workspace("stuck", ollama={"contextLength": 8192}))
    eventually(lambda: tuned() == "8192", "the pod has been replaced")
    cluster.kube.delete("aiws", "stuck", SYSTEM)


def test_a_quota_that_refuses_the_model_servers_pod_is_told(cluster: Cluster) -> None:
    """F14: the quota is exceeded."""
    cluster.apply(workspace("refused"))
    pod = ("pod", "refused-ollama-0", "refused")
    eventually(
        lambda: created(cluster, "refused") and cluster.kube.has(*pod), "it has a pod at first"
    )
    cluster.kubectl("create", "quota", "none", "--hard=pods=0", "-n", "refused")
    eventually(
        lambda: "used" in cluster.get("quota", "none", "-n", "refused").get("status", {}),
        "Kubernetes has counted; it refuses nothing before",
    )

    def is_refused() -> bool:
        """The API server lets a pod come back until it has seen the quota."""
        if cluster.kube.has(*pod):
            cluster.kube.delete(*pod)
        return condition(cluster, "refused", "OllamaAvailable").get("reason") == "PodRefused"

    eventually(is_refused, "PodRefused is said", 90)
    cluster.kube.delete("aiws", "refused", SYSTEM)


def test_deleting_the_resource_removes_everything_it_became(cluster: Cluster) -> None:
    cluster.apply(workspace("fleeting"))
    eventually(lambda: created(cluster, "fleeting"), "provisioned")
    cluster.kubectl("delete", "aiws", "fleeting", "-n", SYSTEM, "--timeout=60s")
    output = cluster.kubectl("get", "namespace", "fleeting", check=False)
    assert "not found" in output
    assert "secret/fleeting-credentials" not in cluster.names("secrets", SYSTEM)


def test_a_namespace_deleted_by_hand_is_created_again(cluster: Cluster) -> None:
    cluster.apply(workspace("razed"))
    eventually(lambda: created(cluster, "razed"), "provisioned")
    before = cluster.get("namespace", "razed")["metadata"]["uid"]
    cluster.kubectl("delete", "namespace", "razed", "--timeout=60s")

    def is_new() -> bool:
        recorded = cluster.get("aiws", "razed", "-n", SYSTEM)["status"].get("namespace", {})
        return created(cluster, "razed") and recorded.get("uid") not in (None, before)

    eventually(is_new, "a new namespace, recorded")
    cluster.kube.delete("aiws", "razed", SYSTEM)


def test_a_foreign_namespace_is_left_as_it_is(
    cluster: Cluster, tenant: str, metrics_port: int
) -> None:
    """Also what is in it under the names and labels of ours."""
    cluster.kubectl("create", "namespace", "somebodys")
    cluster.apply(impostor("Service", "somebodys-ollama", spec={"ports": [{"port": 80}]}))
    cluster.apply(impostor("Secret", "somebodys-openwebui-0123456789", stringData={"a": "b"}))

    def theirs() -> list[Any]:
        looks = [("namespace", "somebodys"), ("service,secret,serviceaccount", "-n", "somebodys")]
        return [cluster.get(*look, "--show-managed-fields") for look in looks]

    eventually(lambda: len(theirs()[1]["items"]) == 3, "the controllers have completed it")
    before = theirs()
    cluster.apply(workspace("somebodys"))
    eventually(
        lambda: condition(cluster, "somebodys").get("reason") == "NamespaceTaken", "NamespaceTaken"
    )
    assert (
        "choose" in (message := condition(cluster, "somebodys")["message"])
        or "create one" in message
    )
    assert_in_peace(cluster, "somebodys")
    cluster.kubectl("delete", "aiws", "somebodys", "-n", SYSTEM, "--timeout=60s")
    look_again(cluster, tenant, metrics_port, "fourth")  # any write to it was before
    assert theirs() == before
    status, event = sorted(
        {write for write in cluster.writes() if "somebodys" in write}, reverse=True
    )
    assert status == f"patch {SYSTEM}/aichatworkspaces/somebodys/status"
    assert event.startswith(f"create {SYSTEM}/events/somebodys.namespacetaken."), "that tells of it"
    cluster.kube.delete("namespace", "somebodys")


def impostor(kind: str, name: str, **body: Any) -> dict[str, Any]:
    """Somebody else's, though it looks like ours."""
    labels = workspace_labels("somebodys", name, OLLAMA)
    metadata = {"name": name, "namespace": "somebodys", "labels": labels}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **body}


def test_a_gateway_whose_kind_is_not_installed_takes_no_ingress_away(
    cluster: Cluster, tenant: str
) -> None:
    cluster.apply(platform({"ingress": {"gateway": {"name": "front", "namespace": "edge"}}}))
    try:
        eventually(
            lambda: condition(cluster, tenant, "Provisioned").get("reason") == "WriteRefused",
            "that the route can't be made is said",
        )
        assert cluster.names("ingress", tenant) == [f"ingress.networking.k8s.io/{tenant}-openwebui"]
    finally:
        restore_default_settings(cluster)
    eventually(lambda: created(cluster, tenant), "all is well again")


def test_credentials_without_a_key_are_reported_and_created_again_after_deletion(
    cluster: Cluster,
) -> None:
    cluster.apply(workspace("keyless"))
    eventually(lambda: created(cluster, "keyless"), "provisioned")
    secret = ("secret", "keyless-credentials", "-n", SYSTEM)
    taken = json.dumps([{"op": "remove", "path": "/data/WEBUI_SECRET_KEY"}])
    cluster.kubectl("patch", *secret, "--type=json", "-p", taken)
    eventually(
        lambda: condition(cluster, "keyless").get("reason") == "CredentialsIncomplete", "it is told"
    )
    cluster.kubectl("delete", *secret)
    eventually(lambda: created(cluster, "keyless"), "well again")
    assert "WEBUI_SECRET_KEY" in cluster.get(*secret)["data"]
    cluster.kube.delete("aiws", "keyless", SYSTEM)


def test_a_spec_that_the_operator_does_not_understand_is_told_and_can_be_deleted(
    cluster: Cluster,
) -> None:
    """As after the CRD of another version let it through."""
    cluster.apply(workspace("foreigner"))
    eventually(lambda: created(cluster, "foreigner"), "provisioned")
    crd = "aichatworkspaces.apps.aichatworkspaces.io"
    field = "schema/openAPIV3Schema/properties/spec/properties/scheduling/properties/nodeSelector"
    removals = [
        {"op": "remove", "path": f"/spec/versions/{number}/{field}/x-kubernetes-validations"}
        for number in range(len(names.SERVED_VERSIONS))
    ]
    cluster.kube.patch("crd", crd, "", removals)
    try:
        bad = workspace("foreigner", scheduling={"nodeSelector": {"not a key": "x"}})
        eventually(lambda: not cluster.apply(bad, check=False), "the API server takes it")
        eventually(
            lambda: condition(cluster, "foreigner").get("reason") == "SpecNotUnderstood", "told so"
        )
        message = condition(cluster, "foreigner")["message"]
        assert "spec.scheduling.nodeSelector.not a key" in message
        cluster.kubectl("delete", "aiws", "foreigner", "-n", SYSTEM, "--timeout=60s")
        assert "not found" in cluster.kubectl("get", "namespace", "foreigner", check=False)
    finally:
        cluster.kubectl("apply", "-k", str(ROOT / "config" / "default"))


def test_of_two_resources_for_one_workspace_the_older_wins(cluster: Cluster) -> None:
    cluster.apply(workspace("contested", "first"))
    eventually(lambda: created(cluster, "first"), "the first is provisioned")
    let_age(cluster, "first")
    cluster.apply(workspace("contested", "second"))
    eventually(
        lambda: condition(cluster, "second").get("reason") == "WorkspaceNameTaken", "told so"
    )
    assert f"{SYSTEM}/first" in condition(cluster, "second")["message"]
    assert_in_peace(cluster, "second", "contested")
    cluster.kubectl("delete", "aiws", "second", "-n", SYSTEM, "--timeout=30s")
    assert created(cluster, "first")
    cluster.kube.delete("aiws", "first", SYSTEM)


def test_an_unknown_pattern_is_named_with_the_ones_there_are(cluster: Cluster) -> None:
    cluster.apply(workspace("puzzled", models=["gemma2:2b"], patterns=["explain_cod"]))
    eventually(
        lambda: condition(cluster, "puzzled", "ModelsReady").get("reason") == "ModelFailed",
        "ModelsReady says so",
    )
    assert "'explain_code'" in condition(cluster, "puzzled", "ModelsReady")["message"]
    assert cluster.get("aiws", "puzzled", "-n", SYSTEM)["status"]["phase"] == "Degraded"
    assert_in_peace(cluster, "puzzled")
    cluster.kube.delete("aiws", "puzzled", SYSTEM)


def test_credentials_are_in_no_log_event_or_resource(
    cluster: Cluster, tenant: str, operator: Path
) -> None:
    secret = cluster.get("secret", f"{tenant}-credentials", "-n", SYSTEM)["data"]
    events = cluster.get("events.events.k8s.io", "-A")
    assert any(event["regarding"]["name"] == tenant for event in events["items"])
    texts = [
        operator.read_text(),
        json.dumps(events),
        json.dumps(cluster.get("aiws", tenant, "-n", SYSTEM)),
    ]
    for key in ("WEBUI_SECRET_KEY", "WEBUI_ADMIN_PASSWORD"):
        for value in (secret[key], base64.b64decode(secret[key]).decode()):
            assert not any(value in text for text in texts), key
