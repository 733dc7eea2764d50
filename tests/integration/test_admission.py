"""What the API server itself refuses: bad resources from anyone, and the operator's overreach."""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aichat_workspace.domain.kubernetes.kinds import RESOURCES
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ForbiddenError
from aichat_workspace.kube.leases.lease import LEASES
from aichat_workspace.operator.admission_check import is_confined
from deploy import history, lock
from tests.integration.api.served import api_account
from tests.integration.conftest import (
    ROOT,
    SYSTEM,
    Cluster,
    clear,
    platform,
    start_operator,
    workspace,
)
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_operator")
LEADERS_LEASE: dict[str, Any] = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "of-a-leader", "namespace": SYSTEM},
}
BINDING = "validatingadmissionpolicybinding/aichat-workspace-operator-confinement"


@pytest.fixture
def as_operator(cluster: Cluster, operator_kubeconfig: Path) -> Cluster:
    """With the policy in force: the API server takes one up a moment after it was made."""
    client = replace(cluster, kubeconfig=operator_kubeconfig)
    write = ("create", "quota", "intruder", "-n", "default", "--dry-run=server")
    eventually(lambda: "denied request" in client.kubectl(*write, check=False), "it is confined")
    return client


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"workspaceName": "Team-A"}, "spec.workspaceName"),
        ({"workspaceName": "9lives"}, "spec.workspaceName"),
        ({"workspaceName": "a" * 46}, "Too long"),
        ({"workspaceName": "kube-system"}, "choose a name"),
        ({"workspaceName": "default"}, "choose a name"),
        ({"workspaceName": SYSTEM}, "choose a name"),
        ({"workspaceName": "workspaces"}, "choose a name"),
        ({"workspaceName": "aichat-smoke-tests"}, "choose a name"),
        ({"workspaceName": "x", "models": ["not a model"]}, "spec.models[0]"),
        ({"workspaceName": "x", "models": ["host:99999/a/b"]}, "spec.models[0]"),
        ({"workspaceName": "x", "models": ["a"] * 33}, "must have at most 32 items"),
        ({"workspaceName": "x", "models": ["a", "a"]}, "Duplicate value"),
        ({"workspaceName": "x", "patterns": ["../etc"]}, "spec.patterns[0]"),
        ({"workspaceName": "x", "workspaceENV": "$(HOME)"}, "spec.workspaceENV"),
        ({"workspaceName": "x", "modles": []}, 'unknown field "spec.modles"'),
        ({}, "spec.workspaceName: Required value"),
    ],
)
def test_a_bad_resource_is_refused_with_the_field_named(
    cluster: Cluster, spec: dict[str, Any], message: str
) -> None:
    bad = {**workspace("x", "bad"), "spec": spec}
    assert message in cluster.apply(bad, check=False)


