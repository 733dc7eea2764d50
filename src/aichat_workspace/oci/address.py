"""Where a registry is, as people name it."""

import re
from dataclasses import dataclass
from typing import Final

from aichat_workspace.oci.errors import Cause, OciError

# As the platform's fields for registries and the mirror read them.
_PATTERN: Final = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<registry>[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?)"
    r"(?:/(?P<path>[a-z0-9]([a-z0-9./_-]*[a-z0-9])?))?/?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A registry, and a path in it."""

    registry: str
    """As host or host:port."""
    path: str = ""
    is_plain: bool = False
    """Whether it speaks HTTP without TLS."""

    def __str__(self) -> str:
        """Return registry and path, as image names begin."""
        return f"{self.registry}/{self.path}" if self.path else self.registry


def parse_address(text: str) -> Address:
    """Read ``[http://]host[:port][/path]``.

    Raises:
        OciError: it is of another form.
    """
    parts = _PATTERN.fullmatch(text)
    if parts is None:
        raise OciError(
            f"{text!r} is no registry",
            "",
            "write HOST[:PORT][/PATH] in lower case, as mirror.example.org/upstream, "
            "or http://HOST:PORT for one without TLS",
            Cause.INPUT,
        )
    return Address(parts["registry"], parts["path"] or "", parts["scheme"] == "http")
