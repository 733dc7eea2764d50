"""The key that encrypts browsers' sessions with the API; the leader creates it if it is missing.

The API can read Secrets and create none. To end all sessions, delete the Secret: the API's replicas
follow within a minute.
"""

import base64
import secrets
from contextlib import suppress
from typing import Final, NoReturn

import structlog

from aichat_workspace.domain import names
from aichat_workspace.kube.errors import AlreadyExistsError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.records.keeping import keep
from aichat_workspace.operator.writer import Writer

_KEY_BYTES: Final = 48
_log: Final = structlog.get_logger()


async def maintain(writer: Writer, caches: Caches) -> NoReturn:
    """Create the key whenever it is missing, until cancelled. Log a fault and try again."""

    async def create_missing() -> None:
        if caches.secrets.get(names.SYSTEM_NAMESPACE, names.API_SESSION) is None:
            await _create(writer)

    await keep("keeping the key for sessions", caches.session_key_moved, create_missing)


def manifest() -> Json:
    """Return the Secret, with a new key from the operating system's randomness."""
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.API_SESSION,
            "namespace": names.SYSTEM_NAMESPACE,
            "labels": {names.MANAGED_BY_LABEL: names.OPERATOR},
        },
        "type": "Opaque",
        "immutable": True,
        "data": {names.SESSION_KEY: key},
    }


async def _create(writer: Writer) -> None:
    with suppress(AlreadyExistsError):  # the watch has not reported it yet
        await writer.create_secret(manifest())
        _log.info("key for sessions made", secret=names.API_SESSION)