def team(name: str) -> dict[str, Any]:
    labels = {"aichatworkspaces.io/team": "true"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def test_the_workspace_name_can_not_be_changed(cluster: Cluster) -> None:
    """Without an operator: a finalizer would keep the resource."""
    cluster.apply(team("team-x"))
    resource = workspace("fixed")
    resource["metadata"]["namespace"] = "team-x"
    cluster.apply(resource)
    resource["spec"]["workspaceName"] = "moved"
    assert "workspaceName is immutable" in cluster.apply(resource, check=False)
    cluster.kubectl("delete", "namespace", "team-x", "--timeout=60s")


def test_a_workspace_is_pending_before_the_operator_has_seen_it(cluster: Cluster) -> None:
    cluster.apply(team("team-w"))
    resource = workspace("awaited")
    resource["metadata"]["namespace"] = "team-w"
    cluster.apply(resource)
    head, line = cluster.kubectl("get", "aiws", "awaited", "-n", "team-w").splitlines()
    assert head.split()[:2] == ["NAME", "PHASE"]
    assert line.split()[:2] == ["awaited", "Pending"]
    cluster.kubectl("delete", "namespace", "team-w", "--timeout=60s")


def test_workspaces_are_refused_in_namespaces_that_are_no_teams(cluster: Cluster) -> None:
    resource = workspace("stray")
    resource["metadata"]["namespace"] = "default"
    output = cluster.apply(resource, check=False)
    assert "labelled aichatworkspaces.io/team=true" in output


@pytest.mark.parametrize(
    "spec",
    [
        {"images": {"ollama": "docker.io/ollama/ollama"}},
        {"ingress": {"domain": "not a domain"}},
        {"models": {"concurrentPulls": 0}},
        {"ollama": {"storage": "much"}},
    ],
)
def test_bad_platform_settings_are_refused(cluster: Cluster, spec: dict[str, Any]) -> None:
    assert "Invalid value" in cluster.apply(platform(spec), check=False)
    assert "its name is 'default'" in cluster.apply(platform({}, "other"), check=False)


def warnings(cluster: Cluster, document: dict[str, Any]) -> str:
    """What kubectl prints of a dry run that is accepted."""
    flags = ("--server-side", "--force-conflicts", "--dry-run=server")
    output = cluster.kubectl("apply", *flags, "-f", "-", stdin=json.dumps(document), check=False)
    assert "(server dry run)" in output, output
    return "".join(line for line in output.splitlines() if line.startswith("Warning:"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"patterns": ["translate"]}, "spec.patterns are made from the first of spec.models"),
        ({"expiresAfter": "30d"}, "set spec.deletionPolicy to Retain"),
        ({"models": ["gemma2:latest"]}, "latest moves"),
        (
            {
                "access": {
                    "oidc": {
                        "providerURL": "https://id.example.org/a",
                        "clientID": "chat",
                        "secretName": "oidc",
                    }
                }
            },
            "everybody whom the provider signs in gets in",
        ),
        (
            {
                "access": {
                    "oidc": {
                        "providerURL": "https://id.example.org/a",
                        "clientID": "chat",
                        "allowedDomains": ["example.org"],
                    }
                }
            },
            "anyone may write any address into their profile",
        ),
    ],
)
def test_what_is_accepted_and_seldom_meant_is_warned_of(
    cluster: Cluster, spec: dict[str, Any], message: str
) -> None:
    resource = workspace("unwise")
    resource["spec"] = {"workspaceName": "unwise", **spec}
    eventually(lambda: message in warnings(cluster, resource), "the policy is in force")
    wise = workspace("wise", models=["gemma2:2b"], patterns=["translate"])
    assert warnings(cluster, wise) == ""


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"network": {"egressExcept": ["10.0.0.0/8"]}}, "lacks a private range"),
        ({"allowed": {"tolerationKeys": ["*"]}}, "the control plane's too"),
        ({"allowed": {"foreignMetadata": ["*"]}}, "may route other hosts"),
    ],
)
def test_settings_that_open_more_than_is_meant_are_warned_of(
    cluster: Cluster, spec: dict[str, Any], message: str
) -> None:
    eventually(lambda: message in warnings(cluster, platform(spec)), "it is in force")
    assert warnings(cluster, platform({"ceiling": {"cpu": "8"}})) == ""


_CREATABLE: Mapping[str, Sequence[str]] = {
    "serviceaccount": (),
    "quota": (),
    "secret generic": (),
    "deployment": ("--image=x:1",),
    "job": ("--image=x:1",),
    "cronjob": ("--image=x:1", "--schedule=@daily"),
}
"""What its role lets it make anywhere: kinds, with the options that kubectl asks for."""


@pytest.mark.parametrize("namespace", ["kube-system", "default"])
@pytest.mark.parametrize("kind", [*_CREATABLE])
def test_the_operators_token_can_not_write_to_foreign_namespaces(
    as_operator: Cluster, namespace: str, kind: str
) -> None:
    output = as_operator.kubectl(
        "create", *kind.split(), "intruder", "-n", namespace, *_CREATABLE[kind], check=False
    )
    assert "aichat-workspace-operator-confinement" in output
    assert "denied request" in output


def test_the_operators_token_can_not_delete_foreign_pods_and_secrets(
    cluster: Cluster, as_operator: Cluster
) -> None:
    cluster.kubectl("run", "theirs", "--image=x:1", "-n", "default")
    cluster.kubectl("create", "secret", "generic", "theirs", "-n", "default")
    for kind in ("pod", "secret"):
        output = as_operator.kubectl("delete", kind, "theirs", "-n", "default", check=False)
        assert "aichat-workspace-operator-confinement" in output
        cluster.kubectl("delete", kind, "theirs", "-n", "default", "--wait=false")


def test_the_operators_token_can_not_make_unmarked_namespaces(as_operator: Cluster) -> None:
    output = as_operator.kubectl("create", "namespace", "unmarked", check=False)
    assert "may only create namespaces that carry a workspace's UID" in output


