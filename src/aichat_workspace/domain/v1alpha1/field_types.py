"""Types of fields that several parts of the resources share."""

from typing import Annotated, Any, Final

from pydantic import StringConstraints

from aichat_workspace.domain.kubernetes.quantity import (
    POSITIVE_PATTERN,
    QUANTITY_PATTERN,
    SIZE_PATTERN,
)
from aichat_workspace.domain.models.name import (
    MODEL_NAME_MAX_LENGTH,
    MODEL_NAME_PATTERN,
    PORT_PATTERN,
)
from aichat_workspace.domain.v1alpha1.base import rule

DNS_LABELS: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
LABEL: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL_KEY: Final = rf"^({DNS_LABELS}/)?{LABEL}$"
_DEVICE: Final = rf"^{DNS_LABELS}/{LABEL}$"
LABEL_KEY_LENGTH: Final = 316
_LABEL_VALUE: Final = rf"^({LABEL})?$"
ONE_LINE: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"  # no control characters
SET: Final[dict[str, Any]] = {"x-kubernetes-list-type": "set"}
ATOMIC: Final[dict[str, Any]] = {"x-kubernetes-list-type": "atomic"}  # its order means something

Quantity = Annotated[str, StringConstraints(max_length=20, pattern=QUANTITY_PATTERN)]
Positive = Annotated[str, StringConstraints(max_length=20, pattern=POSITIVE_PATTERN)]
ByteSize = Annotated[str, StringConstraints(max_length=20, pattern=SIZE_PATTERN)]
DnsName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=f"^{DNS_LABELS}$")]
DnsLabel = Annotated[
    str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
ModelText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MODEL_NAME_MAX_LENGTH, pattern=MODEL_NAME_PATTERN),
]
LabelKey = Annotated[
    str, StringConstraints(min_length=1, max_length=LABEL_KEY_LENGTH, pattern=LABEL_KEY)
]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=_LABEL_VALUE)]
HttpsUrl = Annotated[
    str,
    StringConstraints(
        max_length=512,
        pattern=rf"^https://[a-z0-9][a-z0-9.-]*(:({PORT_PATTERN}))?(/[A-Za-z0-9._~/-]*)?$",
    ),
]
DeviceName = Annotated[str, StringConstraints(max_length=128, pattern=_DEVICE)]

# A schema bounds the values of a map, not its keys.
LABEL_KEYS: Final = rule(
    f"self.all(key, key.size() <= {LABEL_KEY_LENGTH} && key.matches(r'{LABEL_KEY}'))",
    "keys must be names of labels, as in example.org/pool",
)
