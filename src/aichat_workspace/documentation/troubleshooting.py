"""Generate the page of symptoms: what people see, and every reason that it may have."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aichat_workspace.documentation.markdown import GENERATED
from aichat_workspace.domain.reasons import Reason, Severity


@dataclass(frozen=True, slots=True)
class Symptom:
    """What people see."""

    title: str
    look: str
    """How to look closer, in Markdown."""
    reasons: tuple[Reason, ...]
    """What it may come from, the likeliest first."""


_CONDITIONS: Final = (
    '{range .status.conditions[*]}  {.type}={.status} {.reason}: {.message}{"\\n"}{end}'
)
_WORKSPACES: Final = (
    f'{{range .items[*]}}{{.metadata.namespace}}/{{.metadata.name}}{{"\\n"}}{_CONDITIONS}{{end}}'
)
_INTRODUCTION: Final = f"""# Troubleshooting

Every condition that is not as it should be has a reason in one word, a message for this workspace,
and a code such as AI0415. Begin with them:

```sh reasons
kubectl get aiws -A
kubectl get aiws -A -o 'jsonpath={_WORKSPACES}'
kubectl get aichatplatform -o 'jsonpath={_WORKSPACES}'
```

`aichatctl describe NAME`, the workspace's page in the [console](console.md) and
`GET /api/v1/workspaces/NAME/diagnosis` show the same with codes, and what to do. Look a code up
with the search, or go by what you see. Where a command below has NAMESPACE, it is the workspace's
`spec.workspaceName`.