async def test_the_operators_token_can_neither_forge_nor_move_ownership(
    cluster: Cluster, operator_kubeconfig: Path
) -> None:
    """As the operator writes, whose role allows all of this: only the policy is in the way."""
    uids = {name: namespace(cluster, name, owner) for name, owner in OWNERS.items()}
    async with await Client.connect(str(operator_kubeconfig), user_agent="test") as client:
        for name, owner in (("unowned", "uid-1"), ("owned", "uid-2"), ("owned", "")):
            with pytest.raises(
                ForbiddenError, match="not a workspace's, nor whose it is"
            ) as refused:
                await client.apply(NAMESPACES, marked(name, owner), field_manager="test")
            assert "ValidatingAdmissionPolicy" in refused.value.message
        removal = {"op": "remove", "path": f"/metadata/annotations/{MARK.replace('/', '~1')}"}
        with pytest.raises(ForbiddenError, match="nor whose it is"):
            await client.json_patch(NAMESPACES, "owned", None, [removal], field_manager="test")
        with pytest.raises(ForbiddenError, match="only delete namespaces that carry"):
            await client.delete(NAMESPACES, "unowned", uid=uids["unowned"])
        await client.apply(NAMESPACES, marked("owned", "uid-1"), field_manager="test")
        await client.delete(NAMESPACES, "owned", uid=uids["owned"])
    cluster.kube.delete("namespace", "unowned")


async def test_the_operators_token_moves_a_namespace_only_to_whom_the_platform_team_gave_it(
    cluster: Cluster, operator_kubeconfig: Path
) -> None:
    namespace(cluster, "moving", "uid-1")
    give = "apps.aichatworkspaces.io/adopt-for"
    async with await Client.connect(str(operator_kubeconfig), user_agent="test") as client:
        own_gift = marked("moving", "uid-1")
        own_gift["metadata"]["annotations"][give] = "uid-2"
        with pytest.raises(ForbiddenError, match="only the platform team gives a namespace"):
            await client.apply(NAMESPACES, own_gift, field_manager="test")
        cluster.kubectl("annotate", "namespace", "moving", f"{give}=uid-2")
        with pytest.raises(ForbiddenError, match="nor whose it is"):
            await client.apply(NAMESPACES, marked("moving", "uid-3"), field_manager="test")
        await client.apply(NAMESPACES, marked("moving", "uid-2"), field_manager="test")
    cluster.kubectl("delete", "namespace", "moving", "--timeout=60s")


def test_the_operators_token_writes_no_other_config_map_than_its_record(
    as_operator: Cluster,
) -> None:
    for name, verdict in (("house-patterns", "no"), ("aichat-workspace-settings", "yes")):
        command = ("auth", "can-i", "patch", f"configmap/{name}", "-n", SYSTEM)
        assert as_operator.kubectl(*command, check=False).startswith(verdict)


@pytest.mark.usefixtures("as_operator")
async def test_the_operators_token_writes_of_its_namespaces_secrets_and_leases_only_its_own(
    cluster: Cluster, operator_kubeconfig: Path
) -> None:
    """The next deployment would apply a forged record with the deployer's rights."""
    refused = partial(pytest.raises, ForbiddenError, match="and, in its own namespace, to work")
    cluster.kubectl("create", "secret", "generic", "theirs", "-n", SYSTEM)
    async with await Client.connect(str(operator_kubeconfig), user_agent="test") as client:
        for name in (history.SECRET, "x-credentials-too", "pull"):
            with refused():
                await client.create(SECRETS, _secret(name), field_manager="test")
            with refused():
                await client.apply(SECRETS, _secret(name), field_manager="test")
        change = {"op": "add", "path": "/data", "value": {}}
        with refused():
            await client.json_patch(SECRETS, "theirs", SYSTEM, [change], field_manager="test")
        with refused():
            await client.delete(SECRETS, "theirs", SYSTEM, uid=None)
        await client.create(SECRETS, _secret("x-credentials"), field_manager="test")
        await client.delete(SECRETS, "x-credentials", SYSTEM, uid=None)
        for name in (lock.LEASE, "of-a-leader"):
            lease = {**LEADERS_LEASE, "metadata": {"name": name, "namespace": SYSTEM}}
            with refused():
                await client.create(LEASES, lease, field_manager="test")
    cluster.kubectl("delete", "secret", "theirs", "-n", SYSTEM)


