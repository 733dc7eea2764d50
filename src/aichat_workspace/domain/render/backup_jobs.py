"""Render the runs of the backup program: by a schedule, once, and for a restore.

What the program does, and what its variables mean: docs/backup.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.kinds import VOLUME_SNAPSHOT
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.backups import ACCESS_KEY, PASSPHRASE, SECRET_KEY
from aichat_workspace.domain.policy.effective_spec import BackupShare
from aichat_workspace.domain.render.components import BACKUP, OPENWEBUI
from aichat_workspace.domain.render.containers import container_security, env
from aichat_workspace.domain.render.context import (
    Backups,
    DataRun,
    NewSnapshot,
    RestoredVolume,
    Tenant,
)
from aichat_workspace.domain.render.openwebui import DATA, data_security
from aichat_workspace.domain.render.placement import placement
from aichat_workspace.domain.render.ways_out import with_ways_out
from aichat_workspace.domain.v1alpha1.backup import VolumeStore

PROGRAM: Final = "aichat-workspace-backup"
_CREDENTIALS: Final = "/credentials"
_VOLUME: Final = "/backups"
_RESTORED: Final = "/restored"
_TEMPORARY: Final = "/tmp"  # noqa: S108  (a mount of its own)
_FOLDERS: Final = {"BACKUP_DATA": DATA, "BACKUP_SCRATCH": _TEMPORARY}
# The longest time that a run may take: 300 GB at 20 MB a second need four hours.
_DEADLINE_SECONDS: Final = 6 * 3600
# A run that was due while the cluster was down is made up for, as long after that.
_STARTING_DEADLINE_SECONDS: Final = 6 * 3600
_TTL_SECONDS: Final = 24 * 3600
_RETRIES: Final = 2
# A restore that is killed has to be run again, else the chat stays stopped.
_RESTORE_RETRIES: Final = 6
_FAILED: Final = 1


def render(tenant: Tenant) -> Iterator[Manifest]:
    """Yield what backs the chat up; nothing where the workspace asks for no backups."""
    backups, spec = tenant.backups, tenant.spec.backup
    if backups is None:
        return
    if volume := backups.claimed:
        yield _claim(tenant, volume)
    if backups.restored:
        yield _restored_claim(tenant, *backups.restored)
    if backups.restore:
        reading = backups.reading_origin()
        yield _restore(replace(tenant, backups=reading), reading, backups.restore)
    if backups.new_snapshot:
        yield _snapshot(tenant, backups.new_snapshot)
    if spec is None or backups.destination is None:
        return
    if spec.schedule:
        yield _cron_job(tenant, backups, spec.schedule, spec.time_zone)
    if backups.is_requested:
        run = tenant.manifest(
            "batch/v1",
            "Job",
            names.backup_run(tenant.name, spec.request),
            BACKUP,
            spec={
                **_backup_spec(tenant, backups, is_beside_chat=not tenant.spec.suspended),
                "ttlSecondsAfterFinished": _TTL_SECONDS,
            },
        )
        yield {**run, "metadata": {**run["metadata"], "annotations": _marks(backups)}}


def _marks(backups: Backups) -> dict[str, str]:
    """Return the annotations that say which destination a run's backup goes to, and that a snapshot
    follows it."""
    return {
        names.DESTINATION_ANNOTATION: backups.destination.name if backups.destination else "",
        **(
            {names.SNAPSHOT_CLASS_ANNOTATION: backups.snapshot_class}
            if backups.snapshot_class
            else {}
        ),
    }


def _backup_spec(tenant: Tenant, backups: Backups, *, is_beside_chat: bool) -> dict[str, Any]:
    """Return the spec of a run that makes a backup, or that comes before a snapshot."""
    is_snapshot = backups.snapshot is not None
    return job_spec(
        tenant,
        backups,
        ["check" if is_snapshot else "create"],
        is_beside_chat=is_beside_chat,
        uses_store=not is_snapshot,
    )


def job_spec(
    tenant: Tenant,
    backups: Backups,
    arguments: Sequence[str],
    *,
    source: str | None = None,
    is_beside_chat: bool,
    uses_store: bool = True,
    restored_claim: str | None = None,
    retries: int = _RETRIES,
) -> dict[str, Any]:
    """Return the spec of a Job that runs the program with these arguments.

    `source` is the workspaceName of another workspace of the team whose folder of a bucket is read.
    With `is_beside_chat` the pod runs where the chat's does, whose volume one node has at a time;
    it waits while that has no node. Without `uses_store` it needs nothing of a store. The volume of
    `restored_claim` is there to be read.
    """
    metadata = tenant.platform.pods.metadata
    annotations = {"annotations": dict(metadata.annotations)} if metadata.annotations else {}
    where = placement(tenant.spec, tenant.platform, BACKUP)
    if is_beside_chat:
        where["affinity"] = {**where.get("affinity", {}), **_beside_chat(tenant)}
    template = {
        "metadata": {
            "labels": {**metadata.labels, **tenant.labels(names.backup(tenant.name), BACKUP)},
            **annotations,
        },
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": tenant.openwebui,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": data_security(tenant.platform),
            "containers": [
                _container(tenant, backups, arguments, source, uses_store, restored_claim)
            ],
            **where,
            "volumes": _volumes(tenant, backups if uses_store else None, restored_claim),
        },
    }
    return {
        "backoffLimit": retries,
        "activeDeadlineSeconds": _DEADLINE_SECONDS,
        "template": with_ways_out(tenant, BACKUP, template),
    }


def _restore(tenant: Tenant, backups: Backups, run: DataRun) -> Manifest:
    """Render the Job that replaces the chat's data. One whose program says that it failed, with the
    old data in place, does not try again; one that was killed does."""
    rule = {
        "action": "FailJob",
        "onExitCodes": {"containerName": BACKUP, "operator": "In", "values": [_FAILED]},
    }
    claim = backups.restored[0] if backups.restored else None
    spec = job_spec(
        tenant,
        backups,
        (*run.arguments, "--folder", _RESTORED) if claim else run.arguments,
        source=run.source,
        is_beside_chat=False,
        uses_store=run.source is not None and claim is None,
        restored_claim=claim,
        retries=_RESTORE_RETRIES,
    )
    return tenant.manifest(
        "batch/v1", "Job", run.name, BACKUP, spec={**spec, "podFailurePolicy": {"rules": [rule]}}
    )


def _snapshot(tenant: Tenant, snapshot: NewSnapshot) -> Manifest:
    """Render the VolumeSnapshot. It says what the chat was, and how many snapshots are to stay."""
    keep = tenant.spec.backup.keep if tenant.spec.backup else 0
    manifest = tenant.manifest(
        VOLUME_SNAPSHOT.api_version,
        VOLUME_SNAPSHOT.kind,
        snapshot.name,
        BACKUP,
        spec={
            "volumeSnapshotClassName": snapshot.class_name,
            "source": {"persistentVolumeClaimName": tenant.openwebui},
        },
    )
    marks = {
        names.IMAGE_ANNOTATION: tenant.image(OPENWEBUI),
        **({names.KEEP_ANNOTATION: str(keep)} if keep else {}),
    }
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": marks}}


def _restored_claim(tenant: Tenant, name: str, volume: RestoredVolume) -> Manifest:
    class_name = volume.storage_class_name
    return tenant.manifest(
        "v1",
        "PersistentVolumeClaim",
        name,
        BACKUP,
        spec={
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": volume.size}},
            "dataSource": {
                "apiGroup": VOLUME_SNAPSHOT.group,
                "kind": VOLUME_SNAPSHOT.kind,
                "name": volume.snapshot,
            },
            **({"storageClassName": class_name} if class_name else {}),
        },
    )


def _claim(tenant: Tenant, volume: VolumeStore) -> Manifest:
    class_name = (
        volume.storage_class_name
        or tenant.spec.storage.open_webui.storage_class_name
        or tenant.platform.storage_class_name
    )
    return tenant.manifest(
        "v1",
        "PersistentVolumeClaim",
        names.backups(tenant.name),
        BACKUP,
        spec={
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": volume.size}},
            **({"storageClassName": class_name} if class_name else {}),
        },
    )


def _cron_job(tenant: Tenant, backups: Backups, schedule: str, time_zone: str) -> Manifest:
    """A suspended workspace's data do not change, so its runs are suspended, too."""
    name = names.backup(tenant.name)
    return tenant.manifest(
        "batch/v1",
        "CronJob",
        name,
        BACKUP,
        spec={
            "schedule": schedule,
            "timeZone": time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": _STARTING_DEADLINE_SECONDS,
            "suspend": tenant.spec.suspended or tenant.stops_chat,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": {
                    "labels": tenant.labels(name, BACKUP),
                    "annotations": _marks(backups),
                },
                "spec": _backup_spec(tenant, backups, is_beside_chat=True),
            },
        },
    )


