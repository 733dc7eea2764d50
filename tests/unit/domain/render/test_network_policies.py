"""What a tenant's network policies allow, as one matrix, and that it stays so while they are
replaced by others.

The matrix is asked of the local cluster's evaluator, which is compared with real packets elsewhere.
"""

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, ref
from aichat_workspace.domain.planning.actions import Apply, Delete
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.plan import plan
from aichat_workspace.domain.policy.blocking import blocked_kinds
from aichat_workspace.domain.policy.secret_references import OIDC, connection
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render import ReferencedSecret, render, tenant_namespace
from aichat_workspace.domain.render.components import OLLAMA, OPENWEBUI
from aichat_workspace.domain.render.labels import workspace_labels
from aichat_workspace.domain.v1alpha1.network_settings import Dns, Ingress, Issuer, Network
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import Access
from localcluster.node.netpol.evaluate import is_allowed
from localcluster.node.netpol.state import Pod, State, read_policy
from tests.unit.domain.samples import CREDENTIALS, as_cached, namespace, workspace

TENANT = "team-a-aichat"
NEIGHBOUR = "team-b-aichat"
FORMER = Path(__file__).with_name("former_network_policies.yaml")
"""Those of the same workspace as an earlier release rendered them: one for each kind of traffic."""


def pod(place: str, name: str, address: str, labels: dict[str, str] | None = None) -> Pod:
    return Pod(place, name, address, labels or {})


def system_pod(name: str, address: str) -> Pod:
    return pod(names.SYSTEM_NAMESPACE, name, address, {"app.kubernetes.io/name": name})


def tenant_pod(tenant: str, component: str, address: str) -> Pod:
    name = f"{tenant}-{component}"
    return pod(tenant, name, address, workspace_labels(tenant, name, component))


PODS = {
    "chat": tenant_pod(TENANT, OPENWEBUI, "10.0.0.1"),
    "model server": tenant_pod(TENANT, OLLAMA, "10.0.0.2"),
    "solver": pod(TENANT, "solver", "10.0.0.3", {"acme.cert-manager.io/http01-solver": "true"}),
    "stray": pod(TENANT, "stray", "10.0.0.4"),
    "operator": system_pod(names.OPERATOR, "10.0.1.1"),
    "API": system_pod(names.API, "10.0.1.2"),
    "other in the system": system_pod("other", "10.0.1.3"),
    "ingress controller": pod("traefik", "traefik", "10.0.2.1"),
    "DNS": pod("kube-system", "coredns", "10.0.3.1"),
    "neighbour's chat": tenant_pod(NEIGHBOUR, OPENWEBUI, "10.0.4.1"),
    "neighbour's model server": tenant_pod(NEIGHBOUR, OLLAMA, "10.0.4.2"),
}
OF_TENANT = ("chat", "model server", "solver", "stray")
ADDRESSES = {
    **{name: pod.address for name, pod in PODS.items()},
    "DNS on the node": "169.254.20.10",
    "cloud's metadata": "169.254.169.254",
    "private range": "192.168.1.1",
    "allowed range": "10.1.2.3",
    "internet": "203.0.113.9",
}
PORTS = (
    *((port, "TCP") for port in (53, 80, 443, 5000, 8080, 8089, 8443, 11434)),
    *((port, "UDP") for port in (53, 443)),
)
Connection = tuple[str, str, int, str]
"""From, to, port, protocol."""


def every(
    sources: Iterable[str], targets: Iterable[str], ports: Iterable[int], protocol: str = "TCP"
) -> set[Connection]:
    return {
        (source, target, port, protocol)
        for source, target, port in product(sources, targets, ports)
    }


NAMES = {
    *every(OF_TENANT, ("DNS", "DNS on the node"), (53,)),
    *every(OF_TENANT, ("DNS", "DNS on the node"), (53,), "UDP"),
}
PLAIN: set[Connection] = {
    *NAMES,
    *every(("ingress controller", "operator", "API"), ("chat",), (8080,)),
    *every(("chat", "operator", "API"), ("model server",), (11434,)),
    *every(("model server",), ("internet",), (443,)),
}
EVERYTHING: set[Connection] = {
    *PLAIN,
    *every(("ingress controller",), ("solver",), (8089,)),
    *every(("model server",), ("internet", "allowed range"), (443, 5000)),
    *every(("chat",), ("internet", "allowed range"), (443, 8443)),
}
# What the earlier release did not let through.
NEW: set[Connection] = {*every(("API",), ("chat",), (8080,))}

KUBEADM = Dns(namespaces=("kube-system",), addresses=("169.254.20.10/32",), ports=(53,))
PLATFORM = PlatformSpec(
    ingress=Ingress(controller_namespaces=("traefik",)), network=Network(dns=KUBEADM)
)
WITH_EVERYTHING = PlatformSpec(
    ingress=Ingress(controller_namespaces=("traefik",), issuer=Issuer(name="ours")),
    network=Network(egress_allow=("10.1.2.3/32",), dns=KUBEADM),
)
CONNECTED = workspace(
    models=["models.example.org:5000/team/big"],
    connections=[{"name": "a", "url": "https://a.example.org:8443/v1", "secretName": "key"}],
    access={
        "oidc": {
            "providerURL": "https://id.example.org/.well-known/openid-configuration",
            "clientID": "chat",
            "secretName": "oidc",
        }
    },
)
SECRETS = {
    connection("a"): ReferencedSecret("Opaque", {"apiKey": ""}),
    OIDC: ReferencedSecret("Opaque", {"clientSecret": ""}),
}


