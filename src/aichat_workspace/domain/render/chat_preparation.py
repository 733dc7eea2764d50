"""Render the init container that prepares a chat's data before Open WebUI starts.

- It keeps the chat from starting before a restore has ended (backup/swap.py).
- It copies the data before another image may migrate them, and puts the copy back for an image that
  is too old for them (docs/decisions/0050-a-copy-before-each-upgrade.md).
- It sets the first administrator's password and address whenever the Secret has changed since its
  last run. A password that the person has changed stays while the Secret is the same. Sessions end
  with the old password (`session_stamp`, where the version of Open WebUI has it).
"""

from pathlib import Path
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.render.containers import env

SCRIPT: Final = (Path(__file__).parent / "scripts" / "prepare_chat.py").read_text("utf-8")


def container(chat: dict[str, Any], secrets: list[dict[str, Any]], data: str) -> dict[str, Any]:
    """Render it, with the `chat` container's image, rights and volumes."""
    shared = ("image", "imagePullPolicy", "resources", "securityContext", "volumeMounts")
    return {
        "name": names.PREPARATION,
        **{key: chat[key] for key in shared},
        "command": ["python3", "-c", SCRIPT],
        # Why it stops is shown in the workspace's status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "env": [
            *env(
                DATA_DIR=data,
                CHAT_IMAGE=chat["image"],
                RESTORE_STAGING=names.RESTORE_STAGING,
                UPGRADE_COPY=names.UPGRADE_COPY,
            ),
            *secrets,
        ],
    }
