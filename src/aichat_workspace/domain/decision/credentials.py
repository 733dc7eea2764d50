"""A workspace's own credentials: what they are, and the writes that keep them."""

from dataclasses import replace

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.decision.steps import (
    ApplySecret,
    CreateSecret,
    DeleteSecret,
    Step,
)
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy import sign_in
from aichat_workspace.domain.policy.ownership import (
    may_take_over,
    owns,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render import credentials as generated
from aichat_workspace.domain.render.context import Credentials
from aichat_workspace.domain.v1alpha1.workspace import Workspace


def credentials_problem(workspace: Workspace, snapshot: Snapshot) -> Problem | None:
    """A Secret that is not the workspace's credentials, or not all of them."""
    name = names.credentials(workspace.spec.workspace_name)
    secret = snapshot.secrets.get(name)
    if secret is None:
        return None
    where = f"Secret {name!r} in {names.SYSTEM_NAMESPACE}"
    if not generated.is_ours(secret, workspace):
        return Problem(
            Reason.SECRET_TAKEN,
            f"{where} was not made by this operator, so it is left alone; rename it, or choose "
            "another workspaceName",
        )
    if missing := generated.missing(secret):
        return Problem(
            Reason.CREDENTIALS_INCOMPLETE,
            f"{where} lacks the keys {', '.join(missing)}; put them back, or delete it, and "
            "all of them are made anew",
        )
    return None


def decide_credentials(
    workspace: Workspace, snapshot: Snapshot
) -> tuple[Credentials, tuple[Step, ...]]:
    """The workspace's own credentials, and what it takes to keep them.

    A namesake's credentials go with the namespace: kept when it is taken over. Others are left of a
    namesake whose finalizer was taken off by hand.
    """
    secret = snapshot.secrets.get(names.credentials(workspace.spec.workspace_name))
    namespace = snapshot.observed.namespace
    has_scim = sign_in.has_scim(workspace.spec, snapshot.platform)
    remove: tuple[Step, ...] = ()
    inherits = False
    if secret is not None and not generated.belongs_to(secret, workspace):
        inherits = bool(
            namespace and (may_take_over(workspace, namespace) or owns(workspace, namespace))
        )
        if not inherits:
            remove, secret = (DeleteSecret(secret),), None
    if secret is None:
        new = generated.new(
            workspace,
            snapshot.platform.ingress.domain,
            snapshot.new_secrets.secret_key,
            snapshot.new_secrets.admin_password,
            snapshot.new_secrets.scim_token if has_scim else "",
        )
        return new, (*remove, CreateSecret(generated.manifest(workspace, new)))
    credentials = generated.read(secret)
    # With the mark of the password that it has: a reset that comes to apply later is made.
    made_for, reason = generated.reset_of(secret), "credentials inherited" if inherits else ""
    if has_scim and not credentials.scim_token:
        credentials = replace(credentials, scim_token=snapshot.new_secrets.scim_token)
        reason = "token for SCIM added"
    if generated.wants_new_password(workspace, secret):
        credentials = replace(credentials, admin_password=snapshot.new_secrets.admin_password)
        made_for, reason = workspace.spec.access.password_reset, "password renewed"
    if not reason:
        return credentials, ()
    body = generated.manifest(workspace, credentials, made_for)
    return credentials, (ApplySecret(_replacing(secret, body), reason),)


def _replacing(secret: Manifest, body: Manifest) -> Manifest:
    """Return the body for exactly the Secret that was seen: an older one's data never replace those
    of a newer one (Conflict)."""
    seen = {key: secret["metadata"][key] for key in ("uid", "resourceVersion")}
    return {**body, "metadata": {**body["metadata"], **seen}}
