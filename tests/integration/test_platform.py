"""The platform team's settings: refused when bad, in force when edited; and a team's bounds."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.model_server import model_server
from tests.integration.platform_fields import (
    AUTHORITIES,
    CLASS_NAME,
    CLIENT_SECRET,
    EDITS,
    ELSEWHERE_NAME,
    ISSUER_NAME,
    NAME,
    OTHER_DOMAIN,
    PULL_SECRET,
    Edit,
)
from tests.integration.stand_in_kinds import GATEWAY_API, installed
from tests.integration.tenants import condition, settled
from tests.waiting import eventually, let_pass

pytestmark = pytest.mark.usefixtures("gateway_api", "operator")
TEAM = "team-bounded"
PROVIDER: Final = {
    "providerURL": "https://id.example.org/.well-known/openid-configuration",
    "clientID": "chats",
    "secretName": CLIENT_SECRET,
}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nb3Vycw==\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def gateway_api(cluster: Cluster) -> Iterator[None]:
    """The kind as far as the API server needs to know it; a Gateway's controller is not here.
    It goes with these tests: others of the same control plane need it to be absent."""
    with installed(cluster, GATEWAY_API, "HTTPRoute"):
        yield


@pytest.fixture(scope="module")
def tenant(cluster: Cluster) -> Iterator[str]:
    fields: dict[str, Any] = {
        "models": ["gemma2:2b"],
        "resources": {"ollama": {"gpu": {"count": 1}}},
        "scheduling": {
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        },
        "storage": {"ollama": {"storageClassName": "chosen"}},
    }
    others = {
        ELSEWHERE_NAME: {"host": f"our.{OTHER_DOMAIN}"},
        CLASS_NAME: {"className": "public"},
        ISSUER_NAME: {"tls": {"issuer": {"name": "corp"}}},
    }
    for document in platform_objects():
        cluster.apply(document)
    cluster.apply(workspace(NAME, **fields))
    for name, ingress in others.items():
        # Without pods, which would be made again for each setting, and which nothing looks at.
        cluster.apply(workspace(name, ingress=ingress, suspended=True))
    eventually(lambda: created(cluster, NAME), f"{NAME} is provisioned")
    for name in others:
        settled(cluster, name)
    yield NAME
    for name in (NAME, *others):
        cluster.kube.delete("aiws", name, SYSTEM)
    for document in platform_objects():
        cluster.kube.delete(document["kind"].lower(), document["metadata"]["name"], SYSTEM)


def platform_objects() -> tuple[dict[str, Any], ...]:
    """The Secrets and the ConfigMap that settings name for all workspaces."""
    return (
        pull_secret('{"auths": {}}'),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": CLIENT_SECRET,
                "namespace": SYSTEM,
                "annotations": {"apps.aichatworkspaces.io/for-workspace": "*"},
            },
            "stringData": {"clientSecret": "hush"},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": AUTHORITIES, "namespace": SYSTEM},
            "data": {"ca.crt": CERTIFICATE},
        },
    )


def pull_secret(content: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PULL_SECRET, "namespace": SYSTEM},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": content},
    }


@pytest.fixture(scope="module")
def defaults(cluster: Cluster, tenant: str) -> dict[str, object]:
    """What shows without any settings."""
    assert tenant
    return {name: edit.look(cluster) for name, edit in EDITS.items()}


def created(cluster: Cluster, name: str, namespace: str = SYSTEM) -> bool:
    resource = cluster.get("aiws", name, "-n", namespace)
    return bool(resource.get("status", {}).get("isCreated"))


@contextmanager
def settings(cluster: Cluster, spec: object) -> Iterator[None]:
    cluster.apply(platform(spec))
    try:
        yield
    finally:
        restore_default_settings(cluster)


def _expression(operator: str, values: list[str]) -> dict[str, Any]:
    """An affinity of pods to nodes."""
    expression = {"key": "pool", "operator": operator, "values": values}
    return {"nodeAffinity": {"required": [{"matchExpressions": [expression]}]}}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"ceiling": {"cpu": "much"}}, "spec.ceiling.cpu"),
        ({"network": {"egressExcept": ["everywhere"]}}, "spec.network.egressExcept[0]"),
        ({"network": {"egressExcept": ["999.1.1.1/999"]}}, "spec.network.egressExcept[0]"),
        ({"network": {"egressExcept": ["fd00::/129"]}}, "spec.network.egressExcept[0]"),
        ({"network": {"egressAllow": ["::/0"]}}, "spec.network.egressAllow[0]"),
        ({"network": {"dns": {"ports": []}}}, "spec.network.dns.ports"),
        ({"network": {"dns": {"namespaces": []}}}, "spec.network.dns.namespaces"),
        ({"network": {"dns": {"podLabels": {"not a key": "x"}}}}, "keys must be names of labels"),
        ({"ingress": {"sourceRanges": ["anywhere"]}}, "spec.ingress.sourceRanges[0]"),
        ({"proxy": {"url": "http://proxy.example.org:3128"}}, "write the proxy's addresses"),
        ({"proxy": {"url": "http://ann:secret@192.0.2.8:3128"}}, "no user or password"),
        ({"proxy": {"url": "https://192.0.2.8:3128"}}, "write http://"),
        (
            {"proxy": {"url": "http://192.0.2.8:3128", "noProxy": ["fd00::/8"]}},
            "does not start with a range of IPv6",
        ),
        ({"trustedAuthorities": {"key": "ca.crt"}}, "configMapName"),
        ({"imagePullSecretNames": ["Not A Name"]}, "spec.imagePullSecretNames[0]"),
        ({"images": {"ollama": "ollama"}}, "spec.images.ollama"),
        ({"images": {"ollama": "docker.io/ollama/ollama:latest"}}, "latest moves"),
        ({"ollama": {"storage": "0"}}, "spec.ollama.storage"),
        ({"openWebUI": {"cpuLimit": "0"}}, "spec.openWebUI.cpuLimit"),
        ({"ingress": {"domain": "Not A Domain"}}, "spec.ingress.domain"),
        ({"ingress": {"profile": "Apache"}}, "spec.ingress.profile"),
        ({"models": {"concurrentPulls": 0}}, "spec.models.concurrentPulls"),
        ({"upgrades": {"concurrent": 100}}, "spec.upgrades.concurrent"),
        ({"imagse": {}}, 'unknown field "spec.imagse"'),
        ({"pods": {"runAs": "Root"}}, "spec.pods.runAs"),
        ({"signIn": {"passwordForm": False}}, "without the form nobody could sign in"),
        ({"signIn": {"scim": True}}, "people whom SCIM adds sign in by their address"),
        ({"signIn": {"oidc": PROVIDER, "scim": True}}, "name oidc.verifiedEmailClaim"),
        ({"signIn": {"oidc": {"clientID": "chats"}}}, "spec.signIn.oidc.providerURL"),
        ({"signIn": {"oidc": {**PROVIDER, "roles": {}}}}, "without any nobody gets in"),
        ({"signIn": {"oidc": {**PROVIDER, "groups": {}}}}, "leave groups out for none"),
        (
            {"signIn": {"oidc": {**PROVIDER, "roles": {"allowed": ["a,b"]}}}},
            "spec.signIn.oidc.roles.allowed[0]",
        ),
        (
            {"signIn": {"oidc": {**PROVIDER, "allowedDomains": ["*"]}}},
            "spec.signIn.oidc.allowedDomains[0]",
        ),
        ({"allowed": {"signIn": ["Everything"]}}, "spec.allowed.signIn[0]"),
        ({"pods": {"runtimeClass": {"name": "Kata!"}}}, "spec.pods.runtimeClass.name"),
        ({"pods": {"spreadOver": ["not a label!"]}}, "spec.pods.spreadOver[0]"),
        (
            {"pods": {"nodeAffinity": {"required": [{"matchExpressions": []}]}}},
            "spec.pods.nodeAffinity.required[0].matchExpressions",
        ),
        ({"pods": _expression("Exists", ["a"])}, "take no values"),
        ({"pods": _expression("In", [])}, "the other operators some"),
        ({"pods": _expression("Gt", ["a"])}, "one whole number"),
        ({"pods": {"metadata": {"labels": {"no label!": "a"}}}}, "names of labels"),
        (
            {"pods": {"metadata": {"labels": {"aichatworkspace": "other"}}}},
            "aichatworkspace and names below aichatworkspaces.io",
        ),
        (
            {
                "pods": {
                    "metadata": {
                        "annotations": {"app.kubernetes.io/name": "a", "example.org/b": "c"}
                    }
                }
            },
            "of which only those of cluster-autoscaler.kubernetes.io are open here",
        ),
        (
            {"namespaceMetadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
            "names below kubernetes.io and k8s.io are Kubernetes'",
        ),
        (
            {"namespaceMetadata": {"annotations": {"apps.aichatworkspaces.io/workspace-uid": "a"}}},
            "names below aichatworkspaces.io are the operator's",
        ),
        (
            {"ingress": {"metadata": {"annotations": {"cert-manager.io/issuer": "a"}}}},
            "cert-manager.io/cluster-issuer, cert-manager.io/issuer, haproxy.org",
        ),
        ({"sizeClasses": [{"name": "a"}, {"name": "a"}]}, "Duplicate value"),
        ({"sizeClasses": [{"name": "none"}]}, "give the class another name"),
        ({"sizeClasses": [{"name": "a", "successor": "b"}]}, "must name a class of this list"),
        (
            {"sizeClasses": [{"name": "a", "successor": "b"}, {"name": "b", "successor": "a"}]},
            "that has no successor itself",
        ),
        (
            {"sizeClasses": [{"name": "a", "models": ["not a model"]}]},
            "spec.sizeClasses[0].models[0]",
        ),
        (
            {
                "sizeClasses": [
                    {
                        "name": "a",
                        "resources": {"ollama": {"memoryRequest": "2Gi", "memoryLimit": "1Gi"}},
                    }
                ]
            },
            "memoryRequest must not be more than memoryLimit",
        ),
    ],
)
def test_a_bad_edit_is_refused_with_the_field_named(
    cluster: Cluster, spec: dict[str, Any], message: str
) -> None:
    assert message in cluster.apply(platform(spec), check=False)


def test_there_is_one_platform_only(cluster: Cluster) -> None:
    assert "its name is 'default'" in cluster.apply(platform({}, "second"), check=False)


def test_a_gateway_is_found_whose_kind_was_installed_after_the_settings_named_it(
    cluster: Cluster,
) -> None:
    def references() -> tuple[str, str]:
        platforms = cluster.get("aichatplatform")["items"]
        conditions = [
            condition
            for resource in platforms
            for condition in resource.get("status", {}).get("conditions", ())
            if condition["type"] == "ReferencesResolved"
        ]
        return (conditions[0]["status"], conditions[0]["reason"]) if conditions else ("", "")

    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "the-platforms"},
        "provisioner": "example.org/none",
    }
    gateway = {"name": "front", "namespace": "default"}
    cluster.apply(storage_class)
    named = {"storageClassName": "the-platforms", "ingress": {"gateway": gateway}}
    with settings(cluster, named):
        eventually(lambda: references() == ("False", "GatewayNotFound"), "that is told")
        with installed(cluster, GATEWAY_API, "Gateway"):
            cluster.apply(
                {
                    "apiVersion": "gateway.networking.k8s.io/v1",
                    "kind": "Gateway",
                    "metadata": gateway,
                    "spec": {},
                }
            )
            eventually(lambda: references()[0] == "True", "the Gateway is found")
        eventually(lambda: references() == ("False", "GatewayNotFound"), "it is gone again")
    cluster.kubectl("delete", "storageclass", "the-platforms")


@pytest.mark.parametrize("way", [{}, {"gateway": {"name": "front", "namespace": "edge"}}])
def test_no_workspace_stays_reachable_at_a_host_that_was_reserved_later(
    cluster: Cluster, tenant: str, defaults: dict[str, object], way: dict[str, Any]
) -> None:
    assert defaults, "they are read before there are settings"
    kind = "httproute" if way else "ingress"
    with settings(cluster, {"ingress": way}):
        eventually(lambda: cluster.names(kind, tenant), f"{tenant} is reachable")
        reserved = [f"{tenant}.localtest.me"]
        cluster.apply(platform({"ingress": {**way, "reservedHosts": reserved}}))
        eventually(lambda: not cluster.names(kind, tenant), "its way in is gone")
        assert cluster.names("deployment", tenant), "and nothing else is"
        eventually(lambda: not address(cluster, tenant), "no address is told")
    eventually(lambda: cluster.names("ingress", tenant), f"{tenant} is reachable again")
    eventually(lambda: address(cluster, tenant), "its address is told")


def seen(cluster: Cluster, name: str, port: int) -> None:
    """The operator has the settings that come with this port; they and workspaces come to it by
    ways of their own."""
    eventually(lambda: f":{port}" in str(address(cluster, name)), "the settings are in force")


def address(cluster: Cluster, name: str) -> object:
    return cluster.get("aiws", name, "-n", SYSTEM)["status"].get("url")


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reaches_every_workspace_and_its_removal_restores_the_default(
    cluster: Cluster, tenant: str, defaults: dict[str, object], name: str
) -> None:
    edit, before = EDITS[name], defaults[name]
    eventually(lambda: shown(cluster, edit) == before, f"{tenant} is as it was made")
    assert before != edit.shows
    with settings(cluster, edit.spec):
        eventually(lambda: shown(cluster, edit) == edit.shows, f"{name} reached {tenant}")
    eventually(lambda: shown(cluster, edit) == before, f"{tenant} is as before {name}")


def shown(cluster: Cluster, edit: Edit) -> object:
    """None while the object is not there: a route takes an Ingress's place, and back."""
    try:
        return edit.look(cluster)
    except AssertionError as error:
        if "NotFound" not in str(error):
            raise
        return None


