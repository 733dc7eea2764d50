"""What every renderer starts from: the tenant, its labels and its shared pieces."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy import effective_spec
from aichat_workspace.domain.policy.secret_references import ADMIN, TLS, ReferencedSecret
from aichat_workspace.domain.v1alpha1.platform_spec import Issuer, PlatformSpec, Share
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec

TENANCY: Final = "tenancy"
OLLAMA: Final = "ollama"
OPENWEBUI: Final = "openwebui"
OLLAMA_PORT: Final = 11434
OPENWEBUI_PORT: Final = 8080
_TEMPORARY: Final = "1Gi"
_NODE_DISK: Final = "2Gi"
_LABEL_LENGTH: Final = 63


@dataclass(frozen=True, slots=True)
class Credentials:
    """A workspace's generated secrets. Never shown: their text is left out of every repr."""

    secret_key: str = field(repr=False)
    admin_email: str
    admin_password: str = field(repr=False)

    @property
    def digest(self) -> str:
        """Names the tenant's immutable copy, so that changed contents get a new name."""
        text = "\n".join((self.secret_key, self.admin_email, self.admin_password))
        return hashlib.sha256(text.encode()).hexdigest()[:10]


NO_CREDENTIALS: Final = Credentials("", "", "")
"""Where nothing that names credentials is to be written."""


@dataclass(frozen=True, slots=True)
class Tenant:
    spec: WorkspaceSpec
    platform: PlatformSpec
    credentials: Credentials
    referenced: Mapping[str, ReferencedSecret] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.spec.workspace_name

    @property
    def ollama(self) -> str:
        return names.ollama(self.name)

    @property
    def openwebui(self) -> str:
        return names.openwebui(self.name)

    @property
    def secret(self) -> str:
        return f"{self.openwebui}-{self.credentials.digest}"

    @property
    def host(self) -> str:
        return effective_spec.host(self.spec, self.platform)

    @property
    def replicas(self) -> int:
        return 0 if self.spec.suspended else 1

    @property
    def issuer(self) -> Issuer | None:
        """cert-manager's issuer of the certificate, where no Secret holds one."""
        chosen = self.spec.ingress.tls
        return chosen.issuer if chosen else self.platform.ingress.issuer

    @property
    def certificate(self) -> str | None:
        """The tenant's Secret that holds the host's certificate, or will."""
        if TLS in self.referenced:
            return self.copy_name(TLS)
        return f"{self.openwebui}-{TLS}" if self.issuer else None

    @property
    def copied(self) -> tuple[str, ...]:
        """What the referenced Secrets are for that the tenant gets copies of. The administrator is
        part of the credentials, and a Gateway has certificates of its own."""
        left_out = {ADMIN, *((TLS,) if self.platform.ingress.gateway else ())}
        return tuple(sorted(self.referenced.keys() - left_out))

    def copy_name(self, purpose: str) -> str:
        """The tenant's immutable copy of a referenced Secret."""
        return f"{self.openwebui}-{purpose}-{self.referenced[purpose].digest}"

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
        """One object in the tenant's namespace, labelled."""
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
        """https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/

        What is of no image, as a quota, has the version of our API: the operator's own would have
        every tenant's objects written anew at each of its releases.
        """
        known = component in (OLLAMA, OPENWEBUI)
        version = image_version(self.image(component)) if known else names.VERSION
        return {
            **workspace_labels(self.name, name, component),
            "app.kubernetes.io/version": version,
        }

    def image(self, component: str) -> str:
        """The component's image, from the mirror where there is one."""
        ollama, openwebui = self.platform.images.resolved
        return {OLLAMA: ollama, OPENWEBUI: openwebui}[component]

    def selector(self, component: str) -> dict[str, str]:
        """Identity only: these labels of a component never change."""
        return {names.WORKSPACE_LABEL: self.name, names.COMPONENT_LABEL: component}

    def claim(self, name: str, component: str) -> Manifest:
        chosen = self.spec.storage
        volume = {OLLAMA: chosen.ollama, OPENWEBUI: chosen.open_webui}[component]
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
        before: Sequence[dict[str, Any]] = (),
    ) -> dict[str, Any]:
        """A workload's pod: its own identity without a token, its claim mounted as `volume`, and a
        temporary folder. The containers `before` run to their end first."""
        name = {OLLAMA: self.ollama, OPENWEBUI: self.openwebui}[component]
        return {
            "metadata": {"labels": self.labels(name, component)},
            "spec": {
                "serviceAccountName": name,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": security,
                **({"initContainers": list(before)} if before else {}),
                "containers": [container],
                **self._scheduling(),
                "volumes": [
                    {"name": volume, "persistentVolumeClaim": {"claimName": name}},
                    {"name": "tmp", "emptyDir": {"sizeLimit": _TEMPORARY}},
                ],
            },
        }

    def _scheduling(self) -> dict[str, Any]:
        chosen = self.spec.scheduling
        tolerations = [
            each.model_dump(by_alias=True, exclude_none=True) for each in chosen.tolerations
        ]
        return {
            **({"nodeSelector": dict(chosen.node_selector)} if chosen.node_selector else {}),
            **({"tolerations": tolerations} if tolerations else {}),
        }

    def service_account(self, name: str, component: str) -> Manifest:
        return self.manifest(
            "v1", "ServiceAccount", name, component, automountServiceAccountToken=False
        )