def _secret(name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": SYSTEM}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


@pytest.mark.parametrize("level", [None, "baseline", "privileged"])
async def test_the_operators_token_can_make_no_namespace_for_weak_pods(
    cluster: Cluster, operator_kubeconfig: Path, level: str | None
) -> None:
    weak = marked("weak", "uid-1")
    weak["metadata"]["labels"] = {ENFORCE: level} if level else {}
    namespace(cluster, "strong", "uid-1")
    async with await Client.connect(str(operator_kubeconfig), user_agent="test") as client:
        with pytest.raises(ForbiddenError, match="Pod Security Standard restricted"):
            await client.create(NAMESPACES, weak, field_manager="test")
        label = f"/metadata/labels/{ENFORCE.replace('/', '~1')}"
        change = (
            {"op": "replace", "path": label, "value": level}
            if level
            else {"op": "remove", "path": label}
        )
        with pytest.raises(ForbiddenError, match="Pod Security Standard restricted"):
            await client.json_patch(NAMESPACES, "strong", None, [change], field_manager="test")
    cluster.kubectl("delete", "namespace", "strong", "--timeout=60s")


async def test_the_operators_token_can_not_change_what_a_workspace_asks_for(
    cluster: Cluster, operator_kubeconfig: Path
) -> None:
    """As the operator writes, whose role allows to patch: only the policy is in the way."""
    cluster.apply(team("team-s"))
    resource = workspace("asked", expiresAfter="30d")
    resource["metadata"]["namespace"] = "team-s"
    cluster.apply(resource)
    cluster.apply(
        {
            **resource,
            "metadata": {"name": "kept", "namespace": "team-s"},
            "spec": {"workspaceName": "kept"},
        }
    )
    head = {"apiVersion": resource["apiVersion"], "kind": resource["kind"]}
    identity = {**head, "metadata": {"name": "asked", "namespace": "team-s"}}
    async with await Client.connect(str(operator_kubeconfig), user_agent="test") as client:
        for operation in (
            {"op": "add", "path": "/spec/suspended", "value": True},
            {"op": "add", "path": "/spec/models", "value": ["gemma2:2b"]},
            {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
            {"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}},
        ):
            with pytest.raises(ForbiddenError, match="never its spec"):
                await client.json_patch(
                    WORKSPACES, "asked", "team-s", [operation], field_manager="test"
                )
        with pytest.raises(ForbiddenError, match="only delete workspaces that have"):
            await client.delete(WORKSPACES, "kept", "team-s", uid=None)
        finalizers = {"finalizers": ["apps.aichatworkspaces.io/finalizer"]}
        finalized = {**identity, "metadata": {**identity["metadata"], **finalizers}}
        await client.apply(WORKSPACES, finalized, field_manager="test")
        status = {**identity, "status": {"phase": "Provisioning"}}
        await client.apply(WORKSPACES, status, field_manager="test", subresource="status")
        removal = {"op": "remove", "path": "/metadata/finalizers"}
        await client.json_patch(WORKSPACES, "asked", "team-s", [removal], field_manager="test")
        await client.delete(WORKSPACES, "asked", "team-s", uid=None)
    cluster.kubectl("delete", "namespace", "team-s", "--timeout=60s")


async def test_the_operators_token_can_change_no_setting_of_the_platform(
    cluster: Cluster, operator_kubeconfig: Path
) -> None:
    head = {"apiVersion": "apps.aichatworkspaces.io/v1alpha1", "kind": "AIChatPlatform"}
    platform = {**head, "metadata": {"name": "default"}}
    cluster.apply({**platform, "spec": {}})
    async with await Client.connect(str(operator_kubeconfig), user_agent="test") as client:
        spec = {**platform, "spec": {"ceiling": {"cpu": "1000"}}}
        with pytest.raises(ForbiddenError):
            await client.apply(PLATFORMS, spec, field_manager="test")
        status = {**platform, "status": {"observedGeneration": 1}}
        await client.apply(PLATFORMS, status, field_manager="test", subresource="status")
    cluster.kubectl("delete", "aichatplatform", "default")


async def test_the_operators_token_can_not_make_a_retained_namespace(
    cluster: Cluster, operator_kubeconfig: Path
) -> None:
    """It could be given to any workspace."""
    assert cluster
    retained = marked("left-behind", "uid-1")
    retained["metadata"]["annotations"]["apps.aichatworkspaces.io/retained"] = "true"
    async with await Client.connect(str(operator_kubeconfig), user_agent="test") as client:
        with pytest.raises(ForbiddenError, match="may not create a retained namespace"):
            await client.create(NAMESPACES, retained, field_manager="test")


@pytest.mark.parametrize("where", [SYSTEM, "marked"])
def test_the_operators_token_can_not_be_turned_into_another_accounts(
    cluster: Cluster, as_operator: Cluster, where: str
) -> None:
    if where != SYSTEM:
        namespace(cluster, where, "uid-1")
    asking = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "borrowed-credentials",  # a name that it may write
            "namespace": where,
            "annotations": {"kubernetes.io/service-account.name": "aichat-workspace-api"},
        },
    }
    output = as_operator.kubectl("create", "-f", "-", stdin=json.dumps(asking), check=False)
    assert "may not ask for another account's token" in output
    if where != SYSTEM:
        cluster.kubectl("delete", "namespace", where, "--timeout=60s")


ENFORCE = "pod-security.kubernetes.io/enforce"
MARK = "apps.aichatworkspaces.io/workspace-uid"
NAMESPACES = RESOURCES["Namespace"]
PLATFORMS = RESOURCES["AIChatPlatform"]
SECRETS = RESOURCES["Secret"]
WORKSPACES = RESOURCES["AIChatWorkspace"]
OWNERS = {"unowned": None, "owned": "uid-1"}


def marked(name: str, owner: str | None) -> dict[str, Any]:
    annotations = {} if owner is None else {MARK: owner}
    labels = {ENFORCE: "restricted"}
    metadata = {"name": name, "annotations": annotations, "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def namespace(cluster: Cluster, name: str, owner: str | None) -> str:
    """A namespace made by an administrator; gives its UID."""
    cluster.apply(marked(name, owner))
    return str(cluster.get("namespace", name)["metadata"]["uid"])


def test_the_operators_token_can_read_no_secret_outside_its_namespace(
    as_operator: Cluster,
) -> None:
    for verb in ("get", "list", "watch"):
        for namespace in ("kube-system", "default"):
            output = as_operator.kubectl(
                "auth", "can-i", verb, "secrets", "-n", namespace, check=False
            )
            assert output.startswith("no")


async def test_a_missing_admission_policy_is_noticed(
    cluster: Cluster, operator_kubeconfig: Path
) -> None:
    async with await Client.connect(str(operator_kubeconfig), user_agent="test") as client:
        await becomes(client, confined=True)
        cluster.kubectl("delete", BINDING)
        try:
            await becomes(client, confined=False)
        finally:
            cluster.kubectl("apply", "-k", str(ROOT / "config" / "default"))
        await becomes(client, confined=True)


# As somebody else's, which protects what is theirs from the operator.
OTHERS_POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: corp-protects-accounts}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [serviceaccounts]}
  matchConditions:
    - name: by-the-operator
      expression: request.userInfo.username.endsWith(':aichat-workspace-operator')
  validations:
    - {expression: "request.namespace != 'NAMESPACE'", reason: Forbidden, message: not yours}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: corp-protects-accounts}
