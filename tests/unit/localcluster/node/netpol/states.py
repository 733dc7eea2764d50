"""Random clusters, so small that several policies often concern one connection."""

from typing import Any, Final

from hypothesis import strategies as st

from localcluster.node.netpol.state import NamedPort, Pod, Policy, State, cluster_dns

SUBNET: Final = "10.99.0"
NODE: Final = f"{SUBNET}.1"
OUTSIDE: Final = "198.51.100.2"
METADATA: Final = "169.254.169.254"
PODS: Final = tuple(f"{SUBNET}.{number}" for number in range(11, 16))
PORTS: Final = (53, 80, 81, 443)
PROTOCOLS: Final = ("TCP", "UDP")

_KEYS: Final = ("app", "tier")
_VALUES: Final = ("a", "b")
_NAMESPACES: Final = ("red", "blue", "kube-system")
_CIDRS: Final = (
    "0.0.0.0/0",
    f"{SUBNET}.0/24",
    f"{SUBNET}.12/30",
    f"{SUBNET}.13/32",
    f"{NODE}/32",
    "198.51.100.0/24",
    "169.254.0.0/16",
    "::/0",
)


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


LABELS = _optional(**{key: st.sampled_from(_VALUES) for key in _KEYS})
_values = st.lists(st.sampled_from(_VALUES), min_size=1, max_size=2, unique=True)
_expressions = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(_KEYS),
            "operator": st.sampled_from(("In", "NotIn")),
            "values": _values,
        }
    ),
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(_KEYS),
            "operator": st.sampled_from(("Exists", "DoesNotExist")),
        }
    ),
)
SELECTORS = _optional(matchLabels=LABELS, matchExpressions=st.lists(_expressions, max_size=2))
_namespace_selectors = st.one_of(
    SELECTORS,
    st.sampled_from(_NAMESPACES).map(
        lambda name: {"matchLabels": {"kubernetes.io/metadata.name": name}}
    ),
)
_peers = st.one_of(
    st.fixed_dictionaries({"podSelector": SELECTORS}),
    st.fixed_dictionaries({"namespaceSelector": _namespace_selectors}),
    st.fixed_dictionaries({"podSelector": SELECTORS, "namespaceSelector": _namespace_selectors}),
    st.fixed_dictionaries(
        {
            "ipBlock": st.fixed_dictionaries(
                {"cidr": st.sampled_from(_CIDRS)},
                optional={"except": st.lists(st.sampled_from(_CIDRS[1:]), max_size=3)},
            )
        }
    ),
)
_protocol = {"protocol": st.sampled_from(PROTOCOLS)}
_ports = st.one_of(
    st.fixed_dictionaries({}, optional=_protocol),
    st.fixed_dictionaries({"port": st.sampled_from(PORTS)}, optional=_protocol),
    st.fixed_dictionaries({"port": st.sampled_from(("web", "dns"))}, optional=_protocol),
    st.fixed_dictionaries(
        {"port": st.sampled_from((53, 80)), "endPort": st.sampled_from((80, 81))},
        optional=_protocol,
    ),
)


def _rules(side: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    rule = _optional(**{side: st.lists(_peers, max_size=2), "ports": st.lists(_ports, max_size=2)})
    return st.lists(rule, max_size=2)


_types = st.lists(st.sampled_from(("Ingress", "Egress")), min_size=1, max_size=2, unique=True)
_specs = st.fixed_dictionaries(
    {"podSelector": SELECTORS},
    optional={"policyTypes": _types, "ingress": _rules("from"), "egress": _rules("to")},
)
_policies = st.builds(Policy, st.sampled_from(_NAMESPACES), st.just("policy"), _specs)
_named_ports = st.lists(
    st.builds(
        NamedPort, st.sampled_from(("web", "dns")), st.sampled_from(PORTS), _protocol["protocol"]
    ),
    max_size=2,
)


@st.composite
def states(draw: st.DrawFn) -> State:
    """Draw five pods and the DNS on the node, with up to four policies."""
    pods = tuple(
        Pod(
            draw(st.sampled_from(_NAMESPACES)),
            f"pod-{address}",
            address,
            draw(LABELS),
            tuple(draw(_named_ports)),
        )
        for address in PODS
    )
    namespaces = {
        name: {"kubernetes.io/metadata.name": name, **draw(LABELS)} for name in _NAMESPACES
    }
    policies = tuple(draw(st.lists(_policies, min_size=1, max_size=4)))
    return State(pods, namespaces, policies, (cluster_dns(NODE),), (NODE,))
