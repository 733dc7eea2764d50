"""Whom the settings let in and out, asked of the local cluster's evaluator over all peers."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy import cluster_addresses
from aichat_workspace.domain.policy.secret_references import connection
from aichat_workspace.domain.render import ReferencedSecret, render
from aichat_workspace.domain.render.components import OLLAMA, OPENWEBUI
from aichat_workspace.domain.render.labels import workspace_labels
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from localcluster.node.netpol.evaluate import is_allowed
from localcluster.node.netpol.state import Pod, State, read_policy
from tests.unit.domain.samples import CREDENTIALS, workspace

TENANT = "team-a-aichat"
NAMESPACES = ("traefik", "edge", "kube-system", "openshift-dns", "proxies", "neighbour")
LABELS: tuple[dict[str, str], ...] = ({}, {"app": "front"}, {"app": "front", "tier": "1"})


def tenant_pod(component: str, address: str) -> Pod:
    name = f"{TENANT}-{component}"
    return Pod(TENANT, name, address, workspace_labels(TENANT, name, component))


CHAT, MODEL_SERVER = tenant_pod(OPENWEBUI, "10.0.0.1"), tenant_pod(OLLAMA, "10.0.0.2")
OPERATOR = Pod(
    names.SYSTEM_NAMESPACE, "operator", "10.0.1.1", {"app.kubernetes.io/name": names.OPERATOR}
)
OTHERS = tuple(
    Pod(namespace, f"pod-{number}", f"{prefix}{index}:{number}", labels)
    if ":" in prefix
    else Pod(namespace, f"pod-{number}", f"{prefix}{index}.{number}", labels)
    for prefix in ("10.1.", "fd00::")
    for index, namespace in enumerate(NAMESPACES, start=1)
    for number, labels in enumerate(LABELS, start=1)
)
PODS = (CHAT, MODEL_SERVER, OPERATOR, *OTHERS)
ADDRESSES = (
    "192.0.2.10",  # a node's
    "192.168.1.1",
    "203.0.113.9",
    "169.254.20.10",
    "169.254.169.254",
    "fd00:1::a",
    "2001:db8:1::9",
    "2606:4700::9",
    "fe80::1",
    "64:ff9b::a9fe:a9fe",  # 169.254.169.254 through NAT64
    "64:ff9b::cb00:7109",  # 203.0.113.9 through NAT64
)
PORTS = (53, 80, 443, 3128, 5353, 8080, 8443, 11434)
RANGES = ("192.0.2.0/24", "10.1.2.0/24", "203.0.113.9/32", "fd00::/16", "2001:db8::/32")

platform_ranges = st.lists(st.sampled_from(RANGES), max_size=3, unique=True)
platform_namespaces = st.lists(st.sampled_from(NAMESPACES), max_size=3, unique=True)
labels = st.sampled_from(LABELS)


def state(manifests: Iterable[Manifest]) -> State:
    policies = (manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy")
    places = {TENANT, names.SYSTEM_NAMESPACE, *NAMESPACES}
    return State(
        pods=PODS,
        namespaces={place: {"kubernetes.io/metadata.name": place} for place in places},
        policies=tuple(map(read_policy, policies)),
    )


def walls(platform: Mapping[str, Any], tenant: Workspace | None = None) -> State:
    referenced = {connection("a"): ReferencedSecret("Opaque", {"apiKey": ""})}
    spec = PlatformSpec.model_validate(platform)
    return state(render(tenant or workspace(), spec, CREDENTIALS, referenced))


def is_selected(pod: Pod, namespaces: Iterable[str], pod_labels: Mapping[str, str]) -> bool:
    return pod.namespace in namespaces and pod_labels.items() <= pod.labels.items()


def is_within(address: str, cidrs: Iterable[str]) -> bool:
    return any(ip_address(address) in ip_network(cidr) for cidr in cidrs)


@settings(max_examples=60, deadline=None)
@given(
    namespaces=st.lists(st.sampled_from(NAMESPACES), min_size=1, max_size=3, unique=True),
    pod_labels=labels,
    cidrs=platform_ranges,
    any_source=st.booleans(),
)
def test_the_chat_is_reached_by_the_controllers_pods_and_the_listed_addresses_alone(
    namespaces: list[str], pod_labels: dict[str, str], cidrs: list[str], any_source: bool
) -> None:
    ingress = {
        "controllerNamespaces": namespaces,
        "controllerPodLabels": pod_labels,
        "sourceRanges": cidrs,
        "anySource": any_source,
    }
    present = walls({"ingress": ingress})
    for pod in OTHERS:
        admitted = (
            any_source or is_selected(pod, namespaces, pod_labels) or is_within(pod.address, cidrs)
        )
        assert is_allowed(pod.address, CHAT.address, 8080, "TCP", present) is admitted, pod
    for address in ADDRESSES:
        admitted = any_source or is_within(address, cidrs)
        assert is_allowed(address, CHAT.address, 8080, "TCP", present) is admitted, address
    sources = (*(pod.address for pod in OTHERS), *ADDRESSES)
    for port in (443, 11434):
        assert not any(is_allowed(source, CHAT.address, port, "TCP", present) for source in sources)
    assert not any(
        is_allowed(source, MODEL_SERVER.address, 11434, "TCP", present) for source in sources
    ), "no setting opens the model server"
    assert is_allowed(OPERATOR.address, CHAT.address, 8080, "TCP", present)


@settings(max_examples=60, deadline=None)
@given(
    namespaces=st.lists(st.sampled_from(NAMESPACES), min_size=1, max_size=3, unique=True),
    pod_labels=labels,
    cidrs=platform_ranges,
    ports=st.lists(st.sampled_from((53, 5353, 8443)), min_size=1, max_size=2, unique=True),
)
def test_names_are_asked_of_dns_alone(
    namespaces: list[str], pod_labels: dict[str, str], cidrs: list[str], ports: list[int]
) -> None:
    dns = {"namespaces": namespaces, "podLabels": pod_labels, "addresses": cidrs, "ports": ports}
    present = walls({"network": {"dns": dns}})
    for protocol in ("UDP", "TCP"):
        for port in PORTS:
            for pod in OTHERS:
                is_dns = is_selected(pod, namespaces, pod_labels) and port in ports
                is_listed = is_within(pod.address, cidrs) and port == 53
                allowed = is_allowed(CHAT.address, pod.address, port, protocol, present)
                assert allowed is (is_dns or is_listed), (pod, port, protocol)
            for address in ADDRESSES:
                is_listed = is_within(address, cidrs) and port == 53
                allowed = is_allowed(CHAT.address, address, port, protocol, present)
                assert allowed is is_listed, (address, port, protocol)


CONNECTED = workspace(
    models=["gemma2:2b"],
    connections=[{"name": "a", "url": "https://a.example.org:8443/v1", "secretName": "key"}],
)


@settings(max_examples=60, deadline=None)
@given(
    namespaces=platform_namespaces,
    pod_labels=labels,
    cidrs=st.lists(st.sampled_from(RANGES), min_size=1, max_size=3, unique=True),
    direct=platform_ranges,
)
def test_with_a_proxy_only_it_is_reached_and_what_is_allowed_by_its_address(
    namespaces: list[str], pod_labels: dict[str, str], cidrs: list[str], direct: list[str]
) -> None:
    proxy = {
        "url": "http://proxy.example.org:3128",
        "namespaces": namespaces,
        "podLabels": pod_labels,
        "addresses": cidrs,
    }
    dns: dict[str, list[str]] = {"namespaces": ["dns"], "addresses": []}
    network = {"egressAllow": direct, "dns": dns}
    present = walls({"proxy": proxy, "network": network}, CONNECTED)
    targets: list[tuple[str, Pod | None]] = [
        *((pod.address, pod) for pod in OTHERS),
        *((address, None) for address in ADDRESSES),
    ]
    for source, own_port in ((MODEL_SERVER, 443), (CHAT, 8443)):
        for address, pod in targets:
            is_proxy = is_within(address, cidrs) or (
                pod is not None and is_selected(pod, namespaces, pod_labels)
            )
            for port in PORTS:
                allowed = is_allowed(source.address, address, port, "TCP", present)
                is_direct = port == own_port and is_within(address, direct)
                assert allowed is ((is_proxy and port == 3128) or is_direct), (address, port)


def reached(source: Pod, platform: Mapping[str, Any], port: int = 443) -> set[str]:
    present = walls(platform)
    return {
        address
        for address in ADDRESSES
        if is_allowed(source.address, address, port, "TCP", present)
    }


def test_by_default_public_addresses_of_both_families_are_reached_and_no_private_ones() -> None:
    assert reached(MODEL_SERVER, {}) == {
        "192.0.2.10",
        "203.0.113.9",
        "2001:db8:1::9",
        "2606:4700::9",
        "64:ff9b::cb00:7109",
    }
    assert reached(CHAT, {}) == set()


def test_a_list_of_ipv4_alone_opens_nothing_private_of_ipv6() -> None:
    own = {"network": {"egressExcept": ["203.0.113.0/24"]}}
    assert {"fd00:1::a", "fe80::1", "64:ff9b::cb00:7109"}.isdisjoint(reached(MODEL_SERVER, own))


def test_a_range_of_ipv6_is_excepted_or_allowed_as_one_of_ipv4() -> None:
    excepted = {"network": {"egressExcept": ["2606:4700::/32", "fc00::/7"]}}
    assert "2606:4700::9" not in reached(MODEL_SERVER, excepted)
    allowed = {"network": {"egressAllow": ["fd00:1::/64"]}}
    assert "fd00:1::a" in reached(MODEL_SERVER, allowed)


def test_an_address_of_a_node_is_excepted_in_both_families() -> None:
    spec = cluster_addresses.without(PlatformSpec(), ["203.0.113.9", "2606:4700::9"])
    present = state(render(workspace(), spec, CREDENTIALS))
    for address in ("203.0.113.9", "2606:4700::9", "64:ff9b::cb00:7109"):
        assert not is_allowed(MODEL_SERVER.address, address, 443, "TCP", present)


@pytest.mark.parametrize(
    ("place", "address", "port"),
    [
        ("kubeadm", "10.1.3.1", 53),
        ("OpenShift", "10.1.4.1", 5353),
        ("DNS on the node", "169.254.20.10", 53),
        ("Google's", "169.254.169.254", 53),
    ],
)
def test_by_default_dns_is_where_the_usual_clusters_have_it(
    place: str, address: str, port: int
) -> None:
    present = walls({})
    assert is_allowed(CHAT.address, address, port, "UDP", present), place
    assert not is_allowed(CHAT.address, address, 80, "TCP", present)


def test_a_gateways_namespace_comes_in_whatever_the_labels_of_controllers_are() -> None:
    ingress = {
        "controllerNamespaces": ["edge"],
        "controllerPodLabels": {"app": "none"},
        "gateway": {"name": "front", "namespace": "edge"},
    }
    present = walls({"ingress": ingress})
    edge = [pod for pod in OTHERS if pod.namespace == "edge"]
    assert all(is_allowed(pod.address, CHAT.address, 8080, "TCP", present) for pod in edge)