def test_others_may_add_only_the_annotations_and_labels_that_the_platform_lists(
    cluster: Cluster, tenant: str
) -> None:
    """Else they would route another host to the chat, or make a team of its namespace."""
    alias, project = "nginx.ingress.kubernetes.io/server-alias", "field.cattle.io/projectId"
    team = "aichatworkspaces.io/team"
    way_in = ("ingress", f"{tenant}-openwebui", "-n", tenant)

    def annotations(*target: str) -> Any:
        return cluster.get(*target)["metadata"]["annotations"]

    cluster.kubectl("annotate", *way_in, f"{alias}=*.example.org", f"{project}=p-1")
    cluster.kubectl("annotate", "service", f"{tenant}-openwebui", "-n", tenant, f"{alias}=x")
    cluster.kubectl("label", "namespace", tenant, f"{team}=true")
    eventually(lambda: alias not in annotations(*way_in), "the Ingress is as it was")
    eventually(
        lambda: alias not in annotations("service", f"{tenant}-openwebui", "-n", tenant),
        "the Service is as it was",
    )
    eventually(
        lambda: team not in cluster.get("namespace", tenant)["metadata"]["labels"],
        "the namespace is no team's",
    )
    assert annotations(*way_in)[project] == "p-1"
    with settings(cluster, {"allowed": {"foreignMetadata": [alias]}, "ingress": {"port": 8083}}):
        seen(cluster, tenant, 8083)
        eventually(lambda: project not in annotations(*way_in), "the list is the platform's")
        cluster.kubectl("annotate", *way_in, f"{alias}=*.example.org")
        let_pass(2, "it would be taken off at once")
        assert alias in annotations(*way_in)
    eventually(lambda: alias not in annotations(*way_in), "it is taken off again")


