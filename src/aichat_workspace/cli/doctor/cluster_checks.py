"""Checks of the cluster, through the kubeconfig: for the platform team."""

from collections.abc import Iterator
from typing import Any, Final

from aichat_workspace.cli.doctor import node_checks
from aichat_workspace.cli.doctor.finding import Category, Finding, Severity, fix_of
from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.server.kubectl import Kubectl
from aichat_workspace.domain import names

Json = dict[str, Any]
_CRD: Final = "aichatworkspaces.apps.aichatworkspaces.io"
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_DEFAULT_INGRESS: Final = "ingressclass.kubernetes.io/is-default-class"
_NOT_CHECKED: Final = (
    "before installation not checked: the operator, the API, their image, their pods and the "
    "platform's own settings, in place of which the defaults count"
)
_INSTALL: Final = "kubectl apply -k config/default"


def check(kubectl: Kubectl) -> Iterator[Finding]:
    """Yield the findings, until one makes the others impossible.

    Before installation it checks what the defaults need, and says what can't be checked yet.
    """
    try:
        kubectl.get("the cluster was not asked", "crd", _CRD)
    except CliError as error:
        missing = any("NotFound" in reason for reason in error.why)
        text = f"the kind AIChatWorkspace is not installed: {'; '.join(error.why)}"
        other = f"{error.what}: {'; '.join(error.why)}"
        fix = _INSTALL if missing else fix_of(error, "kubectl cluster-info")
        yield _problem("AC501", text if missing else other, fix)
        if missing:
            yield _note("AC511", _NOT_CHECKED, _INSTALL)
            yield from _classes(kubectl)
            yield from node_checks.check(kubectl, is_installed=False)
        return
    yield _good("AC501", "the kind AIChatWorkspace is installed")
    for code, deployment in (("AC502", names.OPERATOR), ("AC503", names.API)):
        yield from _asked(kubectl, code, deployment)
    yield from _classes(kubectl)
    yield from node_checks.check(kubectl, is_installed=True)


def _good(code: str, text: str) -> Finding:
    return Finding(code, Category.CLUSTER, Severity.GOOD, text)


def _problem(code: str, text: str, fix: str) -> Finding:
    return Finding(code, Category.CLUSTER, Severity.PROBLEM, text, fix)


def _note(code: str, text: str, fix: str) -> Finding:
    return Finding(code, Category.CLUSTER, Severity.NOTE, text, fix)


def _asked(kubectl: Kubectl, code: str, deployment: str) -> Iterator[Finding]:
    what = f"the Deployment {deployment} was not read"
    try:
        document = kubectl.get(what, "deployment", deployment, "-n", names.SYSTEM_NAMESPACE)
    except CliError as error:
        yield _problem(code, f"{what}: {'; '.join(error.why)}", fix_of(error, _INSTALL))
        return
    yield replicas(code, deployment, document)


def replicas(code: str, deployment: str, document: Json) -> Finding:
    """Return whether a Deployment's pods are ready."""
    wished = (document.get("spec") or {}).get("replicas", 1)
    ready = (document.get("status") or {}).get("readyReplicas", 0)
    text = f"{deployment}: {ready} of {wished} pods are ready"
    if wished and ready == wished:
        return _good(code, text)
    selector = f"-l app.kubernetes.io/name={deployment}"
    fix = f"kubectl -n {names.SYSTEM_NAMESPACE} describe pods {selector}"
    return _note(code, text, fix) if ready else _problem(code, text, fix)


def _classes(kubectl: Kubectl) -> Iterator[Finding]:
    try:
        storage = kubectl.get("the StorageClasses were not read", "storageclasses")["items"]
        ingress = kubectl.get("the IngressClasses were not read", "ingressclasses")["items"]
    except CliError as error:
        text = f"{error.what}: {'; '.join(error.why)}"
        yield _note("AC504", text, fix_of(error, "kubectl cluster-info"))
        return
    yield storage_class(storage)
    yield ingress_class(ingress)


def storage_class(classes: list[Json]) -> Finding:
    """Return whether volumes get a StorageClass, and whether they can grow."""
    defaults = [entry for entry in classes if _is_marked(entry, _DEFAULT_CLASS)]
    if not defaults:
        fix = "mark one as the default, or name one in spec.storage of the AIChatPlatform"
        return _note("AC504", "no StorageClass is the default", fix)
    name = defaults[0]["metadata"]["name"]
    if defaults[0].get("allowVolumeExpansion"):
        return _good("AC504", f"the default StorageClass {name} can grow")
    fix = f"kubectl patch storageclass {name} -p '{{\"allowVolumeExpansion\": true}}'"
    return _note("AC505", f"volumes of the default StorageClass {name} can't grow", fix)


def ingress_class(classes: list[Json]) -> Finding:
    """Return whether Ingresses get a class."""
    if not classes:
        fix = "install an ingress controller, or choose a Gateway in the AIChatPlatform"
        return _problem("AC506", "there is no IngressClass, so no chat has an address", fix)
    defaults = [entry for entry in classes if _is_marked(entry, _DEFAULT_INGRESS)]
    if not defaults:
        fix = "mark one as the default, or name one in spec.ingress of the AIChatPlatform"
        return _note("AC506", "no IngressClass is the default", fix)
    return _good("AC506", f"the default IngressClass is {defaults[0]['metadata']['name']}")


def _is_marked(document: Json, annotation: str) -> bool:
    return (document["metadata"].get("annotations") or {}).get(annotation) == "true"
