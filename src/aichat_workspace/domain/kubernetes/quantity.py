"""Kubernetes quantities as exact numbers, and back in a form the API server keeps as it is.

Grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

# A spec may have no exponents: people don't write memory as 1e9.
_POSITIVE: Final = r"([0-9]*[1-9][0-9]*(\.[0-9]+)?|[0-9]+\.[0-9]*[1-9][0-9]*)"
_MULTIPLES: Final = "k|M|G|T|P|Ki|Mi|Gi|Ti|Pi"
QUANTITY_PATTERN: Final = rf"^[0-9]+(\.[0-9]+)?(m|{_MULTIPLES})?$"
POSITIVE_PATTERN: Final = rf"^{_POSITIVE}(m|{_MULTIPLES})?$"
# 512m of memory is half a byte, which is always a typing error.
SIZE_PATTERN: Final = rf"^{_POSITIVE}({_MULTIPLES})?$"

# An object may have any of the suffixes that the API server accepts.
_BINARY: Final = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_SUFFIX: Final = {
    "": Fraction(1),
    **{s: Fraction(1, 1000**power) for power, s in enumerate(("m", "u", "n"), start=1)},
    **{s: Fraction(1000**power) for power, s in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
    **{s: Fraction(1024**power) for power, s in enumerate(_BINARY, start=1)},
}
_PARTS: Final = re.compile(
    r"\+?(?P<number>[0-9]+(\.[0-9]*)?|\.[0-9]+)"
    r"([eE](?P<exponent>[+-]?[0-9]{1,3})|(?P<suffix>[A-Za-z]*))"
)


@lru_cache(4096)
def parse(text: str | int) -> Fraction:
    """Return the amount in its base unit: cores, bytes or pieces.

    Reads Kubernetes' whole grammar except negative amounts. Raises ValueError for anything else.
    """
    parts = _PARTS.fullmatch(str(text))
    if parts is None or (parts["suffix"] or "") not in _SUFFIX:
        raise ValueError(f"{text!r} is not a quantity; write for example 500m, 2, 512Mi or 10Gi")
    return Fraction(parts["number"]) * (
        Fraction(10) ** int(parts["exponent"])
        if parts["exponent"]
        else _SUFFIX[parts["suffix"] or ""]
    )


def cores(amount: Fraction) -> str:
    """Write CPU as the API server does: whole cores, or thousandths with an m. Rounds up."""
    millis = -(-amount * 1000 // 1)
    return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"


def size(amount: Fraction) -> str:
    """Write bytes with the largest binary suffix that divides them evenly. Rounds up."""
    whole = int(-(-amount // 1))
    for power, suffix in reversed([*enumerate(_BINARY, start=1)]):
        if whole and whole % 1024**power == 0:
            return f"{whole // 1024**power}{suffix}"
    return str(whole)


def same(first: object, second: object) -> bool:
    """Whether two quantities are the same amount, however they are written (2000m is 2)."""
    if not isinstance(first, str | int) or not isinstance(second, str | int):
        return False
    try:
        return parse(first) == parse(second)
    except ValueError:
        return False
