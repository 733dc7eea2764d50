"""Which of the manifests' values the chart's values decide, and which objects are optional."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aichat_workspace.chart.edits import Edit, Path, after, before, block, line, scalar
from aichat_workspace.domain import names

Reference = tuple[str, str]
"""An object's kind and name."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What becomes of an object in the chart."""

    edits: tuple[Edit, ...] = ()
    condition: str = ""
    """An expression that decides whether the release has the object; empty for always."""
    is_test: bool = False
    """It is there only while `helm test` runs."""


def helper(name: str, argument: str = ".") -> str:
    """Return the expression for a template of _helpers.tpl."""
    return f'include "{names.OPERATOR}.{name}" {argument}'


_POD: Final[Path] = ("spec", "template", "spec")
_CONTAINER: Final[Path] = (*_POD, "containers", 0)
_NAMESPACES: Final[Path] = ("namespaceSelector", "matchExpressions", 0, "values")


def _crd(name: str) -> dict[Reference, Treatment]:
    # Helm would delete all workspaces with their kind.
    keep = line(("metadata", "labels"), "annotations: {helm.sh/resource-policy: keep}")
    return {("CustomResourceDefinition", name): Treatment((keep,), ".Values.crds.install")}


def _component(name: str, component: str, *edits: Edit) -> dict[Reference, Treatment]:
    """The Deployment of the operator or the API, and its disruption budget."""
    values = f".Values.{component}"
    metadata = ("spec", "template", "metadata", "labels")
    deployment = (
        scalar(("spec", "replicas"), f"{values}.replicas"),
        before(metadata, helper("pod-annotations", values)),
        before((*_POD, "serviceAccountName"), helper("pod", f'(list . "{component}")')),
        line((*_POD, "securityContext", "runAsUser"), '{{- if eq .Values.runAs "Fixed" }}'),
        line((*_POD, "securityContext", "seccompProfile"), "{{- end }}"),
        scalar((*_CONTAINER, "image"), helper("image")),
        scalar((*_CONTAINER, "imagePullPolicy"), ".Values.image.pullPolicy"),
        block((*_CONTAINER, "resources"), f"toYaml {values}.resources"),
        *edits,
    )
    return {
        ("Deployment", name): Treatment(deployment),
        ("PodDisruptionBudget", name): Treatment(condition=f"gt (int {values}.replicas) 1"),
    }


def _network_policy(name: str, *edits: Edit, monitoring: int) -> dict[Reference, Treatment]:
    """`monitoring` is the number of the rule that lets Prometheus in."""
    policies = ".Values.networkPolicies"
    namespaces = ("spec", "ingress", monitoring, "from", 0, *_NAMESPACES)
    rules = (
        scalar(namespaces, f"{policies}.monitoringNamespaces | toJson"),
        block(("spec", "egress", 0, "to"), helper("dns-peers")),
        block(("spec", "egress", 0, "ports"), helper("dns-ports")),
        block(("spec", "egress", 1, "ports"), helper("egress-ports")),
    )
    return {("NetworkPolicy", name): Treatment((*edits, *rules), f"{policies}.enabled")}


def _monitor(name: str) -> dict[Reference, Treatment]:
    values = ".Values.monitoring.serviceMonitors"
    edits = (
        _labels(f"{values}.labels"),
        scalar(("spec", "endpoints", 0, "interval"), f"{values}.interval"),
    )
    return {("ServiceMonitor", name): Treatment(edits, f"{values}.enabled")}


def _labels(values: str) -> Edit:
    return before(("metadata", "labels", "app.kubernetes.io/name"), helper("optional", values))


_INGRESS: Final = Treatment(
    (
        after(
            ("metadata", "annotations", "haproxy.org/timeout-server"), helper("ingress-annotations")
        ),
        before(("spec", "tls"), helper("ingress-class")),
        after(("spec", "tls", 0, "hosts"), helper("ingress-secret")),
        scalar(("spec", "tls", 0, "hosts"), "list .Values.api.host | toJson"),
        scalar(("spec", "rules", 0, "host"), ".Values.api.host"),
    ),
    ".Values.api.ingress.enabled",
)
_RULES: Final = Treatment(
    (_labels(".Values.monitoring.prometheusRules.labels"),),
    ".Values.monitoring.prometheusRules.enabled",
)
_RELEASE_NAMESPACE: Final = ".Release.Namespace"


def _hook(weight: int) -> str:
    """The annotations of an object that Helm makes for its test; lower weights come first."""
    return helper("test-hook", f'"{weight}"')


def _test(weight: int, *edits: Edit, condition: str = "") -> Treatment:
    annotations = line(("metadata", "name"), f"annotations: {{{{ {_hook(weight)} }}}}")
    return Treatment((annotations, *edits), condition, is_test=True)


# The Job is in the operator's namespace, where the image's pull secrets are.
_SMOKE_TEST: Final[Mapping[Reference, Treatment]] = {
    ("Namespace", names.SMOKE_TESTS_TEAM): _test(-5),
    ("ServiceAccount", "smoke-test"): _test(
        -4, scalar(("metadata", "namespace"), _RELEASE_NAMESPACE)
    ),
    ("RoleBinding", "smoke-test"): _test(
        -3, scalar(("subjects", 0, "namespace"), _RELEASE_NAMESPACE)
    ),
    ("NetworkPolicy", "aichat-smoke-test"): _test(
        -2,
        scalar(
            (
                *("spec", "ingress", 0, "from", 0, "namespaceSelector", "matchLabels"),
                "kubernetes.io/metadata.name",
            ),
            _RELEASE_NAMESPACE,
        ),
        condition=".Values.networkPolicies.enabled",
    ),
    ("Job", "smoke-test"): Treatment(
        (
            scalar(("metadata", "namespace"), _RELEASE_NAMESPACE),
            scalar(("metadata", "annotations"), _hook(0)),
            before((*_POD, "serviceAccountName"), helper("pod", '(list . "api")')),
            scalar((*_CONTAINER, "image"), helper("image")),
            line((*_CONTAINER, "command"), "imagePullPolicy: {{ .Values.image.pullPolicy }}"),
            scalar((*_CONTAINER, "args"), "list .Values.smokeTest.model | toJson"),
        ),
        is_test=True,
    ),
}
TREATMENTS: Final[Mapping[Reference, Treatment]] = {
    **_crd(f"aichatworkspaces.{names.GROUP}"),
    **_crd(f"aichatplatforms.{names.GROUP}"),
    **_component(
        names.OPERATOR,
        "operator",
        before((*_CONTAINER, "ports"), helper("operator-env")),
    ),
    **_component(
        names.API,
        "api",
        block((*_CONTAINER, "env"), helper("api-env")),
        before((*_CONTAINER, "securityContext"), helper("api-volume-mounts")),
        before((*_POD, "securityContext"), helper("api-volumes")),
    ),
    **_network_policy(names.OPERATOR, monitoring=0),
    **_network_policy(
        names.API, block(("spec", "ingress", 0, "from"), helper("ingress-peers")), monitoring=1
    ),
    ("Ingress", names.API): _INGRESS,
    **_monitor(names.OPERATOR),
    **_monitor(names.API),
    ("PrometheusRule", names.OPERATOR): _RULES,
    **_SMOKE_TEST,
}