spec: {policyName: corp-protects-accounts, validationActions: [Deny]}
"""


async def test_another_policy_neither_confines_nor_hinders_the_operator(
    cluster: Cluster, operator_kubeconfig: Path
) -> None:
    as_operator = replace(cluster, kubeconfig=operator_kubeconfig)

    def protect(namespace: str) -> None:
        policy = OTHERS_POLICY.replace("NAMESPACE", namespace)
        cluster.kubectl("apply", "-f", "-", stdin=policy)
        write = ("create", "serviceaccount", "probe", "-n", namespace, "--dry-run=server")
        eventually(
            lambda: "corp-protects" in as_operator.kubectl(*write, check=False), "it protects"
        )

    async with await Client.connect(str(operator_kubeconfig), user_agent="test") as client:
        try:
            cluster.kubectl("delete", BINDING)
            await becomes(client, confined=False)
            protect("kube-system")
            assert await is_confined(client) is False
            protect(SYSTEM)
            assert await is_confined(client) is False
            protect("kube-system")
            cluster.kubectl("apply", "-k", str(ROOT / "config" / "default"))
            await becomes(client, confined=True)
        finally:
            cluster.kubectl("apply", "-k", str(ROOT / "config" / "default"))
            kind = "validatingadmissionpolicy"
            cluster.kubectl("delete", f"{kind}binding,{kind}", "corp-protects-accounts")


async def becomes(client: Client, *, confined: bool) -> None:
    """The API server takes a policy's change in after a moment."""
    for _ in range(150):
        if await is_confined(client) is confined:
            return
        await asyncio.sleep(0.2)
    pytest.fail(f"after 30 s the operator is {'not ' if confined else 'still '}confined")


