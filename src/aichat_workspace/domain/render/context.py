"""The tenant that every renderer starts from, and the parts of manifests that they share."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy import effective_spec
from aichat_workspace.domain.policy.platform_secrets import NO_PLATFORM_SECRETS, PlatformSecrets
from aichat_workspace.domain.policy.secret_references import (
    ADMIN,
    TLS,
    ReferencedSecret,
)
from aichat_workspace.domain.policy.secret_references import BACKUP as BACKUP_KEYS
from aichat_workspace.domain.policy.secret_references import RESTORE as RESTORE_KEYS
from aichat_workspace.domain.render.address import workspace_url
from aichat_workspace.domain.render.components import BACKUP, OLLAMA, OPENWEBUI
from aichat_workspace.domain.render.copy_names import AUTHORITIES
from aichat_workspace.domain.render.labels import image_version, workspace_labels
from aichat_workspace.domain.render.placement import placement
from aichat_workspace.domain.v1alpha1.backup import (
    BackupDestination,
    S3Store,
    SnapshotStore,
    VolumeStore,
)
from aichat_workspace.domain.v1alpha1.network_settings import Issuer
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec, Share
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec

_TEMPORARY: Final = "1Gi"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A workspace's generated secrets. No repr has their text."""

    secret_key: str = field(repr=False)
    """Open WebUI signs sessions with it."""
    admin_email: str
    """The first administrator's."""
    admin_password: str = field(repr=False)
    scim_token: str = field(default="", repr=False)
    """The identity provider's for SCIM, of which the tenant has a copy of its own; empty where none
    was ever needed."""

    @property
    def digest(self) -> str:
        """Name the tenant's immutable copy, so that changed contents get a new name."""
        text = "\n".join((self.secret_key, self.admin_email, self.admin_password))
        return hashlib.sha256(text.encode()).hexdigest()[:10]


NO_CREDENTIALS: Final = Credentials("", "", "")
"""For plans that write no object with credentials."""


@dataclass(frozen=True, slots=True)
class DataRun:
    """A run of the backup program that writes the chat's data, which is stopped meanwhile."""

    name: str
    arguments: tuple[str, ...]
    source: str | None
    """The workspace whose folder of the store it reads, by spec.workspaceName; None for a run that
    needs no store."""


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """A VolumeSnapshot of the chat's volume that is to be made now."""

    name: str
    class_name: str


@dataclass(frozen=True, slots=True)
class RestoredVolume:
    """A volume that a VolumeSnapshot is made into, for a restore to copy from."""

    snapshot: str
    """The VolumeSnapshot's name."""
    size: str
    storage_class_name: str | None


@dataclass(frozen=True, slots=True)
class Backups:
    """What runs of the backup program are rendered from."""

    destination: BackupDestination | None
    """None where no backup can be made."""
    image: str
    """The operator's own, which has the program."""
    team: str
    """The namespace of the resource; the first part of the workspace's folder in a bucket."""
    resource: str
    """The AIChatWorkspace as JSON, without what programs write."""
    is_requested: bool = False
    """Whether a run has been asked for that has not begun."""
    restore: DataRun | None = None
    """The run that is to be made now."""
    origin: BackupDestination | None = None
    """What a restore reads; None where none can be made, but for a recovery."""
    keys: str = BACKUP_KEYS
    """The purpose of the Secret with the destination's keys."""
    snapshot_class: str = ""
    """The class of snapshots of the chat's volume, where backups are such."""
    new_snapshot: NewSnapshot | None = None
    restored: tuple[str, RestoredVolume] | None = None
    """The volume that a restore copies from, by the name of its run, as long as that goes on."""

    def reading_origin(self) -> Self:
        """Return what a run is rendered from that reads the origin."""
        return replace(self, destination=self.origin, keys=RESTORE_KEYS)

    @property
    def stores(self) -> tuple[S3Store, ...]:
        """The buckets that runs reach."""
        return tuple(place.s3 for place in self._places if place.s3)

    @property
    def claimed(self) -> VolumeStore | None:
        """The volume that runs use: a workspace has one for all destinations that are one."""
        return next((place.volume for place in self._places if place.volume), None)

    @property
    def _places(self) -> tuple[BackupDestination, ...]:
        places = {place.name: place for place in (self.destination, self.origin) if place}
        return tuple(places.values())

    @property
    def s3(self) -> S3Store | None:
        return self.destination.s3 if self.destination else None

    @property
    def volume(self) -> VolumeStore | None:
        return self.destination.volume if self.destination else None

    @property
    def snapshot(self) -> SnapshotStore | None:
        return self.destination.snapshot if self.destination else None