def test_registries_passwords_are_copied_follow_a_change_and_go_with_the_setting(
    cluster: Cluster, tenant: str
) -> None:
    """And while one is missing, the platform and a new workspace name it."""
    copy = ("secret", f"{tenant}-openwebui-pull-1", "-n", tenant)

    def copied() -> str:
        data = cluster.get(*copy)["data"][".dockerconfigjson"]
        return base64.b64decode(data).decode()

    def names_the_missing(*target: str) -> bool:
        conditions = cluster.get(*target).get("status", {}).get("conditions", [])
        return any("Secret 'not-there'" in condition["message"] for condition in conditions)

    before = cluster.get("deployment", f"{tenant}-openwebui", "-n", tenant)["metadata"]
    with settings(cluster, {"imagePullSecretNames": [PULL_SECRET], "ingress": {"port": 8084}}):
        seen(cluster, tenant, 8084)
        eventually(
            lambda: cluster.names("secret", tenant) and copied() == '{"auths": {}}', "it is there"
        )
        pods = cluster.get("deployment", f"{tenant}-openwebui", "-n", tenant)["metadata"]
        cluster.apply(pull_secret('{"auths": {"a": {}}}'))
        eventually(lambda: copied() == '{"auths": {"a": {}}}', "it follows")
        after = cluster.get("deployment", f"{tenant}-openwebui", "-n", tenant)["metadata"]
        assert before["generation"] < pods["generation"] == after["generation"]
    eventually(
        lambda: copy[1] not in str(cluster.names("secret", tenant)), "it goes with the setting"
    )
    cluster.apply(pull_secret('{"auths": {}}'))
    with settings(cluster, {"imagePullSecretNames": ["not-there"]}):
        eventually(lambda: names_the_missing("aichatplatform", "default"), "the platform names it")
        cluster.apply(workspace("passwordless"))
        eventually(
            lambda: names_the_missing("aiws", "passwordless", "-n", SYSTEM), "a workspace names it"
        )
        assert not created(cluster, "passwordless")
    cluster.kube.delete("aiws", "passwordless", SYSTEM)