# As in a pod, except that it looks for its confinement more often.
IN_A_CLUSTER = """
import asyncio, sys
from aichat_workspace.operator import admission_check
from aichat_workspace.operator.main import run_until_stopped
from aichat_workspace.operator.settings import Settings
from aichat_workspace.runtime.logs import log_as_json

admission_check._CHECK_SECONDS = admission_check._RECHECK_SECONDS = 0.5
log_as_json()
settings = Settings(dev=False, kubeconfig=None, probe_port=int(sys.argv[1]))
asyncio.run(run_until_stopped(settings))
"""


@pytest.fixture
def confined_operator(
    cluster: Cluster, operator_kubeconfig: Path, metrics_port: int, tmp_path: Path
) -> Iterator[Path]:
    """The operator as it runs in a pod; gives its log."""
    clear(cluster)
    log = tmp_path / "log"
    command = [sys.executable, "-c", IN_A_CLUSTER, str(metrics_port)]
    process = start_operator(operator_kubeconfig, log, command)
    yield log
    process.terminate()
    assert process.wait(timeout=60) == 0, log.read_text()[-2000:]


def test_an_operator_that_is_not_confined_any_more_writes_nothing_until_it_is_again(
    cluster: Cluster, confined_operator: Path, metrics_port: int
) -> None:
    def metrics() -> str:
        return httpx2.get(f"http://127.0.0.1:{metrics_port}/metrics").text

    def is_created(name: str) -> bool:
        return bool(cluster.get("aiws", name, "-n", SYSTEM).get("status", {}).get("isCreated"))

    cluster.apply(workspace("while-confined"))
    eventually(lambda: is_created("while-confined"), "a confined operator works")
    cluster.kubectl("delete", BINDING)
    try:
        eventually(lambda: "aichat_operator_confined 0.0" in metrics(), "it notices")
        ready = httpx2.get(f"http://127.0.0.1:{metrics_port}/readyz")
        assert (ready.status_code, ready.text) == (503, "not confined\n")
        cluster.apply(workspace("while-not-confined"))
        eventually(lambda: "this replica may not write" in confined_operator.read_text(), "it says")
        untouched = cluster.get("aiws", "while-not-confined", "-n", SYSTEM)
        assert "finalizers" not in untouched["metadata"]
        assert "namespace/while-not-confined" not in cluster.names("namespaces", SYSTEM)
    finally:
        cluster.kubectl("apply", "-k", str(ROOT / "config" / "default"))
    eventually(lambda: is_created("while-not-confined"), "confined again, it works again", 90)
    for name in ("while-confined", "while-not-confined"):
        cluster.kubectl("delete", "aiws", name, "-n", SYSTEM, "--timeout=60s")


def test_a_second_apply_of_the_configuration_changes_nothing(cluster: Cluster) -> None:
    configuration = str(ROOT / "config" / "default")

    def versions() -> list[tuple[str, str]]:
        items = json.loads(cluster.kubectl("get", "-o", "json", "-k", configuration))["items"]
        meta = [item["metadata"] for item in items if item["kind"] != "Namespace"]
        return [(metadata["uid"], str(metadata.get("generation", ""))) for metadata in meta]

    before = versions()
    assert len(before) > 10
    cluster.kubectl("apply", "-k", configuration)
    assert versions() == before


def test_the_api_writes_no_lease_but_those_of_sessions(cluster: Cluster) -> None:
    account = f"--as=system:serviceaccount:{SYSTEM}:aichat-workspace-api"

    def create(name: str) -> str:
        lease = {**LEADERS_LEASE, "metadata": {"name": name, "namespace": SYSTEM}}
        return cluster.kubectl(
            "create", account, "--dry-run=server", "-f", "-", stdin=json.dumps(lease), check=False
        )

    eventually(lambda: "only write the Leases" in create("other"), "the API is confined")
    assert "aichat-session-x created" in create("aichat-session-x")
    assert "only write the Leases" in create(lock.LEASE), "the lock of deployments"
    secret = ("create", "secret", "generic", history.SECRET, "-n", SYSTEM, "--dry-run=server")
    assert "cannot create resource" in cluster.kubectl(*secret, account, check=False)
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(LEADERS_LEASE))
    delete = ("delete", "lease", "-n", SYSTEM, LEADERS_LEASE["metadata"]["name"])
    assert "only write the Leases" in cluster.kubectl(*delete, account, check=False)
    cluster.kubectl(*delete)


