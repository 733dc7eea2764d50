"""The login of a registry: from flags, or from the file that `docker login` writes.

https://docs.docker.com/reference/cli/docker/login/#authentication
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aichat_workspace.foundation.image_names import DOCKER_HUB
from aichat_workspace.oci.errors import Cause, OciError

_DOCKER_HUB_KEY: Final = "https://index.docker.io/v1/"
_MEND: Final = "mend it, or name another folder in DOCKER_CONFIG"


@dataclass(frozen=True, slots=True)
class Login:
    """A user of a registry, and their password or token."""

    user: str
    password: str

    def __repr__(self) -> str:
        """Leave the password out."""
        return f"Login({self.user!r})"

    @property
    def basic(self) -> str:
        """Return the Authorization header (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


def docker_config(environment: Mapping[str, str], home: Path) -> Path:
    """Return the file that `docker login` writes."""
    return Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"


def read_login(path: Path, registry: str) -> Login | None:
    """Return the login of a registry (host or host:port) in Docker's file; None where it has none.

    Raises:
        OciError: the file can't be read, or has the password in a credential helper; then the cause
            is LOGIN, and the caller knows whether there is another way to name it.
    """
    try:
        document = json.loads(path.read_text())
        auths = document.get("auths") or {}
        helper = (document.get("credHelpers") or {}).get(registry) or document.get("credsStore")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise OciError(f"{path} can't be read", str(error), _MEND, Cause.INPUT) from error
    key = next((key for key in _keys(registry) if key in auths), None)
    if key is None:
        return None
    encoded = auths[key].get("auth")
    if not encoded:
        if helper:
            why = f"the password is in Docker's credential helper {helper}"
            raise OciError(f"{path} has no password of {registry}", why, cause=Cause.LOGIN)
        return None
    try:
        user, colon, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise OciError(
            f"{path} has an unreadable login of {registry}", str(error), _MEND, Cause.INPUT
        ) from error
    return Login(user, password) if colon else None


def _keys(registry: str) -> tuple[str, ...]:
    hub = (_DOCKER_HUB_KEY,) if registry == DOCKER_HUB else ()
    return (*hub, registry, f"https://{registry}", f"http://{registry}")