def test_a_new_workspace_gets_the_platforms_volumes(cluster: Cluster, tenant: str) -> None:
    spec = {
        "storageClassName": "ours",
        "ollama": {"storage": "31Gi"},
        "openWebUI": {"storage": "4Gi"},
    }
    with settings(cluster, {**spec, "ingress": {"port": 8081}}):
        seen(cluster, tenant, 8081)
        cluster.apply(workspace("voluminous"))
        eventually(lambda: created(cluster, "voluminous"), "it is provisioned")
        claims = cluster.get("pvc", "-n", "voluminous")["items"]
        assert [
            (claim["spec"]["storageClassName"], claim["spec"]["resources"]["requests"]["storage"])
            for claim in claims
        ] == [("ours", "31Gi"), ("ours", "4Gi")]
        cluster.kube.delete("aiws", "voluminous", SYSTEM)


# As OpenShift does it: what names no user gets one of the namespace's range, and what names another
# one is refused.
RANGE: Final = 1000660000
_IS_OURS: Final = "object.metadata.namespace.startsWith('ranged-')"
_NAMES_NO_USER: Final = "!has(object.spec.securityContext.runAsUser)"
_GIVES: Final = (
    "Object{spec: Object.spec{securityContext: Object.spec.securityContext"
    f"{{runAsUser: {RANGE}, fsGroup: {RANGE}}}}}}}"
)
_IS_IN_RANGE: Final = " && ".join(
    f"object.spec.?securityContext.?{field}.orValue(0) >= {RANGE}"
    for field in ("runAsUser", "fsGroup")
)


@contextmanager
def ranges(cluster: Cluster) -> Iterator[None]:
    """A cluster that gives pods their users, in the namespaces ranged-…"""
    group, name = "admissionregistration.k8s.io", "ranges"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    constraints = {"matchConstraints": {"resourceRules": [rule]}}
    ours = {"name": "ours", "expression": _IS_OURS}
    no_user = {"name": "names-no-user", "expression": _NAMES_NO_USER}
    gives = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": _GIVES}}
    message = f"runAsUser and fsGroup must be {RANGE} or more"
    policies: dict[str, dict[str, Any]] = {
        "Mutating": {
            "reinvocationPolicy": "Never",
            "matchConditions": [ours, no_user],
            "mutations": [gives],
        },
        "Validating": {
            "matchConditions": [ours],
            "validations": [{"expression": _IS_IN_RANGE, "message": message}],
        },
    }
    actions: dict[str, dict[str, Any]] = {
        "Mutating": {},
        "Validating": {"validationActions": ["Deny"]},
    }
    head = {"apiVersion": f"{group}/v1", "metadata": {"name": name}}
    for verb, spec in policies.items():
        kind, binding = f"{verb}AdmissionPolicy", {"policyName": name, **actions[verb]}
        cluster.apply({**head, "kind": kind, "spec": {**constraints, **spec}})
        cluster.apply({**head, "kind": f"{kind}Binding", "spec": binding})
    cluster.kubectl("create", "namespace", "ranged-probe")
    try:
        eventually(lambda: message in _as_user(cluster, 1000), "others are refused")
        eventually(lambda: "created" in _as_user(cluster, None), "who names none gets one")
        yield
    finally:
        for kind in policies:
            for plural in ("admissionpolicybindings", "admissionpolicies"):
                cluster.kubectl("delete", f"{kind.lower()}{plural}.{group}", name)
        cluster.kubectl("delete", "namespace", "ranged-probe", "--wait=false")