def _container(
    tenant: Tenant,
    backups: Backups,
    arguments: Sequence[str],
    source: str | None,
    uses_store: bool,
    restored_claim: str | None,
) -> dict[str, Any]:
    share = BackupShare()
    size = tenant.share(OPENWEBUI).storage
    return {
        "name": BACKUP,
        "image": backups.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [PROGRAM],
        "args": list(arguments),
        "env": [
            *(_settings(tenant, backups, source) if uses_store else env(**_FOLDERS)),
            *(_secret_settings(tenant, backups) if uses_store else ()),
        ],
        "resources": {
            "requests": {
                "cpu": share.cpu_request,
                "memory": share.memory_request,
                "ephemeral-storage": "64Mi",
            },
            # A copy of a database is on the node's disk for a while.
            "limits": {
                "cpu": share.cpu_limit,
                "memory": share.memory_limit,
                "ephemeral-storage": size,
            },
        },
        "securityContext": container_security(read_only_root=True),
        "volumeMounts": [
            {"name": "data", "mountPath": DATA},
            {"name": "tmp", "mountPath": _TEMPORARY},
            *(_store_mounts(backups) if uses_store else ()),
            # Not the volume: a file system that was not unmounted has to be repaired first.
            *(
                [{"name": "restored", "mountPath": _RESTORED, "readOnly": True}]
                if restored_claim
                else ()
            ),
        ],
    }