@dataclass(frozen=True)
class PeopleWriter:
    """Writes people with the API's own token and nothing else."""

    cluster: Cluster

    def create(self, document: dict[str, Any]) -> str:
        create = ("create", "--dry-run=server", "-f", "-")
        return self.cluster.kubectl(*create, stdin=json.dumps(document), check=False)

    def bind(self, namespace: str, name: str = "aichat-member-x", **changes: Any) -> str:
        return self.create(binding_of_people(namespace, name) | changes)

    def request_token(self, account: str, namespace: str, *options: str) -> str:
        token = ("create", "token", account, "-n", namespace, *options)
        return self.cluster.kubectl(*token, check=False)


_OWN = {"app.kubernetes.io/managed-by": "aichat-workspace-api"}
_PEOPLE = ("team-people", "tenant-people", "no-team")
_BOB = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "oidc:bob"}


def binding_of_people(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace, "labels": _OWN},
        "roleRef": _role("aichatworkspace-editor"),
        "subjects": [_BOB],
    }


def _role(name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}


def _account(name: str, namespace: str = "team-people") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": _OWN}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


@pytest.fixture(scope="module")
def as_api(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeopleWriter]:
    """With the policy in force, a team, a namespace of a workspace, and one of others."""
    tenant = team(_PEOPLE[1])
    tenant["metadata"]["annotations"] = {"apps.aichatworkspaces.io/workspace-uid": "any"}
    others = team(_PEOPLE[2])
    others["metadata"]["labels"] = {}
    for document in (team(_PEOPLE[0]), tenant, others):
        cluster.apply(document)
    kubeconfig = api_account(cluster, tmp_path_factory.mktemp("api"))
    writer = PeopleWriter(replace(cluster, kubeconfig=kubeconfig))
    eventually(lambda: "may only create members" in writer.bind("no-team"), "the API is confined")
    yield writer
    for name in _PEOPLE:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def test_the_apis_token_invites_only_into_teams_namespaces(as_api: PeopleWriter) -> None:
    assert "aichat-member-x created" in as_api.bind("team-people")
    for namespace in ("no-team", "tenant-people", SYSTEM, "kube-system", "default"):
        assert "may only create members" in as_api.bind(namespace)
        account = _account("aichat-token-x", namespace)
        assert "may only create members" in as_api.create(account)


@pytest.mark.parametrize(
    "role", ["cluster-admin", "admin", "edit", "system:node", "aichat-workspace-operator"]
)
def test_the_apis_token_gives_only_the_roles_of_workspaces(as_api: PeopleWriter, role: str) -> None:
    """RBAC refuses a role that the API may not bind, and the policy would."""
    refusal = as_api.bind("team-people", roleRef=_role(role))
    assert "attempting to grant RBAC permissions" in refusal or "only give the roles" in refusal
    local = {**_role("aichatworkspace-editor"), "kind": "Role"}
    assert "created" not in as_api.bind("team-people", roleRef=local)


@pytest.mark.parametrize(
    "subjects",
    [
        [],
        [_BOB, {**_BOB, "name": "oidc:eve"}],
        [{**_BOB, "kind": "Group", "name": "system:authenticated"}],
        [{**_BOB, "kind": "Group", "name": "system:masters"}],
        [{**_BOB, "name": "system:serviceaccount:kube-system:generic-garbage-collector"}],
        [{"kind": "ServiceAccount", "name": "default", "namespace": "kube-system"}],
    ],
)
def test_the_apis_token_gives_no_role_to_kubernetes_own(
    as_api: PeopleWriter, subjects: list[dict[str, str]]
) -> None:
    assert "only give a role to one" in as_api.bind("team-people", subjects=subjects)
    own = [{"kind": "ServiceAccount", "name": "ci", "namespace": "team-people"}]
    assert "created" in as_api.bind("team-people", subjects=own)


def test_the_apis_token_writes_and_deletes_only_what_is_its_own(
    cluster: Cluster, as_api: PeopleWriter
) -> None:
    unmarked = binding_of_people("team-people", "aichat-member-x")
    del unmarked["metadata"]["labels"]
    for document in (unmarked, _account("ci"), binding_of_people("team-people", "other")):
        assert "of its own, by label and name" in as_api.create(document)
    assert "aichat-token-x created" in as_api.create(_account("aichat-token-x"))
    for document in (unmarked, _account("ci")):
        cluster.apply(document)
        metadata = document["metadata"]
        delete = ("delete", document["kind"], metadata["name"], "-n", "team-people")
        assert "of its own, by label and name" in as_api.cluster.kubectl(*delete, check=False)
    label = ("label", "rolebinding", "aichat-member-x", "-n", "team-people", "a=b")
    assert "cannot patch resource" in as_api.cluster.kubectl(*label, check=False)