def _as_user(cluster: Cluster, user: int | None) -> str:
    """What the API server says of a pod of that user."""
    security = {"runAsUser": user, "fsGroup": user} if user else {"runAsNonRoot": True}
    container = {"name": "probe", "image": "docker.io/a/b:1"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "namespace": "ranged-probe"},
        "spec": {"securityContext": security, "containers": [container]},
    }
    command = ("create", "--dry-run=server", "-f", "-")
    return cluster.kubectl(*command, stdin=json.dumps(pod), check=False)


def test_where_the_cluster_gives_users_by_ranges_pods_are_made_once_it_may(
    cluster: Cluster,
) -> None:
    name = "ranged-chat"

    def is_refused() -> bool:
        """As a Deployment tells it; a StatefulSet has no condition for it."""
        known = condition(cluster, name, "OpenWebUIAvailable")
        return known.get("reason") == "PodRefused" and str(RANGE) in known["message"]

    with ranges(cluster):
        cluster.apply(workspace(name))
        eventually(lambda: created(cluster, name), "its objects are there")
        eventually(is_refused, "user 1000 is refused")
        assert pods(cluster, name) == []
        with settings(cluster, {"pods": {"runAs": "Cluster"}}):
            eventually(lambda: len(pods(cluster, name)) == 2, "both pods are admitted")
            for pod in pods(cluster, name):
                security = pod["spec"]["securityContext"]
                assert (security["runAsUser"], security["fsGroup"]) == (RANGE, RANGE)
                assert security["runAsNonRoot"] is True
            assert condition(cluster, name, "StoredAsApplied")["status"] == "True"
    cluster.kube.delete("aiws", name, SYSTEM)


def pods(cluster: Cluster, namespace: str) -> list[Any]:
    items: list[Any] = cluster.get("pods", "-n", namespace)["items"]
    return items


FULL_CLASS: dict[str, Any] = {
    "name": "full",
    "description": "Everything that a class may say",
    "resources": {
        "ollama": {
            "cpuRequest": "700m",
            "cpuLimit": "3",
            "memoryRequest": "2Gi",
            "memoryLimit": "5Gi",
            "gpu": {"count": 2, "resourceName": "example.org/gpu"},
        },
        "openWebUI": {
            "cpuRequest": "150m",
            "cpuLimit": "1",
            "memoryRequest": "600Mi",
            "memoryLimit": "1Gi",
        },
    },
    "storage": {
        "ollama": {"size": "31Gi", "storageClassName": "fast"},
        "openWebUI": {"size": "4Gi", "storageClassName": "safe"},
    },
    "models": ["models.example.org:5000/a/b:1"],
}


def test_a_size_class_gives_what_its_workspaces_leave_out(cluster: Cluster) -> None:
    """Also by name what its team may not choose itself; an edit reaches its workspaces."""
    allowed: dict[str, list[str]] = {"gpuResources": [], "storageClasses": []}
    name, larger = "sized", {**FULL_CLASS, "models": ["qwen3:1b"]}
    with settings(cluster, {"sizeClasses": [FULL_CLASS], "allowed": allowed}):
        own = {"openWebUI": {"cpuLimit": "2"}}
        cluster.apply(workspace(name, className="full", models=[], resources=own))
        eventually(lambda: created(cluster, name), "it is provisioned")
        ollama, chat = (resources(cluster, name, kind) for kind in ("statefulset", "deployment"))
        disk = {"ephemeral-storage": "2Gi"}
        assert ollama["limits"] == {"cpu": "3", "memory": "5Gi", "example.org/gpu": "2", **disk}
        assert (ollama["requests"]["cpu"], ollama["requests"]["memory"]) == ("700m", "2Gi")
        assert chat["limits"] == {"cpu": "2", "memory": "1Gi", **disk}
        assert (chat["requests"]["cpu"], chat["requests"]["memory"]) == ("150m", "600Mi")
        claims = cluster.get("pvc", "-n", name)["items"]
        assert [
            (claim["spec"]["storageClassName"], claim["spec"]["resources"]["requests"]["storage"])
            for claim in claims
        ] == [("fast", "31Gi"), ("safe", "4Gi")]
        hard = cluster.get("quota", name, "-n", name)["spec"]["hard"]
        assert (hard["limits.cpu"], hard["limits.memory"]) == ("5", "6Gi")
        assert (hard["requests.storage"], hard["requests.example.org/gpu"]) == ("35Gi", "2")
        ports = cluster.get("networkpolicy", f"{name}-ollama", "-n", name)["spec"]["egress"]
        assert 5000 in [port["port"] for rule in ports for port in rule["ports"]]
        eventually(lambda: "models.example.org:5000/a/b:1" in models(cluster, name), "its model")
        spec = cluster.get("aiws", name, "-n", SYSTEM)["spec"]
        assert (spec["models"], spec["resources"]["openWebUI"]) == ([], own["openWebUI"])
        cluster.apply(platform({"sizeClasses": [larger], "allowed": allowed}))
        eventually(lambda: "qwen3:1b" in models(cluster, name), "the other model is wanted")
    cluster.kube.delete("aiws", name, SYSTEM)


