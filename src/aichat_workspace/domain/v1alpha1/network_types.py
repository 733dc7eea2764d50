"""Types of names, labels and address ranges, with the patterns that the API server checks."""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints
from pydantic.config import JsonDict

from aichat_workspace.domain.v1alpha1.base import rule

DNS_LABELS: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
LABEL: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
SET: Final[JsonDict] = {"x-kubernetes-list-type": "set"}

_OCTET: Final = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4: Final = rf"{_OCTET}(\.{_OCTET}){{3}}"
_GROUP: Final = "[0-9A-Fa-f]{1,4}"


def _ipv6() -> str:
    """Return the pattern of RFC 4291's text, without an IPv4 address at its end."""
    shortened = (
        f"({_GROUP}:){{1,{before}}}(:{_GROUP}){{1,{7 - before}}}" for before in range(1, 7)
    )
    return "|".join(
        (
            f"({_GROUP}:){{7}}{_GROUP}",
            *shortened,
            f"({_GROUP}:){{1,7}}:",
            f":((:{_GROUP}){{1,7}}|:)",
        )
    )


IPV6: Final = f"({_ipv6()})"
_IPV6_LENGTHS: Final = r"(12[0-8]|1[01][0-9]|[1-9][0-9]|[1-9])"

# A range of all addresses (/0) may not be excepted, and a longer list than everything says nothing.
Cidr = Annotated[
    str,
    StringConstraints(
        max_length=43, pattern=rf"^({IPV4}/(3[0-2]|[12][0-9]|[1-9])|{IPV6}/{_IPV6_LENGTHS})$"
    ),
]
DnsName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=f"^{DNS_LABELS}$")]
DnsLabel = Annotated[
    str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
Port = Annotated[int, Field(ge=1, le=65535)]
_LABEL_KEY: Final = rf"^({DNS_LABELS}/)?{LABEL}$"
PodLabels = dict[
    Annotated[str, StringConstraints(max_length=316, pattern=_LABEL_KEY)],
    Annotated[str, StringConstraints(max_length=63, pattern=rf"^({LABEL})?$")],
]
POD_LABELS: Final[dict[str, Any]] = {
    "x-kubernetes-validations": [
        rule(
            f"self.all(key, key.size() <= 316 && key.matches(r'{_LABEL_KEY}'))",
            "keys must be names of labels, as in app.kubernetes.io/name",
        )
    ]
}
