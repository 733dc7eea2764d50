"""Randomness for a workspace's credentials."""

import secrets
from typing import Final

from aichat_workspace.domain.decision.snapshot import NewSecrets

_KEY_BYTES: Final = 48
_PASSWORD_BYTES: Final = 18


def new_secrets() -> NewSecrets:
    """Draw from the operating system's randomness."""
    return NewSecrets(
        secret_key=secrets.token_urlsafe(_KEY_BYTES),
        admin_password=secrets.token_urlsafe(_PASSWORD_BYTES),
        scim_token=secrets.token_urlsafe(_KEY_BYTES),
    )