def resources(cluster: Cluster, name: str, kind: str) -> Any:
    """The resources of the workload's container."""
    workloads = cluster.get(kind, "-n", name)["items"]
    return workloads[0]["spec"]["template"]["spec"]["containers"][0]["resources"]


def models(cluster: Cluster, name: str) -> list[str]:
    status = cluster.get("aiws", name, "-n", SYSTEM).get("status", {})
    return [model["name"] for model in status.get("models", ())]


def test_a_size_class_that_is_missing_or_of_others_is_refused_by_name_and_keeps_what_runs(
    cluster: Cluster,
) -> None:
    name = "unsized"
    small = {"name": "small", "resources": {"ollama": {"memoryLimit": "3Gi"}}}
    theirs = {**small, "allowedTeams": ["team-of-others"]}

    def said(reason: str, *words: str) -> bool:
        known = condition(cluster, name)
        return known.get("reason") == reason and all(word in known["message"] for word in words)

    def memory() -> str:
        return str(resources(cluster, name, "statefulset")["limits"]["memory"])

    cluster.apply(workspace(name, className="small"))
    eventually(lambda: said("SizeClassNotFound", "'small'", "choose none"), "it is missing")
    assert "NotFound" in cluster.kubectl("get", "namespace", name, check=False)
    with settings(cluster, {"sizeClasses": [small]}):
        eventually(lambda: created(cluster, name), "the class is there")
        assert memory() == "3Gi"
        cluster.apply(platform({"sizeClasses": [theirs, {"name": "tiny"}]}))
        eventually(lambda: said("SizeClassNotAllowed", SYSTEM, "choose tiny"), "it is others'")
        assert memory() == "3Gi"
    eventually(lambda: said("SizeClassNotFound"), "it is gone")
    assert memory() == "3Gi"
    cluster.kube.delete("aiws", name, SYSTEM)


@pytest.mark.usefixtures("tenant")
def test_what_the_platform_decides_of_signing_in_is_refused_by_its_field(cluster: Cluster) -> None:
    name = "deciding"
    access = {"apiKeys": True, "oidc": {"groups": {"create": True}}}

    def said(reason: str, *words: str) -> bool:
        known = condition(cluster, name)
        return known.get("reason") == reason and all(word in known["message"] for word in words)

    def variables() -> Any:
        chat = cluster.get("deployment", f"{name}-openwebui", "-n", name)
        entries = chat["spec"]["template"]["spec"]["containers"][0]["env"]
        return {entry["name"]: entry.get("value") for entry in entries}

    cluster.apply(workspace(name, access=access))
    eventually(
        lambda: said("SignInIncomplete", "spec.access.oidc", "spec.signIn.oidc"), "no provider"
    )
    assert "NotFound" in cluster.kubectl("get", "namespace", name, check=False)
    with settings(cluster, {"signIn": {"oidc": PROVIDER}, "allowed": {"signIn": ["Groups"]}}):
        eventually(lambda: said("SignInNotAllowed", "spec.access.apiKeys", "APIKeys"), "its keys")
        cluster.apply(platform({"signIn": {"oidc": PROVIDER}}))
        eventually(lambda: created(cluster, name), "all is the workspace's to decide")
        assert variables()["OAUTH_CLIENT_ID"] == PROVIDER["clientID"]
        assert (
            variables()["ENABLE_OAUTH_GROUP_CREATION"] == variables()["ENABLE_API_KEYS"] == "true"
        )
        cluster.apply(workspace(name, access={"oidc": {"enabled": False}}))
        eventually(lambda: "OAUTH_CLIENT_ID" not in variables(), "it does without the provider")
        cluster.apply(workspace(name, access={"oidc": {"enabled": True}}))
        eventually(lambda: "OAUTH_CLIENT_ID" in variables(), "it has the platform's again")
        scopes = {"oidc": {"extraScopes": ["groups", "Mail.Read"]}}
        cluster.apply(workspace(name, access=scopes))
        field = "spec.access.oidc.extraScopes has groups, Mail.Read"
        eventually(lambda: said("SignInNotAllowed", field), "the client is the platform's")
        wider = {**PROVIDER, "extraScopes": ["groups"]}
        cluster.apply(platform({"signIn": {"oidc": wider}}))
        named = "spec.access.oidc.extraScopes has Mail.Read,"
        eventually(lambda: said("SignInNotAllowed", named), "the platform asks for groups alone")
        assert "Mail.Read" not in variables().get("OAUTH_SCOPES", "")
        cluster.apply(workspace(name, access={"oidc": {"extraScopes": ["groups"]}}))
        eventually(
            lambda: variables().get("OAUTH_SCOPES") == "openid email profile groups", "as it does"
        )
    cluster.kube.delete("aiws", name, SYSTEM)


