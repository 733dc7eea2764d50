"""A cluster in memory, with as much of kubectl as a deployment uses."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aichat_workspace.domain import names
from deploy.environment import Environment
from deploy.kubectl import Kubectl, KubectlError
from deploy.manifests import Release, make_release

Object = dict[str, Any]
ENVIRONMENT: Final = Environment("staging", Path("config/environments/staging"), "here", "small:1")
CRD_NAME: Final = "aichatworkspaces.apps.aichatworkspaces.io"


@dataclass(frozen=True)
class FakeKubectl(Kubectl):
    """kubectl against objects in memory; what is applied is available at once, unless its image is
    broken."""

    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    before: list[Callable[[tuple[str, ...]], None]] = field(default_factory=list)
    """What happens before each call, which it is given; it may raise."""

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        self.calls.append(arguments)
        for hook in self.before:
            hook(arguments)
        match arguments:
            case ("get", *rest):
                return self._get(rest)
            case ("apply", *_):
                for manifest in json.loads(stdin or "")["items"]:
                    self._store(manifest)
                return ""
            case ("create", "token", *_):
                return "t0ken\n"
            case ("create" | "replace" as verb, *_):
                return json.dumps(self._write(verb, json.loads(stdin or "")))
            case ("delete", kind, name, *_):
                self._delete(kind.partition(".")[0].lower(), name)
                return ""
            case ("wait", *_):
                return ""
        raise AssertionError(f"no kubectl {arguments} is known here")

    def names(self, kind: str) -> set[str]:
        return {name for other, name in self.objects if other == kind}

    def _get(self, arguments: Sequence[str]) -> str:
        kind, *rest = arguments
        if rest and not rest[0].startswith("-"):
            stored = self.objects.get((_SHORT.get(kind, kind), rest[0]))
            return json.dumps(stored) if stored else ""
        kind = _SHORT.get(kind.removesuffix("s"), kind.removesuffix("s"))
        items = [stored for (other, _), stored in self.objects.items() if other == kind]
        return json.dumps({"items": items}) if items else ""  # as with --ignore-not-found

    def _delete(self, kind: str, name: str) -> None:
        if name == "--all":
            kind = kind.removesuffix("s")
        for deleted in self.names(kind) if name == "--all" else {name}:
            self.objects.pop((kind, deleted), None)

    def _write(self, verb: str, manifest: Object) -> Object:
        key = (manifest["kind"].lower(), manifest["metadata"]["name"])
        stored = self.objects.get(key)
        if verb == "create" and stored:
            raise KubectlError(f"Error from server (AlreadyExists): {key[1]}")
        if verb == "replace":
            if stored is None:
                raise KubectlError(f"Error from server (NotFound): {key[1]}")
            if manifest["metadata"].get("resourceVersion") != _version(stored):
                raise KubectlError(f"Error from server (Conflict): {key[1]}")
        return self._store(manifest)

    def _store(self, manifest: Object) -> Object:
        key = (manifest["kind"].lower(), manifest["metadata"]["name"])
        version = int(_version(self.objects[key])) + 1 if key in self.objects else 1
        metadata = {**manifest["metadata"], "resourceVersion": str(version), "generation": version}
        stored = {**manifest, "metadata": metadata}
        if manifest["kind"] == "Deployment":
            stored["status"] = _status(stored)
        self.objects[key] = stored
        return stored


_SHORT: Final = {"crd": "customresourcedefinition"}


def _version(stored: Object) -> str:
    version: str = stored["metadata"]["resourceVersion"]
    return version


def _status(deployment: Object) -> Object:
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    replicas = deployment["spec"]["replicas"]
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": replicas,
        "availableReplicas": 0 if "broken" in image else replicas,
    }


def crd(*fields: str) -> Object:
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in fields}}
    version = {"name": "v1alpha1", "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD_NAME},
        "spec": {"versions": [version]},
    }


def manifest(kind: str, name: str) -> Object:
    metadata = {"name": name, "namespace": names.SYSTEM_NAMESPACE}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def release(tag: str, *others: Object, fields: Sequence[str] = ("spec",)) -> Release:
    """A release with the operator's Deployment, a CRD with these fields, and further objects."""
    container = {"name": "manager", "image": f"registry.example.org/operator:{tag}"}
    deployment = {
        **manifest("Deployment", names.OPERATOR),
        "apiVersion": "apps/v1",
        "spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}},
    }
    return make_release([crd(*fields), deployment, *others])


def image(kubectl: FakeKubectl) -> str:
    """The tag that the cluster's operator has."""
    deployment = kubectl.objects["deployment", names.OPERATOR]
    text: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return text.rpartition(":")[2]
