"""Is this the environment's cluster?"""

from typing import Final

from aichat_workspace.domain import names
from deploy.environment import Environment
from deploy.errors import RefusedError
from deploy.kubectl import Kubectl, KubectlError

LABEL: Final = "aichatworkspaces.io/environment"
"""Of the operator's namespace: the environment that the cluster is."""
_HELM: Final = "meta.helm.sh/release-name"


def check_context(environment: Environment) -> None:
    """Check that the kubeconfig's current context is the environment's.

    Raises:
        RefusedError: it is another one, or there is none of this name.
    """
    kubectl = Kubectl()
    contexts = kubectl.run("config", "get-contexts", "-o", "name").split()
    target = f"ENV={environment.name} deploys to the context {environment.context}"
    if environment.context not in contexts:
        raise RefusedError(
            f"{target}, and the kubeconfig has none of this name, but: "
            f"{', '.join(contexts) or 'none at all'}. Set KUBECONFIG, or correct "
            f"{environment.folder}/environment.yaml"
        )
    try:
        current = kubectl.run("config", "current-context").strip()
    except KubectlError:
        current = "not set"
    if current != environment.context:
        raise RefusedError(
            f"{target}, and the current context is {current}. If you mean {environment.name}: "
            f"kubectl config use-context {environment.context}"
        )


def check_cluster(kubectl: Kubectl, environment: Environment) -> None:
    """Check that the cluster is marked as the environment, and that Helm does not manage it.

    Raises:
        KubectlError: kubectl failed.
        RefusedError: it is not so.
    """
    namespace = kubectl.get("namespace", names.SYSTEM_NAMESPACE)
    command = f"kubectl --context {environment.context}"
    mark = f"{command} label namespace {names.SYSTEM_NAMESPACE} {LABEL}={environment.name}"
    cluster = f"the cluster of the context {environment.context}"
    if namespace is None:
        raise RefusedError(
            f"{cluster} has no namespace {names.SYSTEM_NAMESPACE}, so it is not prepared for "
            f"{environment.name}. If it is the right one:\n"
            f"  {command} create namespace {names.SYSTEM_NAMESPACE}\n  {mark}"
        )
    value = namespace["metadata"].get("labels", {}).get(LABEL)
    if value is None:
        raise RefusedError(
            f"{cluster} is not marked as {environment.name}. If it is the right one:\n  {mark}"
        )
    if value != environment.name:
        raise RefusedError(
            f"{cluster} is marked as {value}, and ENV is {environment.name}. Correct the context "
            f"in {environment.folder}/environment.yaml or in the kubeconfig; or, if it is wrong, "
            f"the label {LABEL} of the namespace {names.SYSTEM_NAMESPACE}"
        )
    _check_not_helms(kubectl, environment)


def _check_not_helms(kubectl: Kubectl, environment: Environment) -> None:
    deployment = kubectl.get("deployment", names.OPERATOR, "-n", names.SYSTEM_NAMESPACE)
    metadata = deployment["metadata"] if deployment else {}
    release = metadata.get("annotations", {}).get(_HELM)
    if release:
        raise RefusedError(
            f"Helm has installed the operator here, as {release}, and would undo what this does. "
            f"Go on with Helm and {environment.folder}/values.yaml: docs/deploying.md, With Helm"
        )