def test_a_client_secret_that_is_not_marked_is_named_with_its_fix(
    cluster: Cluster, tenant: str
) -> None:
    mark = "apps.aichatworkspaces.io/for-workspace"

    def said() -> str:
        ready = condition(cluster, tenant)
        return str(ready["message"]) if ready.get("reason") == "ClientSecretNotFound" else ""

    with settings(cluster, {"signIn": {"oidc": PROVIDER}}):
        eventually(lambda: not said() and _has_copy(cluster, tenant), "the copy is there")
        cluster.kubectl("annotate", "secret", CLIENT_SECRET, "-n", SYSTEM, f"{mark}-")
        eventually(lambda: f"{mark}: '*'" in said(), "it says what is missing")
        cluster.kubectl("annotate", "secret", CLIENT_SECRET, "-n", SYSTEM, f"{mark}=*")
        eventually(lambda: not said(), "it is marked again")
    eventually(lambda: not _has_copy(cluster, tenant), "the copy goes with the setting")


def _has_copy(cluster: Cluster, tenant: str) -> bool:
    """Whether the tenant has a copy of the platform's client secret."""
    secrets = cluster.get("secrets", "-n", tenant)["items"]
    copy = f"{tenant}-openwebui-platform-oidc-"
    return any(secret["metadata"]["name"].startswith(copy) for secret in secrets)


@pytest.mark.usefixtures("tenant")
def test_a_token_for_scim_is_made_once_kept_and_made_again_when_it_is_taken_out(
    cluster: Cluster,
) -> None:
    tenant = "provisioning"
    credentials = ("secret", f"{tenant}-credentials", "-n", SYSTEM)
    verified = {**PROVIDER, "verifiedEmailClaim": "email"}

    def token() -> str:
        return str(cluster.get(*credentials)["data"].get("SCIM_TOKEN", ""))

    def copied() -> list[str]:
        secrets = cluster.get("secrets", "-n", tenant)["items"]
        return [
            secret["data"]["SCIM_TOKEN"] for secret in secrets if "SCIM_TOKEN" in secret["data"]
        ]

    cluster.apply(workspace(tenant))
    eventually(lambda: created(cluster, tenant), "it is provisioned")
    before = cluster.get(*credentials)["data"]
    assert "SCIM_TOKEN" not in before
    with settings(cluster, {"signIn": {"oidc": verified, "scim": True}}):
        eventually(lambda: copied() == [token()] != [""], "a token is made and copied")
        first = token()
        assert len(base64.b64decode(first)) == 64
        others = {name: cluster.get(*credentials)["data"][name] for name in before}
        assert others == before, "the other credentials stay"
        removal = '[{"op": "remove", "path": "/data/SCIM_TOKEN"}]'
        cluster.kubectl("patch", *credentials, "--type=json", "-p", removal)
        eventually(lambda: token() not in ("", first) and copied() == [token()], "another one")
    eventually(lambda: copied() == [], "no chat has it without the setting")
    assert token(), "it is kept"
    cluster.kube.delete("aiws", tenant, SYSTEM)


def test_downloads_follow_the_platforms_settings(cluster: Cluster) -> None:
    """How many run at once, and which registries speak plain HTTP."""
    name, registry = "pulling", "models.example.org:5000"
    first = [f"{registry}/a/b:1", "gemma2:2b", "qwen3:1b"]
    second = [f"{registry}/a/c:1", f"{registry}/a/d:1", f"{registry}/a/e:1"]
    cluster.apply(workspace(name, embeddingModel="none", suspended=True))
    eventually(lambda: created(cluster, name), f"{name} is provisioned")
    with model_server(cluster, name) as requests:
        pulls = {"concurrentPulls": 1, "insecureRegistries": [registry]}
        with settings(cluster, {"models": pulls, "ingress": {"port": 8081}}):
            seen(cluster, name, 8081)
            cluster.apply(workspace(name, embeddingModel="none", models=first))
            eventually(lambda: requests.present == set(first), "all are pulled")
        assert requests.most == 1
        assert [model for model in first if requests.insecure[model]] == first[:1]
        another = {"concurrentPulls": 2, "allowedRegistries": [registry]}
        with settings(cluster, {"models": another, "ingress": {"port": 8082}}):
            seen(cluster, name, 8082)
            cluster.apply(workspace(name, embeddingModel="none", models=second))
            eventually(lambda: requests.present == set(second), "the others take their place")
        assert requests.most == 2
        assert not any(requests.insecure[model] for model in second)
    cluster.kube.delete("aiws", name, SYSTEM)


