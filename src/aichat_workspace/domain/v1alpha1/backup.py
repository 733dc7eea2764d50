"""Backups of chats: where the platform lets them go, what a workspace asks for, and what is there.

An archive and its name are aichat_workspace.backup's; docs/decisions/0049-spec-backup.md says why
fields are as they are.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, StringConstraints

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import (
    DNS_LABELS,
    ONE_LINE,
    SET,
    ByteSize,
    DnsLabel,
    DnsName,
    HttpsUrl,
)
from aichat_workspace.domain.v1alpha1.network_settings import Addresses, Namespaces, Peers
from aichat_workspace.domain.v1alpha1.network_types import IPV4, Port
from aichat_workspace.domain.v1alpha1.sign_in import FOR_ALL_WORKSPACES

MAX_DESTINATIONS: Final = 8
MAX_KEPT: Final = 100
MAX_LISTED: Final = 20
MAX_INTERRUPTIONS: Final = 2
"""From so many on somebody has to look why a restore does not end."""
_MESSAGE_LENGTH: Final = 1024

# Five fields of numbers, names, lists, ranges and steps, or one of the words; the API server checks
# the rest: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
_CRON_FIELD: Final = r"[A-Za-z0-9*?/,-]+"
_CRON_WORD: Final = "@(yearly|annually|monthly|weekly|daily|midnight|hourly)"
_CRON: Final = rf"^(|{_CRON_WORD}|{_CRON_FIELD}( {_CRON_FIELD}){{4}})$"
_TIME_ZONE: Final = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"
_BUCKET: Final = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
_PREFIX: Final = r"^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$"
_REGION: Final = r"^[a-z0-9-]{1,32}$"
BACKUP_NAME_PATTERN: Final = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}"
"""All names that the backup program gives: the time, and eight hexadecimal digits."""

_FOR_ALL: Final = f"the annotation {names.SECRET_FOR_ANNOTATION}: '{FOR_ALL_WORKSPACES}'"
RequestText = Annotated[str, StringConstraints(max_length=64)]
BackupName = Annotated[str, StringConstraints(max_length=32, pattern=f"^{BACKUP_NAME_PATTERN}$")]
_ONE_STORE: Final[dict[str, Any]] = {
    "x-kubernetes-validations": [
        rule(
            "[has(self.s3), has(self.volume), has(self.snapshot)].filter(kind, kind).size() == 1",
            "a destination is either s3, volume or snapshot",
        )
    ]
}


def _cut(text: object) -> object:
    """Cut texts of other programs, which may be longer than a status allows."""
    return text[:_MESSAGE_LENGTH] if isinstance(text, str) else text


class S3Store(Peers):
    """A bucket of an S3-compatible store.

    A network policy can't name a host. Without addresses and namespaces runs reach everything
    outside of the cluster on the endpoint's port, as the chat's other ways out do.
    """

    endpoint: HttpsUrl = Field(
        description="Where the store is, without the bucket, as https://s3.example.org."
    )
    bucket: Annotated[str, StringConstraints(max_length=63, pattern=_BUCKET)] = Field(
        description="The bucket; it has to be there."
    )
    prefix: Annotated[str, StringConstraints(max_length=200, pattern=_PREFIX)] = Field(
        default="",
        description="What names in the bucket begin with; below it each workspace has a folder, as "
        "TEAM/WORKSPACE/.",
    )
    region: Annotated[str, StringConstraints(max_length=32, pattern=_REGION)] = Field(
        default="us-east-1", description="The region that requests are signed for."
    )
    secret_name: DnsName = Field(
        description="A Secret in the system namespace with the keys accessKeyID and "
        "secretAccessKey, which may list, read, write and delete below the prefix, and "
        f"{_FOR_ALL}. Jobs in the workspaces' namespaces get copies, and pods of chats do not."
    )
    namespaces: Namespaces = Field(
        default=(),
        description="Namespaces of the store's pods, when it runs in the cluster. It is then "
        "reached directly, also where there is a proxy.",
    )
    addresses: Addresses = Field(
        default=(),
        description="The store's addresses. It is then reached directly, and nothing else is. "
        "Without them, and without namespaces, runs reach every host outside of the cluster on "
        "the endpoint's port, or the proxy. An endpoint that is an address needs none.",
    )
    ports: tuple[Port, ...] = Field(
        default=(),
        max_length=8,
        description="Ports of the store's pods; the endpoint's when left out.",
        json_schema_extra=SET,
    )

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.endpoint).port or 443

    @property
    def ranges(self) -> tuple[str, ...]:
        """The ranges of its addresses; that of the endpoint where none are listed."""
        is_address = re.fullmatch(IPV4, self.host)
        return self.addresses or ((f"{self.host}/32",) if is_address else ())

    @property
    def is_direct(self) -> bool:
        """Whether policies name it, so that no proxy is needed to reach it."""
        return bool(self.ranges or self.namespaces)


class VolumeStore(Schema):
    """A volume of each workspace, in its namespace: it ends with the namespace."""

    size: ByteSize = Field(
        description="Its size. It needs room in the workspace's quota. The volume stays when "
        "spec.backup is taken out: the platform team deletes its claim."
    )
    storage_class_name: DnsName | None = Field(
        default=None, description="Its StorageClass; as the chat's when left out."
    )


class SnapshotStore(Schema):
    """Snapshots of the chat's volume, which its CSI driver makes: VolumeSnapshots in the
    workspace's namespace, which end with it."""

    # Required, although it may be empty: server-side apply takes {} for null the second time.
    volume_snapshot_class_name: Annotated[
        str, StringConstraints(max_length=253, pattern=f"^({DNS_LABELS})?$")
    ] = Field(
        description="Their VolumeSnapshotClass, of the driver of the chat's StorageClass; that "
        'driver\'s default, or else its first by name, when it is empty, as "". What becomes of a '
        "snapshot once its VolumeSnapshot is deleted, the class's deletionPolicy says.",
    )