def rendered(tenant: Workspace, platform: PlatformSpec) -> tuple[Manifest, ...]:
    return render(tenant, platform, CREDENTIALS, SECRETS if tenant is CONNECTED else {})


def network_policies(manifests: Iterable[Manifest]) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"]


def former() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(FORMER.read_text()))


def allowed(manifests: Iterable[Manifest]) -> set[Connection]:
    """Every connection from or to the tenant that the policies allow."""
    places = {pod.namespace for pod in PODS.values()}
    state = State(
        pods=tuple(PODS.values()),
        namespaces={place: {"kubernetes.io/metadata.name": place} for place in places},
        policies=tuple(map(read_policy, network_policies(manifests))),
    )
    return {
        (source, target, port, protocol)
        for source, target, (port, protocol) in product(ADDRESSES, ADDRESSES, PORTS)
        if source != target
        and {source, target} & {*OF_TENANT}
        and is_allowed(ADDRESSES[source], ADDRESSES[target], port, protocol, state)
    }


@pytest.mark.parametrize(
    ("tenant", "platform", "expected"),
    [(workspace(), PLATFORM, PLAIN), (CONNECTED, WITH_EVERYTHING, EVERYTHING)],
    ids=["plain", "with everything"],
)
def test_exactly_these_connections_are_allowed(
    tenant: Workspace, platform: PlatformSpec, expected: set[Connection]
) -> None:
    assert allowed(rendered(tenant, platform)) == expected


def test_there_are_three_policies_and_one_more_for_back_ends_and_for_an_issuers_solver() -> None:
    plain, full = rendered(workspace(), PLATFORM), rendered(CONNECTED, WITH_EVERYTHING)
    assert [policy["metadata"]["name"] for policy in network_policies(plain)] == [
        f"{TENANT}-default-deny",
        f"{TENANT}-ollama",
        f"{TENANT}-openwebui",
    ]
    assert {policy["metadata"]["name"] for policy in network_policies(full)} == {
        *(policy["metadata"]["name"] for policy in network_policies(plain)),
        f"{TENANT}-back-ends",
        f"{TENANT}-certificate-solver",
    }


def test_without_one_of_them_nothing_is_open_that_was_closed_but_for_pods_that_are_not_ours() -> (
    None
):
    """While a deleted policy is not back, the others still hold."""
    manifests = network_policies(rendered(workspace(), PLATFORM))
    for missing in manifests:
        others = [policy for policy in manifests if policy is not missing]
        opened = allowed(others) - PLAIN
        assert all({"solver", "stray"} & {*opening[:2]} for opening in opened), missing["metadata"]


def test_the_policies_of_an_earlier_release_allowed_the_same_but_accounts_by_the_api() -> None:
    assert allowed(former()) == EVERYTHING - NEW


def test_replacing_those_of_an_earlier_release_opens_and_cuts_nothing_on_the_way() -> None:
    desired = rendered(CONNECTED, WITH_EVERYTHING)
    others = [manifest for manifest in desired if manifest["kind"] != "NetworkPolicy"]
    objects = as_cached((*others, *former()))
    actions = plan(
        tenant_namespace(CONNECTED), desired, Observed(namespace=namespace(), objects=objects)
    )
    for action in actions:
        match action:
            case Apply(manifest):
                objects[ref(manifest)] = manifest
            case Delete(reference):
                assert action.waits, "a refused write keeps the policies that it was to replace"
                del objects[reference]
            case _:
                raise AssertionError(action)
        assert allowed(objects.values()) - NEW == EVERYTHING - NEW, action
    remaining = {
        policy["metadata"]["name"]: policy["spec"] for policy in network_policies(objects.values())
    }
    assert remaining == {
        policy["metadata"]["name"]: policy["spec"] for policy in network_policies(desired)
    }
    assert len(actions) == 5 + 5, "those of the back ends and of the solver get another label only"


def test_a_chat_that_is_blocked_keeps_its_ways_although_the_spec_no_longer_names_them() -> None:
    """As with an operator that does not understand them, after the return to an older version."""
    unread = CONNECTED.spec.model_copy(update={"connections": (), "access": Access()})
    desired = rendered(CONNECTED.model_copy(update={"spec": unread}), WITH_EVERYTHING)
    objects = as_cached(rendered(CONNECTED, WITH_EVERYTHING))
    blocked = blocked_kinds([Problem(Reason.SPEC_NOT_UNDERSTOOD, "")])
    observed = Observed(namespace=namespace(), objects=objects)
    assert plan(tenant_namespace(CONNECTED), desired, observed, blocked) == ()
