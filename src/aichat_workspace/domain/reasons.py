"""Every reason that a condition may have: what it means, how bad it is, and what to do about it.

One place for conditions, the API's diagnosis, the command line and the reference page, which is
generated from it. https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md
says how reasons are written.
"""

from enum import StrEnum
from typing import Self


class Severity(StrEnum):
    """How bad it is."""

    GOOD = "Good"
    """It is as it should be."""
    WAITING = "Waiting"
    """Time is enough."""
    WARNING = "Warning"
    """It works, and something is not as it was asked for."""
    ERROR = "Error"
    """A person has to act."""


class Reason(StrEnum):
    """Why a condition is as it is, in one word for programs."""

    code: str
    """A short name for people to search and to say; never given to another reason."""
    severity: Severity
    problem: str
    """What is so, for people."""
    fix: str
    """What to do about it."""

    def __new__(cls, value: str, code: str, severity: Severity, problem: str, fix: str) -> Self:
        reason = str.__new__(cls, value)
        reason._value_ = value
        reason.code, reason.severity = code, severity
        reason.problem, reason.fix = problem, fix
        return reason

    @classmethod
    def known(cls, word: str) -> Self | None:
        """Return the reason of this word; None for one that this version does not know."""
        reason = cls._value2member_map_.get(word)
        return reason if isinstance(reason, cls) else None

    @property
    def reference(self) -> str:
        """Where the documentation explains it."""
        return f"docs/reference.md#{self.code.lower()}"

    @property
    def remedy(self) -> str:
        """Where the documentation says what to do about it, beside the reference."""
        return f"troubleshooting.md#{self.code.lower()}-{self.lower()}"

    # all is well, or time is enough
    NETWORK_POLICIES_ENFORCED = (
        "NetworkPoliciesEnforced",
        "AI0140",
        Severity.GOOD,
        "The cluster holds network policies.",
        "Nothing to do.",
    )
    NETWORK_POLICIES_UNCHECKED = (
        "NetworkPoliciesUnchecked",
        "AI0141",
        Severity.WAITING,
        "Nothing is there to try whether the cluster holds network policies.",
        "Wait until the API runs. Without the API nothing tries it.",
    )
    PEOPLE_ADMITTED = (
        "PeopleAdmitted",
        "AI0142",
        Severity.GOOD,
        "The network policies let ingress controllers or addresses come in to chats.",
        "Nothing to do.",
    )
    ACCEPTED = (
        "Accepted",
        "AI0101",
        Severity.GOOD,
        "The platform's settings are in force.",
        "Nothing to do.",
    )
    AVAILABLE = (
        "Available",
        "AI0102",
        Severity.GOOD,
        "The workload runs as it should.",
        "Nothing to do.",
    )
    CREATED = (
        "Created",
        "AI0103",
        Severity.GOOD,
        "Every object exists.",
        "Nothing to do.",
    )
    CREATING = (
        "Creating",
        "AI0104",
        Severity.WAITING,
        "Objects are being made.",
        "Wait; it takes seconds.",
    )
    MODELS_WAITING = (
        "ModelsWaiting",
        "AI0105",
        Severity.WAITING,
        (
            "Models or patterns wait: for the model server, for a place among the downloads, "
            "for another model, or for room that a removed one makes."
        ),
        "Wait; where it does not go on, the condition OllamaAvailable and the message say why.",
    )
    MODELS_READY = (
        "ModelsReady",
        "AI0106",
        Severity.GOOD,
        "Every model and pattern is there.",
        "Nothing to do.",
    )
    PULLING = (
        "Pulling",
        "AI0107",
        Severity.WAITING,
        "Models are being downloaded.",
        "Wait; `status.models` says how far and how fast.",
    )
    READY = (
        "Ready",
        "AI0108",
        Severity.GOOD,
        "People can chat.",
        "Open `status.url` and sign in.",
    )
    RESTORED = (
        "Restored",
        "AI0152",
        Severity.GOOD,
        "The chat's data is that of the backup in `spec.restore`.",
        "Nothing to do.",
    )
    RESTORING = (
        "Restoring",
        "AI0153",
        Severity.WAITING,
        "The chat is stopped while its data is replaced by a backup's.",
        "Wait; `status.restore` says how far it is. To give up, remove `spec.restore`.",
    )
    BACKED_UP = (
        "BackedUp",
        "AI0150",
        Severity.GOOD,
        "The last run made a backup.",
        "Nothing to do.",
    )
    BACKUP_WAITING = (
        "BackupWaiting",
        "AI0151",
        Severity.WAITING,
        "There is no backup yet.",
        "Wait for the schedule, or ask for one by another text in `spec.backup.request`.",
    )
    EXPIRES_SOON = (
        "ExpiresSoon",
        "AI0109",
        Severity.WARNING,
        (
            "Its time is over within a day; the message says when, and whether it is then "
            "deleted or stopped."
        ),
        "Raise or remove `spec.expiresAfter` to keep it.",
    )
    REFERENCES_RESOLVED = (
        "ReferencesResolved",
        "AI0110",
        Severity.GOOD,
        "All that the platform's settings name is there.",
        "Nothing to do.",
    )
    SERVED = (
        "Served",
        "AI0111",
        Severity.GOOD,
        (
            "The IngressClass of the workspace's Ingress is there, or a Gateway has accepted "
            "its HTTPRoute."
        ),
        "Nothing to do.",
    )
    STARTING = (
        "Starting",
        "AI0112",
        Severity.WAITING,
        "The workload's pod is starting.",
        "Wait; the first start of the chat takes a minute.",
    )
    STORAGE_AS_ASKED = (
        "StorageAsAsked",
        "AI0113",
        Severity.GOOD,
        "Its volumes are as `spec.storage` says.",
        "Nothing to do.",
    )
    SUSPENDED = (
        "Suspended",
        "AI0114",
        Severity.GOOD,
        "Both workloads are stopped.",
        (
            "Set `spec.suspended` to false to go on; where its time is over, raise or remove "
            "`spec.expiresAfter`."
        ),
    )
    SYNCED = (
        "Synced",
        "AI0115",
        Severity.GOOD,
        "The operator keeps every object as the spec says.",
        "Nothing to do.",
    )
    TERMINATING = (
        "Terminating",
        "AI0116",
        Severity.WAITING,
        "The workspace is being deleted, with its namespace.",
        "Wait; where something holds the namespace, the message says what: remove that.",
    )
    TOOLS_OFFERED = (
        "ToolsOffered",
        "AI0117",
        Severity.GOOD,
        "Chats offer tools to the models that can call them.",
        "Nothing to do.",
    )
    TOOLS_WAITING = (
        "ToolsWaiting",
        "AI0118",
        Severity.WAITING,
        (
            "Chats do not follow yet what the present models can do: one of the two servers is "
            "not up, or the models have just changed."
        ),
        "Wait; where it can't be done, the reason becomes `ToolsNotOffered`.",
    )
    STORED_AS_APPLIED = (
        "StoredAsApplied",
        "AI0119",
        Severity.GOOD,
        "The API server has every object as it was applied.",
        "Nothing to do.",
    )
    UP_TO_DATE = (
        "UpToDate",
        "AI0120",
        Severity.GOOD,
        "The workspace runs as the platform's settings are now.",
        "Nothing to do.",
    )
    UPGRADING = (
        "Upgrading",
        "AI0121",
        Severity.WAITING,
        "The workspace changes its pods, and others wait for it.",
        "Wait.",
    )
    UPGRADE_PAUSED = (
        "UpgradePaused",
        "AI0122",
        Severity.WAITING,
        "The AIChatPlatform says that upgrades are paused.",
        "Remove its annotation `apps.aichatworkspaces.io/upgrades` to go on.",
    )
    UPGRADE_SKIPPED = (
        "UpgradeSkipped",
        "AI0123",
        Severity.WAITING,
        "The workspace is left out of upgrades.",
        "Remove its annotation `apps.aichatworkspaces.io/upgrades` to let it take part.",
    )
    UPGRADE_WAITING = (
        "UpgradeWaiting",
        "AI0124",
        Severity.WAITING,
        "Other workspaces change their pods first.",
        "Wait.",
    )
    # the resource has to be edited
    CEILING_EXCEEDED = (
        "CeilingExceeded",
        "AI0201",
        Severity.ERROR,
        "It asks for more than the platform allows.",
        "Lower the field that the message names, or raise `spec.ceiling` of the AIChatPlatform.",
    )
    CREDENTIALS_INCOMPLETE = (
        "CredentialsIncomplete",
        "AI0202",
        Severity.ERROR,
        "The Secret of the workspace's credentials lacks keys.",
        "Put them back, or delete the Secret, and all of them are made again.",
    )
    GPU_NOT_ALLOWED = (
        "GpuNotAllowed",
        "AI0203",
        Severity.ERROR,
        "It asks for a resource that the platform does not offer as a graphics processor.",
        (
            "Change `spec.resources.ollama.gpu.resourceName`, or add it to "
            "`spec.allowed.gpuResources` of the AIChatPlatform."
        ),
    )
    HOST_NOT_ALLOWED = (
        "HostNotAllowed",
        "AI0204",
        Severity.ERROR,
        "Its host is reserved, or under none of the platform's domains.",
        (
            "Change `spec.ingress.host`, or add the domain to `spec.ingress.allowedDomains` of "
            "the AIChatPlatform."
        ),
    )
    HOST_TAKEN = (
        "HostTaken",
        "AI0205",
        Severity.ERROR,
        "Another workspace has the host.",
        "Change `spec.ingress.host`.",
    )
    MODEL_DIGEST_DIFFERS = (
        "ModelDigestDiffers",
        "AI0206",
        Severity.ERROR,
        "A model does not have the digest that `spec.models` asks for: its tag has moved.",
        "Correct the digest, or leave it out.",
    )
    INGRESS_CLASS_NOT_ALLOWED = (
        "IngressClassNotAllowed",
        "AI0207",
        Severity.ERROR,
        "It names an IngressClass that the platform does not allow.",
        (
            "Remove `spec.ingress.className`, or add it to `spec.allowed.ingressClasses` of the "
            "AIChatPlatform."
        ),
    )
    ISSUER_NOT_ALLOWED = (
        "IssuerNotAllowed",
        "AI0208",
        Severity.ERROR,
        "It names a ClusterIssuer that the platform does not allow.",
        (
            "Remove `spec.ingress.tls`, or add the issuer to `spec.allowed.issuers` of the "
            "AIChatPlatform."
        ),
    )
    MODEL_FAILED = (
        "ModelFailed",
        "AI0209",
        Severity.ERROR,
        "A model or pattern can't be had; the message says which and why.",
        "Correct `spec.models` or `spec.patterns`; a failed download is tried again by itself.",
    )
    MODEL_HOSTED = (
        "ModelHosted",
        "AI0210",
        Severity.ERROR,
        "A model runs at ollama.com and not here, so no prompt is sent to it.",
        "Name a model without `cloud` in its tag.",
    )
    MODEL_NEEDS_MEMORY = (
        "ModelNeedsMemory",
        "AI0211",
        Severity.ERROR,
        "A model is larger than the model server's memory, so no prompt would be answered.",
        "Raise `spec.resources.ollama.memoryLimit` to what the message says.",
    )
    MODEL_NEEDS_NEWER_SERVER = (
        "ModelNeedsNewerServer",
        "AI0212",
        Severity.ERROR,
        "The registry gives a model only to a newer Ollama.",
        (
            "Set `spec.images.ollama` of the AIChatPlatform to a newer one; the download then "
            "goes by itself."
        ),
    )
    MODEL_NOT_FOUND = (
        "ModelNotFound",
        "AI0213",
        Severity.ERROR,
        "The registry has no model of that name.",
        "Correct `spec.models` or `spec.embeddingModel`.",
    )
    MODEL_NOT_LISTED = (
        "ModelNotListed",
        "AI0214",
        Severity.ERROR,
        "A model was downloaded, and the model server does not list it.",
        "Correct its name in `spec.models`.",
    )
    MODEL_PRIVATE = (
        "ModelPrivate",
        "AI0215",
        Severity.ERROR,
        "The registry has no such model, or does not let the model server have it.",
        "Correct its name, or add the key that the message names to an account that may read it.",
    )
    MODEL_REFUSED = (
        "ModelRefused",
        "AI0216",
        Severity.ERROR,
        "The registry or the model server refuses a model; the message has their words.",
        "Name another one.",
    )
    MODELS_VOLUME_FULL = (
        "ModelsVolumeFull",
        "AI0217",
        Severity.ERROR,
        "The models' volume is full.",
        "Raise `spec.storage.ollama.size`, or remove a model.",
    )
    MODEL_TOO_LARGE = (
        "ModelTooLarge",
        "AI0218",
        Severity.ERROR,
        "The models' volume has no room for a model.",
        "Raise `spec.storage.ollama.size`, or remove a model.",
    )
    NAMESPACE_RESERVED = (
        "NamespaceReserved",
        "AI0219",
        Severity.ERROR,
        "The name is one of the cluster, the API, or an ingress controller that reaches all chats.",
        "Delete the resource and choose another `workspaceName`.",
    )
    NAMESPACE_RETAINED = (
        "NamespaceRetained",
        "AI0220",
        Severity.ERROR,
        "A deleted workspace left the namespace behind.",
        "Set `spec.namespaceUID` to take it over, or delete the namespace.",
    )
    NAMESPACE_TAKEN = (
        "NamespaceTaken",
        "AI0221",
        Severity.ERROR,
        "A namespace of this name exists and is not the workspace's.",
        (
            "Delete the resource and choose another `workspaceName`, or remove the namespace. "
            "Of a namespace whose resource is gone, as after a restore from a backup, the "
            "message has the command that gives it to this one."
        ),
    )
    QUOTA_TOO_SMALL = (
        "QuotaTooSmall",
        "AI0222",
        Severity.ERROR,
        "The quota that it chose has no room for all pods.",
        "Raise the field of `spec.quota` that the message names, or leave it out.",
    )
    REGISTRY_NOT_ALLOWED = (
        "RegistryNotAllowed",
        "AI0223",
        Severity.ERROR,
        "A model comes from a registry that the platform does not allow.",
        (
            "Remove it from the field that the message names, or add the registry to "
            "`spec.models.allowedRegistries` of the AIChatPlatform."
        ),
    )
    SCHEDULING_NOT_ALLOWED = (
        "SchedulingNotAllowed",
        "AI0224",
        Severity.ERROR,
        "It names a node label or a taint that the platform does not allow.",
        (
            "Remove it from `spec.scheduling`, or add it to `spec.allowed.nodeSelectorKeys` or "
            "`tolerationKeys` of the AIChatPlatform."
        ),
    )
    SECRET_INCOMPLETE = (
        "SecretIncomplete",
        "AI0225",
        Severity.ERROR,
        "A referenced Secret lacks keys.",
        "Add them.",
    )
    NETWORK_POLICIES_NOT_ENFORCED = (
        "NetworkPoliciesNotEnforced",
        "AI0322",
        Severity.WARNING,
        "The cluster does not hold network policies, so teams are not isolated on the network.",
        "Install a network plugin that enforces them, as Calico or Cilium.",
    )
    NOBODY_ADMITTED = (
        "NobodyAdmitted",
        "AI0323",
        Severity.WARNING,
        "No namespace and no address that the settings let in to chats is there.",
        (
            "Correct `spec.ingress.controllerNamespaces` or `spec.ingress.sourceRanges` of the "
            "AIChatPlatform."
        ),
    )
    AUTHORITIES_NOT_FOUND = (
        "AuthoritiesNotFound",
        "AI0320",
        Severity.ERROR,
        "The ConfigMap with the platform's certificate authorities is missing or has none.",
        (
            "Make it in the operator's namespace, or correct `spec.trustedAuthorities` of the "
            "AIChatPlatform."
        ),
    )
    PULL_SECRET_NOT_FOUND = (
        "PullSecretNotFound",
        "AI0321",
        Severity.ERROR,
        "A Secret with the passwords of images' registries is missing or of another type.",
        (
            "Make it in the operator's namespace, or correct `spec.imagePullSecretNames` of the "
            "AIChatPlatform."
        ),
    )
    BACKUP_SECRET_NOT_FOUND = (
        "BackupSecretNotFound",
        "AI0325",
        Severity.ERROR,
        (
            "A Secret with a backup destination's keys, or with the passphrase, is missing, not "
            "marked, or has no key. There are no backups meanwhile; the chat runs."
        ),
        (
            "Make it in the operator's namespace as the message says, or correct `spec.backup` of "
            "the AIChatPlatform."
        ),
    )
    BACKUP_IMAGE_UNKNOWN = (
        "BackupImageUnknown",
        "AI0326",
        Severity.ERROR,
        "The operator does not run in a pod, so it does not know the image that has its programs.",
        "Set the environment variable `BACKUP_IMAGE` where it is started.",
    )
    BACKUP_SNAPSHOTS_UNSUPPORTED = (
        "BackupSnapshotsUnsupported",
        "AI0327",
        Severity.ERROR,
        (
            "Its backups are to be snapshots of the chat's volume, and the cluster has no "
            "VolumeSnapshotClass for that. There are no backups meanwhile; the chat runs."
        ),
        (
            "Make one for the CSI driver of the chat's StorageClass, with the snapshot controller "
            "and its CustomResourceDefinitions, or choose another destination."
        ),
    )
    CLIENT_SECRET_NOT_FOUND = (
        "ClientSecretNotFound",
        "AI0324",
        Severity.ERROR,
        "The Secret of the platform's identity provider is missing, not marked, or has no key.",
        (
            "Make it in the operator's namespace as the message says, or correct "
            "`spec.signIn.oidc` of the AIChatPlatform."
        ),
    )
    SIGN_IN_INCOMPLETE = (
        "SignInIncomplete",
        "AI0234",
        Severity.ERROR,
        "A way of signing in to the chat lacks what it needs.",
        "Change the field that the message names, or set `spec.signIn.oidc` of the AIChatPlatform.",
    )
    SIGN_IN_NOT_ALLOWED = (
        "SignInNotAllowed",
        "AI0235",
        Severity.ERROR,
        "The workspace decides what of signing in the platform decides for all.",
        (
            "Remove the field that the message names, or add to `spec.allowed.signIn` of the "
            "AIChatPlatform; for scopes of its client, to `spec.signIn.oidc.extraScopes`."
        ),
    )
    SECRET_NOT_FOUND = (
        "SecretNotFound",
        "AI0226",
        Severity.ERROR,
        "A referenced Secret is missing or not for this workspace.",
        "Make it in the system namespace, with the annotation that the message shows.",
    )
    SECRET_NOT_USABLE = (
        "SecretNotUsable",
        "AI0227",
        Severity.ERROR,
        "A referenced Secret has a value that Open WebUI can't take.",
        "Change the key that the message names.",
    )
    SECRET_TAKEN = (
        "SecretTaken",
        "AI0228",
        Severity.ERROR,
        "A Secret of somebody else has the name of the workspace's credentials.",
        "Rename it, or choose another `workspaceName`.",
    )
    SPEC_NOT_UNDERSTOOD = (
        "SpecNotUnderstood",
        "AI0229",
        Severity.ERROR,
        "The operator does not understand a field of the spec.",
        "Correct it, or bring the operator and its CRDs to the same version.",
    )
    STORAGE_CLASS_NOT_ALLOWED = (
        "StorageClassNotAllowed",
        "AI0230",
        Severity.ERROR,
        "It names a StorageClass that the platform does not allow.",
        (
            "Name another one in `spec.storage`, or add it to `spec.allowed.storageClasses` of "
            "the AIChatPlatform."
        ),
    )
    WORKSPACE_NAME_TAKEN = (
        "WorkspaceNameTaken",
        "AI0231",
        Severity.ERROR,
        "An older resource has the `workspaceName`.",
        "Delete this one and choose another.",
    )
    # the platform's settings have to be edited, or what they name created
    BACKUP_DESTINATION_NOT_ALLOWED = (
        "BackupDestinationNotAllowed",
        "AI0236",
        Severity.ERROR,
        "It names a backup destination that its team may not choose. The chat runs.",
        (
            "Change `spec.backup.destination`, or add the team to `allowedTeams` of the "
            "destination in `spec.backup.destinations` of the AIChatPlatform."
        ),
    )
    BACKUP_DESTINATION_NOT_FOUND = (
        "BackupDestinationNotFound",
        "AI0237",
        Severity.ERROR,
        (
            "It names a backup destination that the platform does not have, or the platform has "
            "none for its team. The chat runs."
        ),
        (
            "Change `spec.backup.destination`, or add it to `spec.backup.destinations` of the "
            "AIChatPlatform."
        ),
    )
    SIZE_CLASS_NOT_ALLOWED = (
        "SizeClassNotAllowed",
        "AI0232",
        Severity.ERROR,
        "It names a size class that its team may not choose.",
        (
            "Change `spec.className`, or add the team to `allowedTeams` of the class in "
            "`spec.sizeClasses` of the AIChatPlatform."
        ),
    )
    SIZE_CLASS_NOT_FOUND = (
        "SizeClassNotFound",
        "AI0233",
        Severity.ERROR,
        "It names a size class that the platform does not have.",
        "Change `spec.className`, or add the class to `spec.sizeClasses` of the AIChatPlatform.",
    )
    GATEWAY_NOT_FOUND = (
        "GatewayNotFound",
        "AI0301",
        Severity.WARNING,
        "`spec.ingress.gateway` of the AIChatPlatform names a Gateway that is not there.",
        "Make it, or correct its name.",
    )
    INGRESS_CLASS_NOT_FOUND = (
        "IngressClassNotFound",
        "AI0302",
        Severity.WARNING,
        "`spec.ingress.className` of the AIChatPlatform names an IngressClass that is not there.",
        "Install its controller, or correct the name.",
    )
    ISSUER_NOT_FOUND = (
        "IssuerNotFound",
        "AI0303",
        Severity.WARNING,
        "`spec.ingress.issuer` of the AIChatPlatform names a ClusterIssuer that is not there.",
        "Make it, or correct the name.",
    )
    SETTINGS_NOT_UNDERSTOOD = (
        "SettingsNotUnderstood",
        "AI0304",
        Severity.WARNING,
        (
            "The operator does not understand a field of the AIChatPlatform. Its earlier value "
            "holds; where none is known, what depends on it is left as it is."
        ),
        (
            "Correct the field that the message names, or bring the operator and its CRDs to "
            "the same version."
        ),
    )
    STORAGE_CLASS_NOT_FOUND = (
        "StorageClassNotFound",
        "AI0305",
        Severity.WARNING,
        (
            "`spec.storageClassName` of the AIChatPlatform names a StorageClass that is not "
            "there, or it is left out and the cluster has no default."
        ),
        "Name one that is there.",
    )
    # the cluster has to be repaired
    API_SERVER_NOT_ANSWERING = (
        "ApiServerNotAnswering",
        "AI0401",
        Severity.WAITING,
        (
            "The API server, or a webhook behind it, has not answered for a minute, or only "
            "with errors that pass. The workspace runs on; it is tried again by itself."
        ),
        "Wait; where it lasts, mend what the message names.",
    )
    CHANGED_BY_OTHERS = (
        "ChangedByOthers",
        "AI0402",
        Severity.WARNING,
        (
            "Somebody changes an object again and again, and the operator puts it back, at most "
            "some times a minute."
        ),
        "Change what the message names, so that it leaves the object be.",
    )
    CLOCK_DISAGREES = (
        "ClockDisagrees",
        "AI0403",
        Severity.WARNING,
        (
            "The operator's clock and the API server's differ by more than five minutes, so "
            "`spec.expiresAfter` is not carried out."
        ),
        "Set the clocks of the nodes.",
    )
    EXPIRY_REFUSED = (
        "ExpiryRefused",
        "AI0404",
        Severity.WARNING,
        "The API server refuses to delete the expired workspace.",
        "Mend what the message names; it is tried again by itself.",
    )
    OPERATOR_CRASHED = (
        "OperatorCrashed",
        "AI0405",
        Severity.WARNING,
        (
            "The operator fails on this workspace by a fault of its own. The workspace runs on "
            "as it is."
        ),
        "Read the operator's log, and report the fault with it.",
    )
    CONTAINER_NOT_STARTED = (
        "ContainerNotStarted",
        "AI0406",
        Severity.ERROR,
        "The node can't start a container.",
        "Mend what the message names.",
    )
    CRASH_LOOP = (
        "CrashLoop",
        "AI0407",
        Severity.ERROR,
        "A container keeps stopping.",
        "Read why with the command in the message.",
    )
    IMAGE_PULL_FAILED = (
        "ImagePullFailed",
        "AI0408",
        Severity.ERROR,
        "A node can't pull an image.",
        "Check `spec.images` of the AIChatPlatform and that nodes reach the registry.",
    )
    INGRESS_NOT_SERVED = (
        "IngressNotServed",
        "AI0409",
        Severity.WARNING,
        "The IngressClass of the workspace's Ingress, or a default one, is not there.",
        (
            "Install an ingress controller, or name its class in `spec.ingress.className` of "
            "the AIChatPlatform."
        ),
    )
    NAMESPACE_TERMINATING = (
        "NamespaceTerminating",
        "AI0410",
        Severity.WAITING,
        "The namespace was deleted by hand.",
        "Wait; it is made again once it is gone.",
    )
    NOT_READY_IN_TIME = (
        "NotReadyInTime",
        "AI0411",
        Severity.ERROR,
        "A pod has not become ready in ten minutes.",
        "Read why with the commands in the message.",
    )
    POD_NOT_ENDING = (
        "PodNotEnding",
        "AI0412",
        Severity.ERROR,
        "A pod does not end, so no other takes its place.",
        "Delete its node if it is gone for good, or read why with the command in the message.",
    )
    POD_REFUSED = (
        "PodRefused",
        "AI0413",
        Severity.ERROR,
        "The API server refuses the workload's pod, for its quota or a policy.",
        "Raise `spec.quota`, or see the policy that the message names.",
    )
    TOOLS_NOT_OFFERED = (
        "ToolsNotOffered",
        "AI0414",
        Severity.WARNING,
        (
            "Chats do not know of every model whether it calls tools, and offer them as they "
            "did before; everything else works."
        ),
        (
            "Read the message. Mostly the administrator's password was changed in Open WebUI, "
            "so that the operator can't sign in: set `spec.access.passwordReset`."
        ),
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        "AI0415",
        Severity.ERROR,
        "No node takes the pod.",
        "Add capacity, lower `spec.resources`, or correct `spec.scheduling`.",
    )
    ROUTE_NOT_ACCEPTED = (
        "RouteNotAccepted",
        "AI0416",
        Severity.WARNING,
        "No Gateway has accepted the workspace's HTTPRoute.",
        (
            "Check `spec.ingress.gateway` of the AIChatPlatform, and that the Gateway takes "
            "routes from other namespaces."
        ),
    )
    REWRITTEN_ON_WRITE = (
        "RewrittenOnWrite",
        "AI0417",
        Severity.WARNING,
        (
            "An admission webhook or policy changes an object while it is written, and the "
            "operator leaves it so."
        ),
        "Nothing to do, or exempt the operator's objects from it.",
    )
    UPGRADE_FAILED = (
        "UpgradeFailed",
        "AI0418",
        Severity.ERROR,
        "The workspace does not run with what the platform changed.",
        (
            "Correct the AIChatPlatform, or what the message names. Others go on until more "
            "have failed than `spec.upgrades.maxFailures` says."
        ),
    )
    UPGRADE_STOPPED = (
        "UpgradeStopped",
        "AI0419",
        Severity.WARNING,
        (
            "More workspaces failed with what the platform changed than "
            "`spec.upgrades.maxFailures` of the AIChatPlatform tolerates, so the others keep "
            "their pods."
        ),
        "Mend what they say, or correct the AIChatPlatform.",
    )
    UPGRADE_STUCK = (
        "UpgradeStuck",
        "AI0420",
        Severity.WARNING,
        "The workspace does not run for a reason of its own, and has given its turn on.",
        "Mend what the message names.",
    )
    VOLUME_KEPT = (
        "VolumeKept",
        "AI0421",
        Severity.WARNING,
        (
            "A volume that is there can neither shrink nor change its class, and grows only "
            "where its class allows it, so it stays as it is."
        ),
        (
            "Name in `spec.storage` what it has, make a new workspace, or set "
            "`allowVolumeExpansion` on the class if its driver can."
        ),
    )
    VOLUME_LOST = (
        "VolumeLost",
        "AI0422",
        Severity.ERROR,
        "A volume is gone.",
        "Restore it, or delete its claim to begin with an empty one.",
    )
    VOLUME_UNBOUND = (
        "VolumeUnbound",
        "AI0423",
        Severity.ERROR,
        "A claim has no volume.",
        "Check that its StorageClass exists and that its provisioner runs, or name another one.",
    )
    WRITE_REFUSED = (
        "WriteRefused",
        "AI0424",
        Severity.ERROR,
        "The API server refuses an object.",
        (
            "Mend what the message names: a policy, a quota, a permission or a field; it is "
            "tried again by itself."
        ),
    )
    BACKUP_OVERDUE = (
        "BackupOverdue",
        "AI0440",
        Severity.WARNING,
        "There is no new backup for longer than the schedule says.",
        (
            "Check why the last run failed, and that the CronJob in the workspace's namespace is "
            "not suspended and its Jobs get pods."
        ),
    )
    BACKUP_RUN_FAILED = (
        "BackupRunFailed",
        "AI0441",
        Severity.WARNING,
        (
            "A backup or a restore was refused: for a setting, too many files, or the name of a "
            "backup that was copied."
        ),
        "Mend what the message names, and ask again by another `request`.",
    )
    ARCHIVE_INVALID = (
        "ArchiveInvalid",
        "AI0442",
        Severity.WARNING,
        "A backup is torn, or was altered.",
        "Restore another backup.",
    )
    BACKUP_DATA_CHANGED = (
        "BackupDataChanged",
        "AI0443",
        Severity.WARNING,
        "The chat wrote while it was backed up, or a database of it is damaged.",
        "Wait for the next run, at an hour when nobody adds documents; or suspend the workspace.",
    )
    BACKUP_STORE_FAILED = (
        "BackupStoreFailed",
        "AI0444",
        Severity.WARNING,
        "The store of backups failed, or is not as the destination says.",
        (
            "Check the destination in the AIChatPlatform: endpoint, bucket and region, or the "
            "volume; the message has the store's own words."
        ),
    )
    BACKUP_VOLUME_FAILED = (
        "BackupVolumeFailed",
        "AI0445",
        Severity.WARNING,
        "A run can't read or write a volume.",
        "Check that the volume is not full, and that its node and its driver work.",
    )
    BACKUP_RUN_KILLED = (
        "BackupRunKilled",
        "AI0446",
        Severity.WARNING,
        "The pod of a backup or a restore ended without a result.",
        "Check whether it lacked memory or disk, or its node was lost; the next run is made.",
    )
    BACKUP_RUN_NOT_STARTED = (
        "BackupRunNotStarted",
        "AI0447",
        Severity.WARNING,
        "The pod of a backup or a restore never ran.",
        "Mend what the message names: an image, a node, a volume or a Secret.",
    )
    BACKUP_RUN_TIMED_OUT = (
        "BackupRunTimedOut",
        "AI0448",
        Severity.WARNING,
        "A backup or a restore took longer than its deadline.",
        "Check whether the store answers, and how fast; the next run is made anyway.",
    )
    BACKUP_SNAPSHOT_FAILED = (
        "BackupSnapshotFailed",
        "AI0450",
        Severity.WARNING,
        "The cluster could not make a snapshot of the chat's volume.",
        (
            "Mend what the message names, as the driver's limit of snapshots or its class; the "
            "snapshot controller tries again."
        ),
    )
    BACKUP_OUT_OF_REACH = (
        "BackupOutOfReach",
        "AI0452",
        Severity.WARNING,
        "`spec.restore` names another workspace's backup on a volume or in a snapshot.",
        "Make a backup of that workspace in a bucket, and name it in `spec.restore.destination`.",
    )
    RESTORE_CANCELLED = (
        "RestoreCancelled",
        "AI0449",
        Severity.WARNING,
        "`spec.restore` was removed before the restore had ended.",
        "Nothing to do: the data is the old or wholly the backup's, as the message says.",
    )
    BACKUP_NOT_FOUND = (
        "BackupNotFound",
        "AI0460",
        Severity.WARNING,
        (
            "The destination has no backup of that name for this workspace, or for its source, or "
            "its snapshot is not ready."
        ),
        (
            "Name a backup of `status.backup`; for one of another destination, name that in "
            "`spec.restore.destination`. The message has the newest one that is there."
        ),
    )
    BACKUP_NO_ROOM = (
        "BackupNoRoom",
        "AI0461",
        Severity.WARNING,
        (
            "There is no room: on the chat's volume for the old data and the new, in a run's "
            "scratch space for a copy of a database, or on the backups' volume."
        ),
        (
            "Raise `spec.storage.openWebUI`, which bounds the scratch space, too; for backups on a "
            "volume raise the destination's `size`, or lower `spec.backup.keep`. Then ask again by "
            "another `request`."
        ),
    )
    BACKUP_OF_ANOTHER = (
        "BackupOfAnother",
        "AI0462",
        Severity.WARNING,
        "The backup, or the folder of the store, is another workspace's.",
        (
            "Name the other workspace in `spec.restore.source` to make a clone. Where a folder "
            "has another one's backups, move them away, or use another `spec.workspaceName`."
        ),
    )
    BACKUP_PASSPHRASE_WRONG = (
        "BackupPassphraseWrong",
        "AI0463",
        Severity.WARNING,
        "A backup was sealed with another passphrase than the platform's present one.",
        (
            "Put the passphrase of that time into the Secret of "
            "`spec.backup.passphraseSecretName` for the restore, as the platform team, or restore "
            "another backup."
        ),
    )
    BACKUP_STORE_REFUSED = (
        "BackupStoreRefused",
        "AI0464",
        Severity.WARNING,
        "The store of backups does not know the keys, or does not let them do this.",
        (
            "Correct the keys in the destination's Secret, as the platform team, or give them the "
            "rights to list, read, write and delete objects below the prefix."
        ),
    )
    BACKUP_STORE_UNREACHABLE = (
        "BackupStoreUnreachable",
        "AI0465",
        Severity.WARNING,
        "The store of backups did not answer.",
        (
            "Check that the destination's endpoint, its certificate, the proxy and the addresses "
            "that network policies let through are right, and that the store runs."
        ),
    )