def test_the_apis_token_requests_tokens_only_for_itself_and_its_own_accounts(
    cluster: Cluster, as_api: PeopleWriter
) -> None:
    own, audience = "aichat-token-real", "--audience=aichat-workspace-api"
    created = as_api.cluster.kubectl("create", "-f", "-", stdin=json.dumps(_account(own)))
    assert "created" in created
    assert as_api.request_token(own, "team-people", audience).startswith("eyJ")
    assert "may only request tokens for itself" in as_api.request_token(own, "team-people")
    long = as_api.request_token(own, "team-people", audience, "--duration=2161h")
    assert "90 days at most" in long
    cluster.apply(_account("ci"))
    assert "of its own, by label" in as_api.request_token("ci", "team-people", audience)
    for account, namespace in (
        ("aichat-workspace-operator", SYSTEM),
        ("generic-garbage-collector", "kube-system"),
        ("default", "no-team"),
    ):
        refusal = as_api.request_token(account, namespace, audience)
        assert "may only create members" in refusal


def test_no_one_else_makes_accounts_of_the_names_whose_tokens_the_api_may_request(
    cluster: Cluster, as_api: PeopleWriter
) -> None:
    assert as_api.cluster.kubeconfig != cluster.kubeconfig
    create = ("create", "--dry-run=server", "-f", "-")
    document = _account("any")
    for name in ({"name": "aichat-token-x"}, {"generateName": "aichat-token-"}):
        document["metadata"] = {"namespace": "team-people", **name}
        refusal = cluster.kubectl(*create, stdin=json.dumps(document), check=False)
        assert "only the API creates" in refusal


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"upgrades": {"concurrent": 7}}},
        {"metadata": {"annotations": {"apps.aichatworkspaces.io/upgrades": "other"}}},
        {"metadata": {"annotations": {"example.org/owner": "eve"}}},
        {"metadata": {"annotations": {"example.org/kept": None}}},
        {"metadata": {"labels": {"example.org/owner": "eve"}}},
        {"metadata": {"finalizers": ["example.org/stay"]}},
    ],
)
def test_the_apis_token_changes_nothing_of_the_platform_but_the_pause(
    cluster: Cluster, as_api: PeopleWriter, patch: dict[str, Any]
) -> None:
    settings = platform({"upgrades": {"concurrent": 3}})
    settings["metadata"]["annotations"] = {"example.org/kept": "yes"}
    cluster.apply(settings)

    def write(document: dict[str, Any]) -> str:
        change = ("patch", "aichatplatform", "default", "--type=merge", "--dry-run=server")
        return as_api.cluster.kubectl(*change, "-p", json.dumps(document), check=False)

    eventually(lambda: "may only pause" in write(patch), "the API is confined")
    for mark in ("paused", None):
        pause = {"metadata": {"annotations": {"apps.aichatworkspaces.io/upgrades": mark}}}
        assert "patched" in write(pause)


def test_the_apis_token_leaves_no_workspace_out_of_upgrades(
    cluster: Cluster, as_api: PeopleWriter
) -> None:
    cluster.apply(workspace("marked-chat"))
    mark = {"metadata": {"annotations": {"apps.aichatworkspaces.io/upgrades": "skip"}}}
    change = ("patch", "aiws", "marked-chat", "-n", SYSTEM, "--type=merge", "--dry-run=server")
    written = (*change, "-p", json.dumps(mark))
    assert "are the platform team's" in as_api.cluster.kubectl(*written, check=False)
    assert "patched" in cluster.kubectl(*written)
    cluster.kubectl("delete", "aiws", "marked-chat", "-n", SYSTEM, "--wait=false")


def test_the_operator_makes_the_accounts_of_a_workspace_of_any_name(
    cluster: Cluster, as_api: PeopleWriter
) -> None:
    assert as_api.cluster.kubeconfig != cluster.kubeconfig
    account = _account("aichat-token-x-ollama", "tenant-people")
    operator = f"--as=system:serviceaccount:{SYSTEM}:aichat-workspace-operator"
    create = ("create", operator, "--dry-run=server", "-f", "-")
    assert "created" in cluster.kubectl(*create, stdin=json.dumps(account), check=False)