class DestinationKind(StrEnum):
    """What a destination is; its field in the settings has the same name."""

    S3 = "s3"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"


class BackupDestination(Schema):
    """A store that backups may go to."""

    name: Annotated[DnsLabel, StringConstraints(min_length=1)] = Field(
        description="Its name, for spec.backup.destination of a workspace."
    )
    description: Annotated[str, StringConstraints(max_length=256, pattern=ONE_LINE)] = Field(
        default="", description="What it is for, in one line, for people."
    )
    s3: S3Store | None = Field(default=None, description="A bucket of an S3-compatible store.")
    volume: VolumeStore | None = Field(default=None, description="A volume of each workspace.")
    snapshot: SnapshotStore | None = Field(
        default=None, description="Snapshots of the chat's volume, by its CSI driver."
    )
    allowed_teams: tuple[DnsLabel, ...] = Field(
        default=(),
        max_length=256,
        description="Namespaces of the teams that may choose it; every team when empty.",
        json_schema_extra=SET,
    )

    @property
    def kind(self) -> DestinationKind:
        if self.s3 is not None:
            return DestinationKind.S3
        return DestinationKind.SNAPSHOT if self.volume is None else DestinationKind.VOLUME


class PlatformBackup(Schema):
    """Where backups go, and what seals the credentials in them."""

    destinations: tuple[Annotated[BackupDestination, Field(json_schema_extra=_ONE_STORE)], ...] = (
        Field(
            default=(),
            max_length=MAX_DESTINATIONS,
            description="Stores that backups may go to. The first that a team may choose is that "
            "of its workspaces that name none.",
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        )
    )
    passphrase_secret_name: DnsName | None = Field(
        default=None,
        description="A Secret in the system namespace whose key passphrase, of at least twelve "
        f"characters, seals the credentials in backups; with {_FOR_ALL}. Restores need it: keep it "
        "outside of the cluster, too. Without it there are no backups but snapshots, which have no "
        "credentials.",
    )

    @property
    def secret_names(self) -> frozenset[str]:
        """The Secrets with keys and the passphrase."""
        stores = (entry.s3.secret_name for entry in self.destinations if entry.s3)
        return frozenset(filter(None, (self.passphrase_secret_name, *stores)))


