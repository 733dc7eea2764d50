"""Every field of the spec: set, it reaches the objects; removed, the default is back exactly."""

import json
import random
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import pytest

from tests.integration.conftest import SYSTEM, Cluster, eventually, workspace

pytestmark = pytest.mark.usefixtures("operator")
NAME = "fields"
KINDS = (
    "resourcequota,limitrange,serviceaccount,networkpolicy,pvc,service,statefulset,deployment,"
    "ingress"
)
LABEL = f"aichatworkspace={NAME}"


@pytest.fixture(scope="module")
def tenant(cluster: Cluster) -> Iterator[str]:
    cluster.apply(workspace(NAME, models=["gemma2:2b"]))
    eventually(
        lambda: cluster.get("aiws", NAME, "-n", SYSTEM).get("status", {}).get("isCreated"),
        f"{NAME} is provisioned",
    )
    yield NAME
    cluster.kubectl("delete", "aiws", NAME, "-n", SYSTEM, "--wait=false")


def objects(cluster: Cluster) -> dict[str, Any]:
    """What we rendered, by kind and name, without what others write."""
    listed = cluster.get(KINDS, "-n", NAME, "-l", LABEL)["items"]
    return {
        f"{each['kind']}/{each['metadata']['name']}": {
            "labels": each["metadata"]["labels"],
            "annotations": {
                key: value
                for key, value in each["metadata"].get("annotations", {}).items()
                if "kubernetes.io/" not in key or "nginx" in key
            },
            "spec": {
                key: value
                for key, value in each.get("spec", {}).items()
                if key not in ("volumeName", "volumeMode")
            },
        }
        for each in listed
    }


def patch(cluster: Cluster, spec: object, *, check: bool = True) -> str:
    return cluster.kubectl(
        *("patch", "aiws", NAME, "-n", SYSTEM, "--type=merge"),
        *("-p", json.dumps({"spec": spec})),
        check=check,
    )


def pod(found: dict[str, Any], workload: str) -> Any:
    return found[workload]["spec"]["template"]["spec"]


def settings(found: dict[str, Any], workload: str) -> dict[str, str]:
    return {
        each["name"]: each.get("value", "") for each in pod(found, workload)["containers"][0]["env"]
    }


