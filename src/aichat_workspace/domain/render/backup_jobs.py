"""Render the runs of the backup program: by a schedule, once, and for a restore.

What the program does, and what its variables mean: docs/backup.md.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.backups import ACCESS_KEY, PASSPHRASE, SECRET_KEY
from aichat_workspace.domain.policy.effective_spec import BackupShare
from aichat_workspace.domain.policy.secret_references import BACKUP as BACKUP_KEYS
from aichat_workspace.domain.render.components import BACKUP, OPENWEBUI
from aichat_workspace.domain.render.containers import container_security, env
from aichat_workspace.domain.render.context import Backups, DataRun, Tenant
from aichat_workspace.domain.render.openwebui import DATA, data_security
from aichat_workspace.domain.render.placement import placement
from aichat_workspace.domain.render.ways_out import with_ways_out
from aichat_workspace.domain.v1alpha1.backup import VolumeStore

PROGRAM: Final = "aichat-workspace-backup"
_CREDENTIALS: Final = "/credentials"
_VOLUME: Final = "/backups"
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
    if volume := backups.volume:
        yield _claim(tenant, volume)
    if backups.restore:
        yield _restore(tenant, backups, backups.restore)
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
                **job_spec(tenant, backups, ["create"], is_beside_chat=not tenant.spec.suspended),
                "ttlSecondsAfterFinished": _TTL_SECONDS,
            },
        )
        yield {**run, "metadata": {**run["metadata"], "annotations": _destination(backups)}}


def _destination(backups: Backups) -> dict[str, str]:
    """Return the annotation that says which destination a run's result lists."""
    return {names.DESTINATION_ANNOTATION: backups.destination.name if backups.destination else ""}


def job_spec(
    tenant: Tenant,
    backups: Backups,
    arguments: Sequence[str],
    *,
    source: str | None = None,
    is_beside_chat: bool,
    uses_store: bool = True,
    retries: int = _RETRIES,
) -> dict[str, Any]:
    """Return the spec of a Job that runs the program with these arguments.

    `source` is the workspaceName of another workspace of the team whose folder of a bucket is read.
    With `is_beside_chat` the pod runs where the chat's does, whose volume one node has at a time;
    it waits while that has no node. Without `uses_store` it needs nothing of a store.
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
            "containers": [_container(tenant, backups, arguments, source, uses_store)],
            **where,
            "volumes": _volumes(tenant, backups if uses_store else None),
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
    spec = job_spec(
        tenant,
        backups,
        run.arguments,
        source=run.source,
        is_beside_chat=False,
        uses_store=run.source is not None,
        retries=_RESTORE_RETRIES,
    )
    return tenant.manifest(
        "batch/v1", "Job", run.name, BACKUP, spec={**spec, "podFailurePolicy": {"rules": [rule]}}
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
                    "annotations": _destination(backups),
                },
                "spec": job_spec(tenant, backups, ["create"], is_beside_chat=True),
            },
        },
    )


def _container(
    tenant: Tenant, backups: Backups, arguments: Sequence[str], source: str | None, uses_store: bool
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
    name = tenant.copy_name(BACKUP_KEYS)
    return [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": variable}}}
        for variable in variables
    ]


def _volumes(tenant: Tenant, backups: Backups | None) -> list[dict[str, Any]]:
    size = tenant.share(OPENWEBUI).storage
    claims = {"data": tenant.openwebui}
    if backups and backups.volume:
        claims["backups"] = names.backups(tenant.name)
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