@dataclass(frozen=True, slots=True)
class Tenant:
    """Everything that a tenant's objects are rendered from."""

    spec: WorkspaceSpec
    platform: PlatformSpec
    credentials: Credentials
    referenced: Mapping[str, ReferencedSecret] = field(default_factory=dict)
    """The Secrets that the workspace refers to, by their purpose."""
    platform_secrets: PlatformSecrets = NO_PLATFORM_SECRETS
    """What every tenant has of the platform's Secrets and authorities."""
    backups: Backups | None = None
    """None where there are none, or none can be made."""
    stops_chat: bool = False
    """Whether the chat has no pod, for another one writes its data."""

    @property
    def name(self) -> str:
        """The workspace's name, which is also the namespace's."""
        return self.spec.workspace_name

    @property
    def ollama(self) -> str:
        return names.ollama(self.name)

    @property
    def openwebui(self) -> str:
        return names.openwebui(self.name)

    @property
    def secret(self) -> str:
        """The name of the tenant's immutable copy of the credentials."""
        return f"{self.openwebui}-{self.credentials.digest}"

    @property
    def host(self) -> str:
        return effective_spec.host(self.spec, self.platform)

    @property
    def replicas(self) -> int:
        return 0 if self.spec.suspended else 1

    @property
    def issuer(self) -> Issuer | None:
        return effective_spec.issuer(self.spec, self.platform)

    @property
    def certificate(self) -> str | None:
        """The name of the tenant's Secret with the host's certificate, existing or to come."""
        if TLS in self.referenced:
            return self.copy_name(TLS)
        return f"{self.openwebui}-{TLS}" if self.issuer else None

    @property
    def copied(self) -> tuple[str, ...]:
        """The purposes of the referenced Secrets that the tenant gets copies of.

        The administrator is part of the credentials, and a Gateway has its own certificates.
        """
        not_copied = {ADMIN, *((TLS,) if self.platform.ingress.gateway else ())}
        return tuple(sorted(self.referenced.keys() - not_copied))

    def copy_name(self, purpose: str) -> str:
        """Return the name of the tenant's immutable copy of a referenced Secret."""
        return f"{self.openwebui}-{purpose}-{self.referenced[purpose].digest}"

    @property
    def authorities(self) -> str:
        """The name of the tenant's immutable copy of the platform's certificate authorities."""
        digest = (
            self.platform_secrets.authorities.digest if self.platform_secrets.authorities else ""
        )
        return f"{self.openwebui}-{AUTHORITIES}-{digest}"

    def share(self, component: str) -> Share:
        if component == OLLAMA:
            return effective_spec.ollama_share(self.spec, self.platform)
        return effective_spec.openwebui_share(self.spec, self.platform)

    @property
    def url(self) -> str:
        return workspace_url(self.spec, self.platform)

    def manifest(
        self, api_version: str, kind: str, name: str, component: str, **body: Any
    ) -> Manifest:
        """Render an object in the tenant's namespace, with its labels."""
        return {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": self.name,
                "labels": self.labels(name, component),
            },
            **body,
        }

    def labels(self, name: str, component: str) -> dict[str, str]:
        """Return the labels of an object.

        An object without an image, as a quota, has our API's version. With the operator's version
        each release would write all tenants' objects again.
        https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
        """
        has_image = component in (OLLAMA, OPENWEBUI, BACKUP)
        version = image_version(self.image(component)) if has_image else names.VERSION
        return {
            **workspace_labels(self.name, name, component),
            "app.kubernetes.io/version": version,
        }

    def image(self, component: str) -> str:
        """Return the component's image, from the mirror where there is one."""
        if component == BACKUP:
            return self.backups.image if self.backups else ""
        ollama, openwebui = self.platform.images.resolved
        return {OLLAMA: ollama, OPENWEBUI: openwebui}[component]

    def selector(self, component: str) -> dict[str, str]:
        """Return the labels that identify a component and never change."""
        return {names.WORKSPACE_LABEL: self.name, names.COMPONENT_LABEL: component}

    def claim(self, name: str, component: str) -> Manifest:
        storage = self.spec.storage
        volume = {OLLAMA: storage.ollama, OPENWEBUI: storage.open_webui}[component]
        class_name = volume.storage_class_name or self.platform.storage_class_name
        return self.manifest(
            "v1",
            "PersistentVolumeClaim",
            name,
            component,
            spec={
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": self.share(component).storage}},
                **({"storageClassName": class_name} if class_name else {}),
            },
        )

    def service(self, name: str, component: str, port: int) -> Manifest:
        return self.manifest(
            "v1",
            "Service",
            name,
            component,
            spec={
                "type": "ClusterIP",
                "selector": self.selector(component),
                "ports": [{"name": "http", "port": port, "protocol": "TCP", "targetPort": "http"}],
            },
        )

    def pod_template(
        self,
        component: str,
        container: dict[str, Any],
        security: dict[str, Any],
        volume: str,
        init_containers: Sequence[dict[str, Any]] = (),
    ) -> dict[str, Any]:
        """Render a workload's pod template.

        The pod has a ServiceAccount of its own without a token, its claim as `volume`, and a
        temporary folder. `init_containers` run to their end first.
        """
        name = {OLLAMA: self.ollama, OPENWEBUI: self.openwebui}[component]
        restart = {OLLAMA: self.spec.restart.ollama, OPENWEBUI: self.spec.restart.open_webui}
        metadata = self.platform.pods.metadata
        marks = {
            **metadata.annotations,
            **({names.RESTART_ANNOTATION: restart[component]} if restart[component] else {}),
        }
        return {
            "metadata": {
                "labels": {**metadata.labels, **self.labels(name, component)},
                **({"annotations": marks} if marks else {}),
            },
            "spec": {
                "serviceAccountName": name,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": security,
                **({"initContainers": list(init_containers)} if init_containers else {}),
                "containers": [container],
                **placement(self.spec, self.platform, component),
                "volumes": [
                    {"name": volume, "persistentVolumeClaim": {"claimName": name}},
                    {"name": "tmp", "emptyDir": {"sizeLimit": _TEMPORARY}},
                ],
            },
        }

    def service_account(self, name: str, component: str) -> Manifest:
        account = self.manifest(
            "v1", "ServiceAccount", name, component, automountServiceAccountToken=False
        )
        return with_pull_digest(account, self.platform_secrets)


def with_pull_digest(manifest: Manifest, platform_secrets: PlatformSecrets) -> Manifest:
    """Return the manifest with the digest of the registries' passwords, where there are any."""
    if not platform_secrets.pull_secrets:
        return manifest
    annotations = {names.PULL_SECRETS_ANNOTATION: platform_secrets.pull_digest}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}
