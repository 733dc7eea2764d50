"""Copies of what the platform's settings name come, follow a change, and go."""

from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.planning.actions import Apply, Delete, target_of
from aichat_workspace.domain.planning.plan import plan
from aichat_workspace.domain.planning.pod_change import plan_pods
from aichat_workspace.domain.planning.rollout import Refusal, RolloutSlot
from aichat_workspace.domain.planning.secret_copies import recorded_copies
from aichat_workspace.domain.policy.platform_secrets import (
    PULL_SECRET_KEY,
    PULL_SECRET_TYPE,
    resolve_platform_secrets,
)
from aichat_workspace.domain.render import render, tenant_namespace
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.apiserver import ApiServer
from tests.unit.domain.samples import CERTIFICATE, CREDENTIALS, namespace, workspace

TENANT = "team-a-aichat"
PULL = Ref("Secret", TENANT, f"{TENANT}-openwebui-pull-1")
NOTHING: dict[str, Any] = {}
REGISTRY = {"imagePullSecretNames": ["registry"]}
AUTHORITIES = {"trustedAuthorities": {"configMapName": "corp"}}
BODY = tenant_namespace(workspace())


def objects(
    settings: dict[str, Any], content: str = "e30=", certificate: str = CERTIFICATE
) -> tuple[Manifest, ...]:
    platform = PlatformSpec.model_validate(settings)
    secret = {"type": PULL_SECRET_TYPE, "data": {PULL_SECRET_KEY: content}}
    bundle = {"data": {"ca.crt": certificate}}
    platform_secrets, problems = resolve_platform_secrets(
        platform, {"registry": secret}.get, {"corp": bundle}.get
    )
    assert not problems
    return render(workspace(), platform, CREDENTIALS, platform_secrets=platform_secrets)


@pytest.fixture
def server() -> ApiServer:
    """A tenant without any of it."""
    server = ApiServer(namespace())
    reach(server, objects(NOTHING))
    return server


def reach(server: ApiServer, desired: tuple[Manifest, ...]) -> list[Ref]:
    """Make the tenant as desired. Return what was written."""
    actions = plan(BODY, desired, server.observed)
    server.execute_all(actions)
    assert plan(BODY, desired, server.observed) == ()
    return [target_of(action) for action in actions]


def test_passwords_are_copied_before_anything_names_them_and_go_after_it(
    server: ApiServer,
) -> None:
    written = reach(server, objects(REGISTRY))
    accounts = [index for index, target in enumerate(written) if target.kind == "ServiceAccount"]
    workloads = [target.kind for target in written[max(accounts) + 1 :]]
    assert written.index(PULL) < min(accounts)
    assert {"StatefulSet", "Deployment"} <= {*workloads}
    assert server.secrets[PULL]["data"] == {PULL_SECRET_KEY: "e30="}
    gone = reach(server, objects(NOTHING))
    assert PULL in gone
    assert PULL not in server.secrets
    assert gone.index(PULL) > max(
        index for index, target in enumerate(gone) if target.kind in ("StatefulSet", "Deployment")
    )


def test_a_changed_password_is_written_and_no_pod_is_touched(server: ApiServer) -> None:
    reach(server, objects(REGISTRY))
    written = reach(server, objects(REGISTRY, content="eyJhIjoxfQ=="))
    assert {target.kind for target in written} == {"Secret", "ServiceAccount"}
    assert server.secrets[PULL]["data"] == {PULL_SECRET_KEY: "eyJhIjoxfQ=="}


def test_accounts_say_that_passwords_are_there_only_after_they_were_written(
    server: ApiServer,
) -> None:
    actions = plan(BODY, objects(REGISTRY), server.observed)
    waiting = [action for action in actions if isinstance(action, Apply) and action.waits]
    assert {target_of(action).kind for action in waiting} >= {"ServiceAccount"}


def test_a_copy_that_somebody_deleted_comes_back_when_an_image_cannot_be_pulled(
    server: ApiServer,
) -> None:
    desired = objects(REGISTRY)
    reach(server, desired)
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}, "name": "ollama"}
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": [waiting]}}
    observed = server.observed
    with_pod = type(observed)(
        observed.namespace, observed.objects, (pod,), observed.expandable_classes
    )
    assert [target_of(action) for action in plan(BODY, desired, with_pod)] == [PULL]


def test_other_authorities_are_another_copy_and_the_former_one_goes_last(
    server: ApiServer,
) -> None:
    reach(server, objects(AUTHORITIES))
    (before,) = [ref for ref in server.secrets if "authorities" in ref.name]
    other = CERTIFICATE.replace("b3Vycw==", "dGhlaXJz")
    actions = plan(BODY, objects(AUTHORITIES, certificate=other), server.observed)
    deletions = [action for action in actions if isinstance(action, Delete)]
    assert [(deletion.ref, deletion.waits) for deletion in deletions] == [(before, True)]
    server.execute_all(actions)
    (after,) = [ref for ref in server.secrets if "authorities" in ref.name]
    assert after != before
    assert before.name not in recorded_copies(server.namespace)


@pytest.mark.parametrize("settings", [REGISTRY, AUTHORITIES])
def test_what_the_platform_changes_of_pods_takes_a_turn(
    server: ApiServer, settings: dict[str, Any]
) -> None:
    """Else one edit of the settings restarted every chat at once."""
    images = {"ollama": "o", "openWebUI": "w", "changed": "2026-11-23T11:00:00Z"}
    running = workspace(status={"images": images, "observedGeneration": 1})
    change = plan_pods(
        running,
        server.observed,
        objects(settings),
        RolloutSlot(Refusal.WAITING),
        has_problems=False,
    )
    assert change.refusal is Refusal.WAITING
    assert {reference.kind for reference in change.frozen} == {"StatefulSet", "Deployment"}


def test_the_names_of_copies_fit_beside_those_of_a_workspaces_own() -> None:
    longest = "a" * names.WORKSPACE_NAME_MAX_LENGTH
    assert len(names.pull_secret(longest, 8)) <= 63
