"""The platform's settings and Secrets of the tests of backups."""

import base64
from typing import Any

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.backups import resource_text
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy import backups
from aichat_workspace.domain.policy.secret_references import BACKUP
from aichat_workspace.domain.render import Backups, render
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from tests.unit.domain.samples import CREDENTIALS

IMAGE = "registry.example.org/aichat-workspace-operator:0.1.0"
BUCKET = {
    "name": "bucket",
    "allowedTeams": ["team-a", names.SYSTEM_NAMESPACE],
    "s3": {"endpoint": "https://s3.example.org:9000", "bucket": "chats", "secretName": "keys"},
}
SNAPSHOT = {"name": "snapshots", "snapshot": {"volumeSnapshotClassName": ""}}
VOLUME = {"name": "volume", "volume": {"size": "20Gi", "storageClassName": "slow"}}


def platform(*, store: dict[str, Any] | None = None, **backup: Any) -> PlatformSpec:
    """Return settings with a bucket, with `store` changed in it, and a volume."""
    bucket = {**BUCKET, "s3": {**BUCKET["s3"], **(store or {})}}  # type: ignore[dict-item]
    settings = {
        "destinations": [bucket, VOLUME],
        "passphraseSecretName": "sealing",
        **backup,
    }
    return PlatformSpec.model_validate({"backup": settings})


def _secret(**data: str) -> Manifest:
    return {
        "metadata": {"annotations": {names.SECRET_FOR_ANNOTATION: "*"}},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


PLATFORM = platform()
SNAPSHOTS = PlatformSpec.model_validate({"backup": {"destinations": [SNAPSHOT]}})
"""Settings with snapshots of the chat's volume, and no Secret at all."""
SECRETS: dict[str, Manifest] = {
    "keys": _secret(accessKeyID="access", secretAccessKey="secret"),
    "sealing": _secret(passphrase="correct horse battery"),
}


def render_backups(
    workspace: Workspace, settings: PlatformSpec = PLATFORM, *, is_requested: bool = False
) -> tuple[Manifest, ...]:
    """Return all objects of a workspace that asks for backups."""
    place, _ = backups.destination(workspace.spec, workspace.namespace, settings)
    assert place is not None
    secret, _ = backups.resolve_secret(place, settings.backup, SECRETS.get)
    assert secret is not None
    of_backups = Backups(place, IMAGE, "team-a", resource_text(workspace), is_requested)
    return render(workspace, settings, CREDENTIALS, {BACKUP: secret}, backups=of_backups)