def _store_mounts(backups: Backups) -> Iterator[dict[str, Any]]:
    yield {"name": "credentials", "mountPath": _CREDENTIALS, "readOnly": True}
    if backups.volume:
        yield {"name": "backups", "mountPath": _VOLUME}


def _settings(tenant: Tenant, backups: Backups, source: str | None) -> list[dict[str, Any]]:
    keep = {"BACKUP_KEEP": str(tenant.spec.backup.keep)} if tenant.spec.backup else {}
    return env(
        BACKUP_STORE=_store(tenant, backups, source),
        BACKUP_CREDENTIALS=_CREDENTIALS,
        BACKUP_WORKSPACE=backups.resource,
        BACKUP_OPEN_WEBUI=tenant.image(OPENWEBUI),
        **_FOLDERS,
        **keep,
        **_bucket(backups),
    )


def _bucket(backups: Backups) -> dict[str, str]:
    store = backups.s3
    return {"AWS_ENDPOINT_URL_S3": store.endpoint, "AWS_REGION": store.region} if store else {}


def _store(tenant: Tenant, backups: Backups, source: str | None) -> str:
    """Return the folder of the workspace, or of the one that it is a clone of.

    TEAM is always its own namespace: no team reads another's chats.
    """
    store = backups.s3
    if store is None:
        return f"file://{_VOLUME}/{tenant.name}"
    parts = (store.bucket, store.prefix, backups.team, source or tenant.name)
    return f"s3://{'/'.join(filter(None, parts))}"


def _secret_settings(tenant: Tenant, backups: Backups) -> list[dict[str, Any]]:
    variables = [PASSPHRASE, *((ACCESS_KEY, SECRET_KEY) if backups.s3 else ())]
    name = tenant.copy_name(backups.keys)
    return [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": variable}}}
        for variable in variables
    ]


def _volumes(
    tenant: Tenant, backups: Backups | None, restored_claim: str | None
) -> list[dict[str, Any]]:
    size = tenant.share(OPENWEBUI).storage
    claims = {"data": tenant.openwebui}
    if backups and backups.volume:
        claims["backups"] = names.backups(tenant.name)
    if restored_claim:
        claims["restored"] = restored_claim
    return [
        *(
            {"name": name, "persistentVolumeClaim": {"claimName": claim}}
            for name, claim in claims.items()
        ),
        {"name": "tmp", "emptyDir": {"sizeLimit": size}},
        *([{"name": "credentials", "secret": {"secretName": tenant.secret}}] if backups else ()),
    ]


def _beside_chat(tenant: Tenant) -> dict[str, Any]:
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": tenant.selector(OPENWEBUI)},
    }
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
