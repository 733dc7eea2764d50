"""Paths of this site: a link or a redirect must not lead elsewhere."""

import re
from typing import Final

# A second slash or a backslash would make it another host's; browsers drop tabs and line ends.
_LOCAL: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")


def is_local(path: str) -> bool:
    """Return whether a browser that is sent there stays on this site."""
    return _LOCAL.fullmatch(path) is not None