Where the API or `aichatctl` does not answer at all, begin with `aichatctl doctor`; its codes are
[those with AC](aichatctl.md#what-doctor-finds). For alerts, begin with
[their sections](observability.md#alerts)."""

SYMPTOMS: Final = (
    Symptom(
        "Nothing is created",
        "The message names the field or the resource that is in the way.",
        (
            Reason.CREATING,
            Reason.WORKSPACE_NAME_TAKEN,
            Reason.NAMESPACE_TAKEN,
            Reason.NAMESPACE_RETAINED,
            Reason.NAMESPACE_RESERVED,
            Reason.SPEC_NOT_UNDERSTOOD,
        ),
    ),
    Symptom(
        "The platform does not allow a field",
        "[What a team may choose](teams.md#what-a-team-may-choose) lists what the platform team "
        "can allow. What runs stays as it is meanwhile.",
        (
            Reason.CEILING_EXCEEDED,
            Reason.GPU_NOT_ALLOWED,
            Reason.SCHEDULING_NOT_ALLOWED,
            Reason.STORAGE_CLASS_NOT_ALLOWED,
            Reason.INGRESS_CLASS_NOT_ALLOWED,
            Reason.ISSUER_NOT_ALLOWED,
            Reason.HOST_NOT_ALLOWED,
            Reason.REGISTRY_NOT_ALLOWED,
            Reason.SIGN_IN_NOT_ALLOWED,
            Reason.SIGN_IN_INCOMPLETE,
            Reason.SIZE_CLASS_NOT_ALLOWED,
            Reason.SIZE_CLASS_NOT_FOUND,
            Reason.BACKUP_DESTINATION_NOT_ALLOWED,
            Reason.BACKUP_DESTINATION_NOT_FOUND,
        ),
    ),
    Symptom(
        "A Secret is missing or wrong",
        "[Secrets that a workspace names](teams.md#secrets-that-a-workspace-names) are in the "
        "system namespace, each with an annotation that says whose it is.",
        (
            Reason.SECRET_NOT_FOUND,
            Reason.SECRET_INCOMPLETE,
            Reason.SECRET_NOT_USABLE,
            Reason.SECRET_TAKEN,
            Reason.CREDENTIALS_INCOMPLETE,
            Reason.PULL_SECRET_NOT_FOUND,
            Reason.AUTHORITIES_NOT_FOUND,
            Reason.CLIENT_SECRET_NOT_FOUND,
            Reason.BACKUP_SECRET_NOT_FOUND,
            Reason.BACKUP_IMAGE_UNKNOWN,
        ),
    ),
    Symptom(
        "A pod does not start",
        "`kubectl -n NAMESPACE get pods` and `kubectl -n NAMESPACE describe pod NAME` have the "
        "node's own words; `aichatctl logs NAME` the program's.",
        (
            Reason.STARTING,
            Reason.UNSCHEDULABLE,
            Reason.IMAGE_PULL_FAILED,
            Reason.CONTAINER_NOT_STARTED,
            Reason.CRASH_LOOP,
            Reason.NOT_READY_IN_TIME,
            Reason.POD_REFUSED,
            Reason.QUOTA_TOO_SMALL,
            Reason.POD_NOT_ENDING,
        ),
    ),
    Symptom(
        "A volume is missing or stays as it is",
        "`kubectl -n NAMESPACE get pvc` shows claims and classes, `kubectl get storageclass` "
        "which one is the default and which can grow.",
        (
            Reason.VOLUME_UNBOUND,
            Reason.STORAGE_CLASS_NOT_FOUND,
            Reason.VOLUME_KEPT,
            Reason.VOLUME_LOST,
        ),
    ),
    Symptom(
        "A model is missing or does not answer",
        "`aichatctl models list NAME` shows each model with its state; `kubectl -n TEAM get "
        "aiws NAME -o jsonpath='{.status.models}'` the same.",
        (
            Reason.MODELS_WAITING,
            Reason.PULLING,
            Reason.MODEL_NOT_FOUND,
            Reason.MODEL_FAILED,
            Reason.MODELS_VOLUME_FULL,
            Reason.MODEL_TOO_LARGE,
            Reason.MODEL_NEEDS_MEMORY,
            Reason.MODEL_PRIVATE,
            Reason.MODEL_REFUSED,
            Reason.MODEL_NEEDS_NEWER_SERVER,
            Reason.MODEL_DIGEST_DIFFERS,
            Reason.MODEL_HOSTED,
            Reason.MODEL_NOT_LISTED,
        ),
    ),
    Symptom(
        "The chat's address does not open",
        "`kubectl get aiws -A` shows the address. See first that its name resolves to the "
        "ingress controller. A port-forward leaves controller and name out: `aichatctl "
        "port-forward NAME`.",
        (
            Reason.INGRESS_NOT_SERVED,
            Reason.INGRESS_CLASS_NOT_FOUND,
            Reason.ROUTE_NOT_ACCEPTED,
            Reason.GATEWAY_NOT_FOUND,
            Reason.HOST_TAKEN,
            Reason.ISSUER_NOT_FOUND,
        ),
    ),
    Symptom(
        "Nobody or everybody reaches chats",
        "`kubectl get aichatplatform default -o yaml` shows whom the network policies let in, and "
        "whether the cluster holds them: [where DNS and ingress controllers "
        "are](install.md#where-dns-and-ingress-controllers-are).",
        (
            Reason.NOBODY_ADMITTED,
            Reason.NETWORK_POLICIES_NOT_ENFORCED,
            Reason.NETWORK_POLICIES_UNCHECKED,
        ),
    ),
    Symptom(
        "Chats offer no tools",
        "[Models that call tools](teams.md#models-that-call-tools) says which do, and what to "
        "choose.",
        (Reason.TOOLS_WAITING, Reason.TOOLS_NOT_OFFERED),
    ),
    Symptom(
        "A change of the platform does not arrive",
        "Changes of pods go [in turns](install.md#what-changes-in-turns); `kubectl get "
        "aichatplatform` counts those that wait and that failed.",
        (
            Reason.UPGRADE_WAITING,
            Reason.UPGRADING,
            Reason.UPGRADE_PAUSED,
            Reason.UPGRADE_SKIPPED,
            Reason.UPGRADE_FAILED,
            Reason.UPGRADE_STOPPED,
            Reason.UPGRADE_STUCK,
            Reason.SETTINGS_NOT_UNDERSTOOD,
        ),
    ),
    Symptom(
        "The operator can't keep a workspace as its spec says",
        "`kubectl -n aichat-workspace-operator-system get pods` shows whether the operator "
        "runs, `kubectl -n aichat-workspace-operator-system logs "
        "deployment/aichat-workspace-operator` what it did.",
        (
            Reason.WRITE_REFUSED,
            Reason.REWRITTEN_ON_WRITE,
            Reason.CHANGED_BY_OTHERS,
            Reason.API_SERVER_NOT_ANSWERING,
            Reason.OPERATOR_CRASHED,
        ),
    ),
    Symptom(
        "A workspace stops, expires or does not go",
        "`spec.suspended`, `spec.expiresAfter` and `spec.deletionPolicy` decide ([a workspace "
        "for a while](teams.md#a-workspace-for-a-while)).",
        (
            Reason.SUSPENDED,
            Reason.EXPIRES_SOON,
            Reason.EXPIRY_REFUSED,
            Reason.CLOCK_DISAGREES,
            Reason.TERMINATING,
            Reason.NAMESPACE_TERMINATING,
        ),
    ),
    Symptom(
        "A backup or a restore fails",
        "`status.backup` and `status.restore` have the last runs and their names; `kubectl -n "
        "NAMESPACE logs job/NAME` has the program's own words. A chat runs on without backups. "
        "[Back up and restore](backup.md) explains the rest.",
        (
            Reason.BACKUP_WAITING,
            Reason.RESTORING,
            Reason.BACKUP_OVERDUE,
            Reason.BACKUP_RUN_FAILED,
            Reason.BACKUP_NOT_FOUND,
            Reason.BACKUP_OF_ANOTHER,
            Reason.BACKUP_NO_ROOM,
            Reason.BACKUP_PASSPHRASE_WRONG,
            Reason.ARCHIVE_INVALID,
            Reason.BACKUP_DATA_CHANGED,
            Reason.BACKUP_STORE_REFUSED,
            Reason.BACKUP_STORE_UNREACHABLE,
            Reason.BACKUP_STORE_FAILED,
            Reason.BACKUP_VOLUME_FAILED,
            Reason.BACKUP_RUN_KILLED,
            Reason.BACKUP_RUN_NOT_STARTED,
            Reason.BACKUP_RUN_TIMED_OUT,
            Reason.BACKUP_SNAPSHOTS_UNSUPPORTED,
            Reason.BACKUP_SNAPSHOT_FAILED,
            Reason.BACKUP_OUT_OF_REACH,
            Reason.RESTORE_CANCELLED,
        ),
    ),
    Symptom(
        "All is well",
        "These reasons need nothing.",
        (
            Reason.READY,
            Reason.CREATED,
            Reason.AVAILABLE,
            Reason.MODELS_READY,
            Reason.SYNCED,
            Reason.SERVED,
            Reason.STORAGE_AS_ASKED,
            Reason.STORED_AS_APPLIED,
            Reason.TOOLS_OFFERED,
            Reason.UP_TO_DATE,
            Reason.ACCEPTED,
            Reason.REFERENCES_RESOLVED,
            Reason.NETWORK_POLICIES_ENFORCED,
            Reason.PEOPLE_ADMITTED,
            Reason.BACKED_UP,
            Reason.RESTORED,
        ),
    ),
)


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join((*_lines(), ""))


def _lines() -> Iterator[str]:
    yield from (GENERATED, _INTRODUCTION)
    for symptom in SYMPTOMS:
        yield from ("", f"## {symptom.title}", "", symptom.look)
        for reason in symptom.reasons:
            yield from ("", f"### {reason.code} {reason}", "", reason.problem)
            if reason.severity is not Severity.GOOD:
                yield from ("", f"**What to do:** {reason.fix}")