def is_copy(secret: str, workspace: str) -> bool:
    """Whether a tenant's Secret of this name is one of the copies that are named by what is in
    them. cert-manager's, and what people made themselves, are not."""
    return bool(re.fullmatch(rf"{names.openwebui(workspace)}-([a-z0-9-]+-)?[0-9a-f]{{10}}", secret))


def workspace_labels(workspace: str, name: str, component: str) -> dict[str, str]:
    """The object's name as far as a label's value may say it; objects of long names have longer
    ones.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
    """
    return {
        names.WORKSPACE_LABEL: workspace,
        "app.kubernetes.io/name": name[:_LABEL_LENGTH].rstrip("-"),
        "app.kubernetes.io/part-of": names.part_of(workspace),
        names.MANAGED_BY_LABEL: names.OPERATOR,
        names.COMPONENT_LABEL: component,
    }


def workspace_url(spec: WorkspaceSpec, platform: PlatformSpec) -> str:
    """Where people open the workspace's chat."""
    scheme, usual = ("https", 443) if has_tls(spec, platform) else ("http", 80)
    port = platform.ingress.port
    suffix = f":{port}" if port not in (None, usual) else ""
    return f"{scheme}://{effective_spec.host(spec, platform)}{suffix}"


def has_tls(spec: WorkspaceSpec, platform: PlatformSpec) -> bool:
    settings = platform.ingress
    return bool(spec.ingress.tls or settings.issuer or settings.default_certificate)


def image_version(image: str) -> str:
    """An image's tag or digest as a label value (at most 63 characters of [A-Za-z0-9._-])."""
    tail = image.rsplit("/", 1)[-1]
    version = tail.partition("@")[2] or tail.partition(":")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "-", version)[:_LABEL_LENGTH].strip("._-")


def container_resources(share: Share) -> dict[str, Mapping[str, str]]:
    """Its share, and enough of the node's own disk for logs and temporary files: without a limit
    one workspace could fill the disk of all pods on the node."""
    return {
        "requests": {
            "cpu": share.cpu_request,
            "memory": share.memory_request,
            "ephemeral-storage": "64Mi",
        },
        "limits": {
            "cpu": share.cpu_limit,
            "memory": share.memory_limit,
            "ephemeral-storage": _NODE_DISK,
        },
    }


def http_probe(path: str, **timing: int) -> dict[str, Any]:
    """A probe of the container's http port; timing in seconds and counts, as in a pod."""
    return {"httpGet": {"path": path, "port": "http", "scheme": "HTTP"}, **timing}


def env(**values: str) -> list[dict[str, Any]]:
    """Environment variables, sorted. `$` is doubled: Kubernetes expands $(VAR) in values."""
    return [
        {"name": name, "value": value.replace("$", "$$")} for name, value in sorted(values.items())
    ]


def pod_security(user: int, group: int) -> dict[str, Any]:
    """A pod that Pod Security `restricted` admits.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(*, read_only_root: bool) -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only_root,
        "capabilities": {"drop": ["ALL"]},
    }
