"""Kubernetes quantities as exact numbers, and back in a form the API server keeps as it is.

Grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from fractions import Fraction
from typing import Final

# What a spec may say: exponents are left out, for nobody writes memory as 1e9 by hand.
_POSITIVE: Final = r"([0-9]*[1-9][0-9]*(\.[0-9]+)?|[0-9]+\.[0-9]*[1-9][0-9]*)"
_MULTIPLES: Final = "k|M|G|T|P|Ki|Mi|Gi|Ti|Pi"
QUANTITY_PATTERN: Final = rf"^[0-9]+(\.[0-9]+)?(m|{_MULTIPLES})?$"
POSITIVE_PATTERN: Final = rf"^{_POSITIVE}(m|{_MULTIPLES})?$"
# 512m of memory is half a byte, and always a slip of the pen.
SIZE_PATTERN: Final = rf"^{_POSITIVE}({_MULTIPLES})?$"

# What anybody may have written into an object, and the API server takes.
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


def parse(text: str | int) -> Fraction:
    """The amount in its base unit (cores, bytes, pieces), by Kubernetes' whole grammar but for
    negative amounts. Raises ValueError for anything else."""
    parts = _PARTS.fullmatch(str(text))
    if parts is None or (parts["suffix"] or "") not in _SUFFIX:
        raise ValueError(f"{text!r} is not a quantity; write for example 500m, 2, 512Mi or 10Gi")
    return Fraction(parts["number"]) * (
        Fraction(10) ** int(parts["exponent"])
        if parts["exponent"]
        else _SUFFIX[parts["suffix"] or ""]
    )


def cores(amount: Fraction) -> str:
    """CPU as the API server writes it: whole cores, or thousandths with an m."""
    millis = -(-amount * 1000 // 1)
    return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"


def size(amount: Fraction) -> str:
    """Bytes with the largest binary suffix that divides them evenly."""
    whole = int(-(-amount // 1))
    for power, suffix in reversed([*enumerate(_BINARY, start=1)]):
        if whole and whole % 1024**power == 0:
            return f"{whole // 1024**power}{suffix}"
    return str(whole)


def same(left: object, right: object) -> bool:
    """Whether two quantities are the same amount, however they are written (2000m is 2)."""
    if not isinstance(left, str | int) or not isinstance(right, str | int):
        return False
    try:
        return parse(left) == parse(right)
    except ValueError:
        return False
