"""A release is the manifests of an environment; pure functions on them."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aichat_workspace.domain import names
from deploy.errors import RefusedError

Manifest = dict[str, Any]
CRD: Final = "CustomResourceDefinition"
# With these go all workspaces or all data, so no release removes them.
_NEVER_REMOVED: Final = frozenset({CRD, "Namespace", "PersistentVolumeClaim", "AIChatPlatform"})
# Former releases name a namespace for these, which kustomize gave them, and clusters store none.
_WITHOUT_NAMESPACE: Final = frozenset(
    {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
)


class Identity(NamedTuple):
    """Which object of a cluster a manifest is of, whatever its version."""

    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Release:
    """All that is applied, and its name for people."""

    name: str
    """The operator's image and a digest of all manifests."""
    manifests: tuple[Manifest, ...]

    @property
    def crds(self) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == CRD]

    @property
    def others(self) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] != CRD]

    @property
    def identities(self) -> frozenset[Identity]:
        return frozenset(map(identity, self.manifests))

    @property
    def deployments(self) -> tuple[str, ...]:
        """The names of the Deployments, which have to become available."""
        return tuple(
            manifest["metadata"]["name"]
            for manifest in self.manifests
            if manifest["kind"] == "Deployment"
        )


def identity(manifest: Manifest) -> Identity:
    group = manifest["apiVersion"].rpartition("/")[0]
    metadata = manifest["metadata"]
    return Identity(group, manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def make_release(manifests: Iterable[Manifest | None]) -> Release:
    """Make a release of what a kustomization renders.

    Raises:
        RefusedError: the operator's Deployment is not in it.
    """
    present = tuple(manifest for manifest in manifests if manifest)
    digest = hashlib.sha256(json.dumps(present, sort_keys=True).encode()).hexdigest()
    for manifest in present:
        if identity(manifest)[1:] == ("Deployment", names.SYSTEM_NAMESPACE, names.OPERATOR):
            image = manifest["spec"]["template"]["spec"]["containers"][0]["image"]
            return Release(f"{image} ({digest[:8]})", present)
    raise RefusedError(
        f"the environment's kustomization has no Deployment {names.OPERATOR} in the namespace "
        f"{names.SYSTEM_NAMESPACE}; its resources need config/default"
    )


def obsolete(applied: Iterable[Identity], release: Release) -> list[Identity]:
    """Return the objects of other releases that this one lacks, sorted."""
    present = {_as_stored(item) for item in release.identities}
    return sorted(
        item
        for item in {*applied}
        if _as_stored(item) not in present and item.kind not in _NEVER_REMOVED
    )


def _as_stored(item: Identity) -> Identity:
    return item._replace(namespace="") if item.kind in _WITHOUT_NAMESPACE else item


def lost_fields(stored: Manifest, released: Manifest) -> list[str]:
    """Return the versions, fields and values of a stored CRD that the released one lacks.

    The API server drops the data of fields that a CRD does not have when their object is next
    written: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning
    """
    versions = {version["name"]: version for version in released["spec"]["versions"]}
    lost: list[str] = []
    for version in stored["spec"]["versions"]:
        name = version["name"]
        if name in versions:
            schemas = (_schema(version), _schema(versions[name]))
            lost += _lost(*schemas, "")
        else:
            lost.append(f"version {name}")
    return list(dict.fromkeys(lost))  # versions of one schema lose the same


def _schema(version: Manifest) -> Manifest:
    schema: Manifest = version.get("schema", {}).get("openAPIV3Schema", {})
    return schema


def _lost(stored: Manifest, released: Manifest, path: str) -> list[str]:
    if released.get("x-kubernetes-preserve-unknown-fields"):
        return []
    lost = []
    properties = released.get("properties", {})
    for key, schema in stored.get("properties", {}).items():
        field = f"{path}.{key}".lstrip(".")
        lost += _lost(schema, properties[key], field) if key in properties else [field]
    for part, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        parts = (stored.get(part), released.get(part))
        if all(isinstance(schema, dict) for schema in parts):
            lost += _lost(parts[0] or {}, parts[1] or {}, f"{path}{suffix}")
    if "enum" in released:
        values: Sequence[Any] = [*stored.get("enum", ())]
        lost += [f"{path}={value}" for value in values if value not in released["enum"]]
    return lost
