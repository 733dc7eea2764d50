"""Labels and annotations that the platform puts on objects of workspaces.

Kubernetes' own prefixes are open only where controllers of a cluster read them: other names there
change what Kubernetes does with the object. The operator's own names say whose it is.
"""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import LABEL_KEYS, LabelKey, LabelValue

_MAX_ENTRIES: Final = 16
_KEYS: Final[dict[str, Any]] = {"x-kubernetes-validations": [LABEL_KEYS]}
_OWNED: Final = r"^([-a-z0-9.]+[.])?(kubernetes[.]io|k8s[.]io|aichatworkspaces[.]io)/"
_NAMESPACE_PREFIXES: Final = ("scheduler.alpha.kubernetes.io",)
_POD_PREFIXES: Final = ("cluster-autoscaler.kubernetes.io",)
_ROUTE_PREFIXES: Final = (
    "alb.ingress.kubernetes.io",
    "appgw.ingress.kubernetes.io",
    "external-dns.alpha.kubernetes.io",
    "ingress.kubernetes.io",
    "nginx.ingress.kubernetes.io",
)
# What domain/render/ingress.py writes itself.
ROUTE_NAMES: Final = (
    "cert-manager.io/cluster-issuer",
    "cert-manager.io/issuer",
    "haproxy.org/timeout-server",
    "haproxy.org/timeout-tunnel",
    "nginx.ingress.kubernetes.io/proxy-body-size",
    "nginx.ingress.kubernetes.io/proxy-buffering",
    "nginx.ingress.kubernetes.io/proxy-read-timeout",
    "nginx.ingress.kubernetes.io/proxy-send-timeout",
)
AnnotationValue = Annotated[str, StringConstraints(max_length=4096)]


def _rules(open_prefixes: tuple[str, ...], own: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the rules for names of labels and annotations.

    The message can't say which name it is: to put keys of any length together costs an API server
    more than it allows.
    """
    is_open = " || ".join(f"key.startsWith('{prefix}/')" for prefix in open_prefixes)
    own_names = sorted((names.WORKSPACE_LABEL, *own))
    message = (
        f"{', '.join(own_names)} and names below aichatworkspaces.io are the operator's, and names "
        "below kubernetes.io and k8s.io are Kubernetes', of which only those of "
        f"{', '.join(open_prefixes)} are open here"
    )
    is_theirs = f"key in {own_names} || (key.matches(r'{_OWNED}') && !({is_open}))"
    return {
        "x-kubernetes-validations": [
            {
                **rule(f"!has(self.{part}) || !self.{part}.exists(key, {is_theirs})", message),
                "fieldPath": f".{part}",
            }
            for part in ("labels", "annotations")
        ]
    }


NAMESPACES: Final = _rules(_NAMESPACE_PREFIXES)
PODS: Final = _rules(_POD_PREFIXES)
ROUTES: Final = _rules(_ROUTE_PREFIXES, ROUTE_NAMES)


class Metadata(Schema):
    """What the platform puts on objects of workspaces."""

    labels: dict[LabelKey, LabelValue] = Field(
        default={},
        max_length=_MAX_ENTRIES,
        description="Labels of these objects.",
        json_schema_extra=_KEYS,
    )
    annotations: dict[LabelKey, AnnotationValue] = Field(
        default={},
        max_length=_MAX_ENTRIES,
        description="Annotations of these objects.",
        json_schema_extra=_KEYS,
    )
