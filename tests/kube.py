"""What kubectl does most in tests, over one connection: a process for each would cost a tenth of a
second of a processor, and a test that waits looks often."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config

Object = dict[str, Any]
_STRICT: Final = "fieldValidation=Strict&fieldManager=kubectl"
_APPLY: Final = f"{_STRICT}&force=true"
_DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True)
class Kind:
    """Where the API server has the objects of a kind."""

    root: str
    plural: str
    namespaced: bool

    def in_version(self, api_version: str) -> "Kind":
        """As a document is written that has this apiVersion."""
        group, _, version = api_version.rpartition("/")
        root = f"/apis/{group}" if group else "/api"
        return replace(self, root=f"{root}/{version}")

    def path(self, namespace: str, name: str = "") -> str:
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.root}{where}/{self.plural}" + (f"/{quote(name)}" if name else "")


@dataclass
class Kube:
    """One API server, in the words of kubectl. What it refuses raises AssertionError with its
    reason, as in "NotFound", and its message."""

    kubeconfig: Path
    kinds: dict[str, Kind] = field(default_factory=dict)

    def get(self, *arguments: str) -> Any:
        """What `kubectl get -o json` prints."""
        options = _ARGUMENTS.parse_args(arguments)
        kind, _, name = options.kind.partition("/")
        name = name or options.name
        namespace = "" if options.everywhere else options.namespace
        if name:
            resource = self._read(self._kind(kind).path(namespace, name))
            return resource if options.managed else _unmanaged(resource)
        query = {"labelSelector": options.labels, "fieldSelector": options.fields}
        suffix = f"?{urlencode({key: value for key, value in query.items() if value})}"
        resource = [
            item if options.managed else _unmanaged(item)
            for word in kind.split(",")
            for item in _items(self._read(self._kind(word).path(namespace) + suffix))
        ]
        return {"apiVersion": "v1", "kind": "List", "items": resource}

    def has(self, kind: str, name: str, namespace: str = "default") -> bool:
        """Whether the object exists."""
        try:
            self.get(kind, name, "-n", namespace)
        except AssertionError as error:
            if "(NotFound)" not in str(error):
                raise
            return False
        return True

    def apply(self, document: Object) -> None:
        """As `kubectl apply --server-side --force-conflicts`, also of a List."""
        if document["kind"] == "List":
            for item in document["items"]:
                self.apply(item)
            return
        metadata = document["metadata"]
        kind = self._kind(_word(document)).in_version(document["apiVersion"])
        path = kind.path(metadata.get("namespace", "default"), metadata["name"])
        # As it is written: YAML knows no pairs of surrogates, as JSON's escapes are.
        text = json.dumps(document, ensure_ascii=False).encode()
        self._send("PATCH", f"{path}?{_APPLY}", text, "apply-patch+yaml")

    def refusal(self, document: Object) -> str:
        """What the API server says against a document when it is created, or changes the object
        that there is, as `kubectl apply` does it; empty where it takes the document."""
        metadata = document["metadata"]
        kind = self._kind(_word(document)).in_version(document["apiVersion"])
        namespace, name = metadata.get("namespace", "default"), metadata["name"]
        try:
            if self.has(_word(document), name, namespace):
                path, body = kind.path(namespace, name), "merge-patch+json"
                self._send("PATCH", f"{path}?{_STRICT}", document, body)
            else:
                self._send("POST", f"{kind.path(namespace)}?{_STRICT}", document)
        except AssertionError as error:
            return str(error)
        return ""

    def patch(
        self, kind: str, name: str, namespace: str, change: object, subresource: str = ""
    ) -> None:
        """As `kubectl patch --type=json` where the change is a list, else `--type=merge`."""
        path = self._kind(kind).path(namespace, name) + (f"/{subresource}" if subresource else "")
        body = "json-patch+json" if isinstance(change, list) else "merge-patch+json"
        self._send("PATCH", f"{path}?{_STRICT}", change, body)

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """As `kubectl delete --wait=false`."""
        self._send("DELETE", self._kind(kind).path(namespace, name))

    @cached_property
    def _api(self) -> ApiClient:
        api: ApiClient = new_client_from_config(str(self.kubeconfig))
        return api

    def _kind(self, word: str) -> Kind:
        """Discover the kinds again for an unknown word, as after a kind was added."""
        if word not in self.kinds:
            self.kinds = {**self._discover("/apis"), **self._discover("/api")}
        assert word in self.kinds, f"the server doesn't have a resource type {word!r}"
        return self.kinds[word]

    def _discover(self, path: str) -> dict[str, Kind]:
        discovery = self._read(path, _DISCOVERY)
        return {
            word: kind for group in discovery["items"] for word, kind in _words(group, path).items()
        }

    def _read(self, path: str, accept: str = "application/json") -> Any:
        return self._send("GET", path, accept=accept)

    def _send(
        self,
        method: str,
        path: str,
        body: object = None,
        kind: str = "json",
        *,
        accept: str = "application/json",
    ) -> Any:
        host = self._api.configuration.host
        headers = {"Accept": accept, "Content-Type": f"application/{kind}"}
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        answer = self._api.call_api(method, host + path, headers, body, _request_timeout=60)
        text = answer.read().decode()
        if answer.status >= 400:
            status = json.loads(text) if text.startswith("{") else {"reason": "NotFound"}
            message = status.get("message", text)
            raise AssertionError(f"Error from server ({status['reason']}): {message}")
        return json.loads(text)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("kind")
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("-n", dest="namespace", default="default")
    parser.add_argument("-A", dest="everywhere", action="store_true")
    parser.add_argument("-l", dest="labels", default="")
    parser.add_argument("--field-selector", dest="fields", default="")
    parser.add_argument("--show-managed-fields", dest="managed", action="store_true")
    return parser


_ARGUMENTS: Final = _arguments()


def _word(document: Object) -> str:
    """A kind as kubectl's arguments have it."""
    group, _, _ = document["apiVersion"].rpartition("/")
    return ".".join(filter(None, [document["kind"].lower(), group]))


def _words(group: Object, path: str) -> dict[str, Kind]:
    """Everything that kubectl lets a kind be called. Without a version it is the group's first."""
    name = group["metadata"].get("name", "")
    return {
        word: Kind(f"{path}/{name}/{version}".replace("//", "/"), resource["resource"], is_in)
        for version, resource in _resources(group)
        for is_in in [resource["scope"] == "Namespaced"]
        for alias in (
            resource["resource"],
            resource.get("singularResource", ""),
            *resource.get("shortNames", ()),
        )
        for word in (alias, f"{alias}.{name}", f"{alias}.{version}.{name}")
    }


def _resources(group: Object) -> Iterator[tuple[str, Object]]:
    """The group's first version comes last: its words are the ones that stay."""
    for version in reversed(group["versions"]):
        for resource in version["resources"]:
            yield version["version"], resource


def _items(listed: Object) -> Iterator[Object]:
    """With what an item of a list leaves out."""
    kind = listed["kind"].removesuffix("List")
    for item in listed["items"]:
        yield {"apiVersion": listed["apiVersion"], "kind": kind, **item}


def _unmanaged(resource: Object) -> Object:
    metadata = {key: value for key, value in resource["metadata"].items() if key != "managedFields"}
    return {**resource, "metadata": metadata}
