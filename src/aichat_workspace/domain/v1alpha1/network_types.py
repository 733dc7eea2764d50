"""Types of address ranges, ports and the labels of pods, with the patterns that are checked."""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from aichat_workspace.domain.v1alpha1.field_types import LABEL_KEYS, LabelKey, LabelValue

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
Port = Annotated[int, Field(ge=1, le=65535)]
PodLabels = dict[LabelKey, LabelValue]
POD_LABELS: Final[dict[str, Any]] = {"x-kubernetes-validations": [LABEL_KEYS]}