OLLAMA, CHAT = f"StatefulSet/{NAME}-ollama", f"Deployment/{NAME}-openwebui"
QUOTA, INGRESS = f"ResourceQuota/{NAME}", f"Ingress/{NAME}-openwebui"
Look = Callable[[dict[str, Any]], object]
FIELDS: dict[str, tuple[Any, Look, object]] = {
    "workspaceENV": (
        {"workspaceENV": "prod"},
        lambda found: settings(found, CHAT)["ENV"],
        "prod",
    ),
    "resources.ollama.memoryLimit": (
        {"resources": {"ollama": {"memoryLimit": "6Gi"}}},
        lambda found: pod(found, OLLAMA)["containers"][0]["resources"]["limits"]["memory"],
        "6Gi",
    ),
    "resources.ollama.gpu": (
        {"resources": {"ollama": {"gpu": {"count": 2}}}},
        lambda found: (
            pod(found, OLLAMA)["containers"][0]["resources"]["limits"]["nvidia.com/gpu"],
            found[QUOTA]["spec"]["hard"]["requests.nvidia.com/gpu"],
        ),
        ("2", "2"),
    ),
    "resources.openWebUI.cpuRequest": (
        {"resources": {"openWebUI": {"cpuRequest": "250m"}}},
        lambda found: pod(found, CHAT)["containers"][0]["resources"]["requests"]["cpu"],
        "250m",
    ),
    "quota": (
        {"quota": {"cpu": "20", "memory": "40Gi", "storage": "100Gi"}},
        lambda found: [
            found[QUOTA]["spec"]["hard"][name]
            for name in ("limits.cpu", "limits.memory", "requests.storage")
        ],
        ["20", "40Gi", "100Gi"],
    ),
    "ingress.host": (
        {"ingress": {"host": "our.chat.localtest.me"}},
        lambda found: (
            found[INGRESS]["spec"]["rules"][0]["host"],
            settings(found, CHAT)["WEBUI_URL"],
        ),
        ("our.chat.localtest.me", "http://our.chat.localtest.me"),
    ),
    "ingress.className": (
        {"ingress": {"className": "special"}},
        lambda found: found[INGRESS]["spec"].get("ingressClassName"),
        "special",
    ),
    "ingress.tls.issuer": (
        {"ingress": {"tls": {"issuer": {"name": "letsencrypt"}}}},
        lambda found: (
            found[INGRESS]["spec"].get("tls"),
            settings(found, CHAT)["WEBUI_URL"],
        ),
        (
            [{"hosts": [f"{NAME}.localtest.me"], "secretName": f"{NAME}-openwebui-tls"}],
            f"https://{NAME}.localtest.me",
        ),
    ),
    "suspended": (
        {"suspended": True},
        lambda found: (found[OLLAMA]["spec"]["replicas"], found[CHAT]["spec"]["replicas"]),
        (0, 0),
    ),
    "access.signUp": (
        {"access": {"signUp": True}},
        lambda found: settings(found, CHAT)["ENABLE_SIGNUP"],
        "true",
    ),
    "embeddingModel": (
        {"embeddingModel": "all-minilm"},
        lambda found: settings(found, CHAT)["RAG_EMBEDDING_MODEL"],
        "all-minilm:latest",
    ),
    "scheduling": (
        {
            "scheduling": {
                "nodeSelector": {"pool": "gpu"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
            }
        },
        lambda found: [
            (pod(found, each).get("nodeSelector"), pod(found, each).get("tolerations"))
            for each in (OLLAMA, CHAT)
        ],
        [({"pool": "gpu"}, [{"key": "gpu", "operator": "Exists"}])] * 2,
    ),
    "ollama": (
        {"ollama": {"contextLength": 8192, "keepAlive": "30m", "parallelRequests": 2}},
        lambda found: [
            settings(found, OLLAMA).get(f"OLLAMA_{name}")
            for name in ("CONTEXT_LENGTH", "KEEP_ALIVE", "NUM_PARALLEL")
        ],
        ["8192", "30m", "2"],
    ),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_reaches_the_objects_and_its_removal_restores_them(
    cluster: Cluster, tenant: str, field: str
) -> None:
    change, look, expected = FIELDS[field]
    before = objects(cluster)
    assert look_at(look, before) != expected
    patch(cluster, change)
    eventually(lambda: look_at(look, objects(cluster)) == expected, f"{field} reached {tenant}")
    patch(cluster, dict.fromkeys(change))
    eventually(lambda: objects(cluster) == before, f"{tenant} is as before {field}")


@pytest.mark.parametrize("seed", range(3))
def test_any_changes_in_any_order_reach_the_objects_and_leave_no_trace(
    cluster: Cluster, tenant: str, seed: int
) -> None:
    """Sequences of edits that set, change and remove several fields at once; seeded."""
    choose = random.Random(seed)  # noqa: S311  (a test's choice)
    before, now = objects(cluster), dict[str, Any]()
    for _ in range(5):
        wanted = set(choose.sample(sorted(FIELDS), k=choose.randint(0, 5)))
        following: dict[str, Any] = reduce(
            merged, (FIELDS[field][0] for field in sorted(wanted)), {}
        )
        patch(cluster, difference(now, following))
        now = following
        eventually(
            lambda wanted=wanted: all(  # type: ignore[misc]
                look_at(FIELDS[field][1], objects(cluster)) == FIELDS[field][2]
                for field in alone(wanted)
            ),
            f"{sorted(wanted)} reached {tenant} (seed {seed})",
        )
    patch(cluster, difference(now, {}))
    eventually(lambda: objects(cluster) == before, f"{tenant} is as before (seed {seed})")


def merged(left: Any, right: Any) -> Any:
    if not (isinstance(left, dict) and isinstance(right, dict)):
        return right
    return {**left, **{key: merged(left.get(key), value) for key, value in right.items()}}


def difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The merge patch from one to the other (RFC 7386): null takes a field out."""
    gone = {key: None for key in old if key not in new}
    kept = {
        key: difference(old[key], value)
        if isinstance(value, dict) and isinstance(old.get(key), dict)
        else value
        for key, value in new.items()
    }
    return {**gone, **kept}


def alone(fields: set[str]) -> set[str]:
    """Fields whose effect no other of them changes: the host decides part of what TLS does, and
    both are part of the address."""
    both = {"ingress.host", "ingress.tls.issuer"}
    return fields - both if both <= fields else fields


def look_at(look: Look, found: dict[str, Any]) -> object:
    """None for what is not there."""
    try:
        return look(found)
    except KeyError:
        return None


REFUSED: dict[str, tuple[Any, str]] = {
    "a request above its limit": (
        {"resources": {"ollama": {"cpuRequest": "3", "cpuLimit": "2"}}},
        "cpuRequest must not be more than cpuLimit",
    ),
    "both kinds of certificate": (
        {"ingress": {"tls": {"secretName": "a", "issuer": {"name": "b"}}}},
        "name either secretName or issuer",
    ),
    "a quantity that is none": ({"quota": {"cpu": "many"}}, "spec.quota.cpu"),
    "a duration without a unit": ({"expiresAfter": "30"}, "spec.expiresAfter"),
    "too many GPUs": ({"resources": {"ollama": {"gpu": {"count": 99}}}}, "gpu.count"),
    "a plain connection": (
        {"connections": [{"name": "a", "url": "http://x.test/v1", "secretName": "s"}]},
        "spec.connections[0].url",
    ),
    "a port that is none": (
        {"connections": [{"name": "a", "url": "https://x.test:99999/v1", "secretName": "s"}]},
        "spec.connections[0].url",
    ),
    "a node's label with a bad name": (
        {"scheduling": {"nodeSelector": {"not a key": "x"}}},
        "keys must be names of labels",
    ),
    "an unknown policy": ({"deletionPolicy": "Keep"}, "spec.deletionPolicy"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_api_server_refuses(cluster: Cluster, tenant: str, what: str) -> None:
    change, said = REFUSED[what]
    assert tenant
    assert said in patch(cluster, change, check=False)


OVER_BOUNDS: dict[str, tuple[Any, str, str]] = {
    "more than the ceiling": ({"quota": {"cpu": "1000"}}, "CeilingExceeded", "spec.quota.cpu"),
    "a quota without room for the workloads": (
        {"quota": {"memory": "1Gi"}},
        "QuotaTooSmall",
        "spec.quota.memory",
    ),
    "a host elsewhere": (
        {"ingress": {"host": "bank.example.org"}},
        "HostNotAllowed",
        "spec.ingress.host",
    ),
    "a Secret that is not there": (
        {"ingress": {"tls": {"secretName": "nowhere"}}},
        "SecretNotFound",
        "for-workspace",
    ),
}


@pytest.mark.parametrize("what", OVER_BOUNDS)
def test_what_the_platform_does_not_allow_is_said_and_changes_nothing(
    cluster: Cluster, tenant: str, what: str
) -> None:
    change, reason, fix = OVER_BOUNDS[what]
    before = objects(cluster)
    patch(cluster, change)
    eventually(lambda: provisioned(cluster).get("reason") == reason, f"{reason} is said")
    assert fix in provisioned(cluster)["message"]
    assert objects(cluster) == before
    patch(cluster, dict.fromkeys(change))
    eventually(lambda: provisioned(cluster).get("status") == "True", f"{tenant} is well again")


def provisioned(cluster: Cluster) -> Any:
    found = cluster.get("aiws", NAME, "-n", SYSTEM)["status"]["conditions"]
    return next(each for each in found if each["type"] == "Provisioned")


def test_a_volume_grows_and_does_not_shrink(cluster: Cluster, tenant: str) -> None:
    patch(cluster, {"storage": {"openWebUI": {"size": "5Gi"}}})
    assert "can grow but not shrink" in patch(
        cluster, {"storage": {"openWebUI": {"size": "4Gi"}}}, check=False
    )
    eventually(
        lambda: objects(cluster)[QUOTA]["spec"]["hard"]["requests.storage"] == "25Gi",
        "the quota follows",
    )
    assert tenant
    patch(cluster, {"storage": None})


def secret(name: str, owner: str, data: dict[str, str], kind: str = "Opaque") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": SYSTEM,
            "annotations": {"apps.aichatworkspaces.io/for-workspace": owner},
        },
        "type": kind,
        "stringData": data,
    }


def test_secrets_that_name_the_workspace_reach_it_as_copies(cluster: Cluster, tenant: str) -> None:
    owner = f"{SYSTEM}/{NAME}"
    before, credentials = objects(cluster), names_of_secrets(cluster)
    certificate = {"tls.crt": "certificate", "tls.key": "key"}
    cluster.apply(secret("our-tls", owner, certificate, "kubernetes.io/tls"))
    cluster.apply(secret("our-login", owner, {"clientSecret": "hush"}))
    cluster.apply(secret("our-models", owner, {"apiKey": "sk-1"}))
    url = "https://models.example.org:8443/v1"
    patch(
        cluster,
        {
            "ingress": {"tls": {"secretName": "our-tls"}},
            "access": {
                "oidc": {
                    "providerURL": "https://id.example.org/.well-known/openid-configuration",
                    "clientID": "chat",
                    "secretName": "our-login",
                }
            },
            "connections": [{"name": "big", "url": url, "secretName": "our-models"}],
        },
    )
    eventually(
        lambda: settings(objects(cluster), CHAT).get("OPENAI_API_BASE_URLS") == url,
        f"the connections reached {tenant}",
    )
    found = objects(cluster)
    copies = names_of_secrets(cluster) - credentials
    assert len(copies) == 3
    copy = found[INGRESS]["spec"]["tls"][0]["secretName"]
    held = cluster.get("secret", copy, "-n", NAME)
    assert held["immutable"] is True
    assert held["type"] == "kubernetes.io/tls"
    assert settings(found, CHAT)["OPENAI_API_KEYS"] == "$(CONNECTION_0_KEY)"
    back_ends = found[f"NetworkPolicy/{NAME}-back-ends"]["spec"]["egress"][0]["ports"]
    assert [each["port"] for each in back_ends] == [443, 8443]
    assert "hush" not in json.dumps(found)
    patch(cluster, {"ingress": None, "access": None, "connections": None})
    eventually(lambda: objects(cluster) == before, f"{tenant} is as before")
    eventually(lambda: names_of_secrets(cluster) == credentials, "no copy of a Secret is left")


def names_of_secrets(cluster: Cluster) -> set[str]:
    return set(cluster.names("secrets", NAME))


def test_while_a_secret_is_missing_walls_are_kept_and_the_workspace_can_be_stopped(
    cluster: Cluster, tenant: str
) -> None:
    before = objects(cluster)
    patch(cluster, {"ingress": {"tls": {"secretName": "nowhere"}}})
    eventually(lambda: provisioned(cluster).get("reason") == "SecretNotFound", f"{tenant} is told")
    wall = f"{NAME}-to-ollama"
    widened = [{"op": "add", "path": "/spec/ingress/0/from/0/namespaceSelector", "value": {}}]
    cluster.kubectl(
        *("patch", "networkpolicy", wall, "-n", NAME, "--type=json", "-p", json.dumps(widened))
    )
    eventually(
        lambda: objects(cluster)[f"NetworkPolicy/{wall}"] == before[f"NetworkPolicy/{wall}"],
        "the wall is as it was",
    )
    patch(cluster, {"suspended": True})
    eventually(
        lambda: all(objects(cluster)[each]["spec"]["replicas"] == 0 for each in (OLLAMA, CHAT)),
        "both workloads are stopped",
    )
    patch(cluster, {"suspended": None, "ingress": None})
    eventually(lambda: objects(cluster) == before, f"{tenant} is as before")


def test_another_workspaces_secret_is_not_to_be_had_by_naming_it(
    cluster: Cluster, tenant: str
) -> None:
    cluster.apply(secret("theirs", f"{SYSTEM}/other", {"clientSecret": "hush"}))
    oidc = {"providerURL": "https://id.example.org/x", "clientID": "c", "secretName": "theirs"}
    patch(cluster, {"access": {"oidc": oidc}})
    eventually(
        lambda: provisioned(cluster).get("reason") == "SecretNotFound", f"{tenant} is told so"
    )
    patch(cluster, {"access": None})
    eventually(lambda: provisioned(cluster).get("status") == "True", f"{tenant} is well again")