def test_with_a_gateway_there_is_a_route_instead_of_an_ingress(
    cluster: Cluster, tenant: str
) -> None:
    def routed() -> bool:
        return f"ingress.networking.k8s.io/{tenant}-openwebui" not in cluster.names(
            "ingress", tenant
        )

    with settings(cluster, {"ingress": {"gateway": {"name": "front", "namespace": "edge"}}}):
        eventually(routed, "the Ingress is gone")
        route = cluster.get("httproute", f"{tenant}-openwebui", "-n", tenant)["spec"]
        assert route["hostnames"] == [f"{tenant}.localtest.me"]
        assert route["parentRefs"][0]["name"] == "front"
        assert route["rules"][0]["backendRefs"][0]["name"] == f"{tenant}-openwebui"
        eventually(
            lambda: served(cluster).get("reason") == "RouteNotAccepted", "no Gateway takes it"
        )
        accepted = {"parents": [accepted_by("front", "edge")]}
        cluster.kube.patch("httproute", f"{tenant}-openwebui", tenant, {"status": accepted})
        eventually(lambda: served(cluster).get("status") == "True", "a Gateway has taken it")
    eventually(lambda: not routed(), "the Ingress is back")
    eventually(lambda: cluster.names("httproute", tenant) == [], "the route is gone")


def served(cluster: Cluster) -> Any:
    return condition(cluster, NAME, "IngressServed")


def accepted_by(gateway: str, namespace: str) -> dict[str, Any]:
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}
    parent = {"name": gateway, "namespace": namespace}
    return {"parentRef": parent, "controllerName": "example.org/c", "conditions": [condition]}


def test_a_volume_grows_where_its_class_allows_it(cluster: Cluster) -> None:
    cluster.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "grows"},
            "provisioner": "example.org/none",
            "allowVolumeExpansion": True,
        }
    )
    for name, component in (("growing-ollama", "ollama"), ("growing-openwebui", "openwebui")):
        cluster.apply(volume(f"for-{component}", "growing", name))
    sizes = {part: {"size": "1Gi", "storageClassName": "grows"} for part in ("ollama", "openWebUI")}
    cluster.apply(workspace("growing", storage=sizes))
    claim = ("pvc", "growing-openwebui", "-n", "growing")
    eventually(
        lambda: (
            cluster.get(*claim).get("status", {}).get("phase") == "Bound"
            if created(cluster, "growing")
            else False
        ),
        "the volume is bound",
    )

    def chat_volume(volume: object) -> None:
        change = {"spec": {"storage": {"openWebUI": volume}}}
        cluster.kube.patch("aiws", "growing", SYSTEM, change)

    chat_volume({"size": "3Gi"})
    eventually(
        lambda: cluster.get(*claim)["spec"]["resources"]["requests"]["storage"] == "3Gi",
        "the claim asks for the larger size",
    )
    chat_volume(None)  # after which the API server does not know any more that it shrinks
    chat_volume({"size": "1Gi"})
    eventually(
        lambda: condition(cluster, "growing", "StorageAsAsked").get("reason") == "VolumeKept",
        "that it can't shrink is told",
    )
    quota = cluster.get("quota", "growing", "-n", "growing")["spec"]["hard"]
    assert quota["requests.storage"] == "4Gi"
    cluster.kube.delete("aiws", "growing", SYSTEM)


def volume(name: str, namespace: str, claim: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": "grows",
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "claimRef": {"namespace": namespace, "name": claim},
            "hostPath": {"path": f"/nowhere/{name}"},
        },
    }


def test_a_pattern_of_a_config_map_is_offered_and_its_removal_is_told(
    cluster: Cluster, tenant: str
) -> None:
    prompts = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "our-patterns",
            "namespace": SYSTEM,
            "labels": {"aichatworkspaces.io/patterns": ""},
        },
        "data": {"answer_like_us": "You answer in our house style."},
    }
    cluster.apply(prompts)
    cluster.kube.patch("aiws", tenant, SYSTEM, {"spec": {"patterns": ["answer_like_us"]}})

    def state() -> str:
        patterns = cluster.get("aiws", tenant, "-n", SYSTEM)["status"].get("patterns", [])
        return next((pattern["state"] for pattern in patterns), "")

    eventually(lambda: state() == "Pending", "it waits for a model server, and is known")
    cluster.kubectl("delete", "configmap", "our-patterns", "-n", SYSTEM)
    eventually(lambda: state() == "Failed", "that it is gone is told")
    cluster.kube.patch("aiws", tenant, SYSTEM, {"spec": {"patterns": None}})


def test_a_teams_workspaces_are_counted_by_a_plain_quota(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", TEAM)
    cluster.kubectl("label", "namespace", TEAM, "aichatworkspaces.io/team=true")
    counted = "count/aichatworkspaces.apps.aichatworkspaces.io"

    cluster.kubectl("create", "quota", "workspaces", f"--hard={counted}=1", "-n", TEAM)
    eventually(
        lambda: "used" in cluster.get("quota", "workspaces", "-n", TEAM).get("status", {}),
        "the quota counts workspaces: its controller looks for new kinds twice a minute",
        120,
    )
    first = workspace("team-first")
    first["metadata"]["namespace"] = TEAM
    cluster.apply(first)
    eventually(lambda: created(cluster, "team-first", TEAM), "the first is provisioned")
    second = workspace("team-second")
    second["metadata"]["namespace"] = TEAM
    assert "exceeded quota: workspaces" in cluster.apply(second, check=False)
    cluster.kube.delete("aiws", "team-first", TEAM)