class Backup(Schema):
    """When the chat is backed up, and where to."""

    schedule: Annotated[str, StringConstraints(max_length=100, pattern=_CRON)] = Field(
        default="",
        description="When, as cron writes it: minute, hour, day of the month, month and day of the "
        "week, or @daily. Only on demand when empty.",
        examples=["30 4 * * *"],
    )
    time_zone: Annotated[str, StringConstraints(max_length=64, pattern=_TIME_ZONE)] = Field(
        default="Etc/UTC", description="The time zone of the schedule, as Europe/Paris."
    )
    destination: DnsLabel | None = Field(
        default=None,
        description="One of the platform's destinations by name; its first that the team may "
        "choose when left out.",
    )
    keep: int = Field(
        default=7,
        ge=1,
        le=MAX_KEPT,
        description="How many backups stay, of scheduled and requested ones alike: a new one "
        "prunes older ones.",
    )
    request: RequestText = Field(
        default="",
        description="Any text, as a date. Change it, and a backup is made at once; to take it out "
        "changes nothing.",
    )


class Restore(Schema):
    """The backup that the chat's data come from.

    What it has now is replaced. Once done, it stays done: nothing is restored again.
    """

    backup: BackupName = Field(description="The backup's name, as status.backup lists it.")
    source: DnsLabel | None = Field(
        default=None,
        description="spec.workspaceName of another workspace of the team, whose backup it is: this "
        "one becomes its clone, with a host, keys and an administrator of its own. This workspace "
        "when left out.",
    )
    destination: DnsLabel | None = Field(
        default=None,
        description="The platform's destination that the backup is in, by name; that of "
        "spec.backup when left out.",
    )
    request: RequestText = Field(
        default="",
        description="Any text, as a date. Change it, and the same backup is restored again.",
    )


class BackupEntry(Schema):
    """A backup that is there."""

    name: str = Field(description="Its name, for spec.restore.backup; it begins with its time.")
    size_bytes: int = Field(
        ge=0,
        description="The archive's size; a snapshot's is that of the volume which it needs.",
    )
    open_webui: str = Field(
        default="",
        alias="openWebUI",
        description="Open WebUI's version that made it: restore to this or a newer one.",
    )


class BackupState(StrEnum):
    """How a run goes."""

    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"


def _known(state: object) -> object:
    """Take a state of another version's operator for one that is looked at again."""
    return state if state in {*BackupState} else BackupState.RUNNING


State = Annotated[BackupState, BeforeValidator(_known)]
Message = Annotated[str, StringConstraints(max_length=_MESSAGE_LENGTH), BeforeValidator(_cut)]


class BackupRecord(Schema):
    """The backups of the workspace, as its runs told of them."""

    state: State | None = Field(
        default=None,
        description="How the last run went: Running, Done or Failed; left out before the first.",
    )
    run: str = Field(default="", max_length=63, description="The name of the last run's Job.")
    finished_at: datetime | None = Field(default=None, description="When the last run ended.")
    succeeded_at: datetime | None = Field(default=None, description="When a backup was last made.")
    reason: str = Field(
        default="", max_length=64, description="Why the last run failed, in one word, or empty."
    )
    message: Message = Field(default="", description="What is wrong and what to do, or empty.")
    destination: str = Field(
        default="", max_length=63, description="The destination that the list below is of."
    )
    request: str = Field(
        default="",
        max_length=64,
        description="The text of spec.backup.request whose run has begun.",
    )
    schedule: str = Field(
        default="",
        max_length=200,
        description="The schedule that runs, with its time zone; empty while none does, as in a "
        "suspended workspace.",
    )
    schedule_since: datetime | None = Field(
        default=None, description="Since when it runs: what was due before is not overdue."
    )
    items: tuple[BackupEntry, ...] = Field(
        default=(),
        max_length=MAX_LISTED,
        description=f"The newest backups, at most {MAX_LISTED}, the newest first.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )


class RestoreRecord(Schema):
    """The last restore."""

    target: Restore = Field(description="spec.restore as it was carried out.")
    state: State = Field(description="How it went: Running, Done or Failed.")
    run: str = Field(default="", max_length=63, description="The name of its Job.")
    started: bool = Field(
        default=False, description="Whether a Job of it ran, which may have touched the data."
    )
    interruptions: int = Field(
        default=0,
        ge=0,
        le=MAX_INTERRUPTIONS,
        description="How many of its Jobs ended without a result, counted up to "
        f"{MAX_INTERRUPTIONS}.",
    )
    finished_at: datetime | None = Field(default=None, description="When it ended.")
    reason: str = Field(
        default="", max_length=64, description="Why it failed, in one word, or empty."
    )
    message: Message = Field(default="", description="What is wrong and what to do, or empty.")
