"""Every reason that a condition may have, and what to do about it.

The reference page is generated from this table, and a test compares it with the code.
"""

from typing import Final

REASONS: Final = {
    # all is well, or time is enough
    "Accepted": "The platform's settings are in force. Nothing to do.",
    "Available": "The workload runs as it should. Nothing to do.",
    "Created": "Every object exists. Nothing to do.",
    "Creating": "Objects are being made. Wait; it takes seconds.",
    "ModelsWaiting": "Models or patterns wait: for the model server, for a place among the "
    "downloads, for another model, or for room that a removed one makes. Wait; where it does "
    "not go on, the condition OllamaAvailable and the message say why.",
    "ModelsReady": "Every model and pattern is there. Nothing to do.",
    "Pulling": "Models are being downloaded. Wait; `status.models` says how far and how fast.",
    "Ready": "People can chat. Open `status.url` and sign in.",
    "ExpiresSoon": "Its time is over within a day; the message says when, and whether it is then "
    "deleted or stopped. Raise or remove `spec.expiresAfter` to keep it.",
    "ReferencesResolved": "All that the platform's settings name is there. Nothing to do.",
    "Served": "The IngressClass of the workspace's Ingress is there, or a Gateway has accepted its "
    "HTTPRoute. Nothing to do.",
    "Starting": "The workload's pod is starting. Wait; the first start of the chat takes a minute.",
    "StorageAsAsked": "Its volumes are as `spec.storage` says. Nothing to do.",
    "Suspended": "Both workloads are stopped. Set `spec.suspended` to false to go on; where its "
    "time is over, raise or remove `spec.expiresAfter`.",
    "Synced": "The operator keeps every object as the spec says. Nothing to do.",
    "Terminating": "The workspace is being deleted, with its namespace. Wait; where something "
    "holds the namespace, the message says what: remove that.",
    "ToolsOffered": "Chats offer tools to the models that can call them. Nothing to do.",
    "ToolsWaiting": "Chats do not follow yet what the present models can do: one of the two "
    "servers is not up, or the models have just changed. Wait; where it can't be done, the reason "
    "becomes `ToolsNotOffered`.",
    "StoredAsApplied": "The API server has every object as it was applied. Nothing to do.",
    "UpToDate": "The workspace runs as the platform's settings are now. Nothing to do.",
    "Upgrading": "The workspace changes its pods, and others wait for it. Wait.",
    "UpgradePaused": "The AIChatPlatform says that upgrades are paused. Remove its annotation "
    "`apps.aichatworkspaces.io/upgrades` to go on.",
    "UpgradeSkipped": "The workspace is left out of upgrades. Remove its annotation "
    "`apps.aichatworkspaces.io/upgrades` to let it take part.",
    "UpgradeWaiting": "Other workspaces change their pods first. Wait.",
    # the resource has to be edited
    "CeilingExceeded": "It asks for more than the platform allows. Lower the field that the "
    "message names, or raise `spec.ceiling` of the AIChatPlatform.",
    "CredentialsIncomplete": "The Secret of the workspace's credentials lacks keys. Put them back, "
    "or delete the Secret, and all of them are made again.",
    "GpuNotAllowed": "It asks for a resource that the platform does not offer as a graphics "
    "processor. Change `spec.resources.ollama.gpu.resourceName`, or add it to "
    "`spec.allowed.gpuResources` of the AIChatPlatform.",
    "HostNotAllowed": "Its host is reserved, or under none of the platform's domains. Change "
    "`spec.ingress.host`, or add the domain to `spec.ingress.allowedDomains` of the "
    "AIChatPlatform.",
    "HostTaken": "Another workspace has the host. Change `spec.ingress.host`.",
    "ModelDigestDiffers": "A model does not have the digest that `spec.models` asks for: its tag "
    "has moved. Correct the digest, or leave it out.",
    "IngressClassNotAllowed": "It names an IngressClass that the platform does not allow. "
    "Remove `spec.ingress.className`, or add it to `spec.allowed.ingressClasses` of the "
    "AIChatPlatform.",
    "IssuerNotAllowed": "It names a ClusterIssuer that the platform does not allow. Remove "
    "`spec.ingress.tls`, or add the issuer to `spec.allowed.issuers` of the AIChatPlatform.",
    "ModelFailed": "A model or pattern can't be had; the message says which and why. Correct "
    "`spec.models` or `spec.patterns`; a failed download is tried again by itself.",
    "ModelHosted": "A model runs at ollama.com and not here, so no prompt is sent to it. Name a "
    "model without `cloud` in its tag.",
    "ModelNeedsMemory": "A model is larger than the model server's memory, so no prompt would be "
    "answered. Raise `spec.resources.ollama.memoryLimit` to what the message says.",
    "ModelNeedsNewerServer": "The registry gives a model only to a newer Ollama. Set "
    "`spec.images.ollama` of the AIChatPlatform to a newer one; the download then goes by itself.",
    "ModelNotFound": "The registry has no model of that name. Correct `spec.models` or "
    "`spec.embeddingModel`.",
    "ModelNotListed": "A model was downloaded, and the model server does not list it. Correct its "
    "name in `spec.models`.",
    "ModelPrivate": "The registry has no such model, or does not let the model server have it. "
    "Correct its name, or add the key that the message names to an account that may read it.",
    "ModelRefused": "The registry or the model server refuses a model; the message has their "
    "words. Name another one.",
    "ModelsVolumeFull": "The models' volume is full. Raise `spec.storage.ollama.size`, or remove a "
    "model.",
    "ModelTooLarge": "The models' volume has no room for a model. Raise "
    "`spec.storage.ollama.size`, or remove a model.",
    "NamespaceReserved": "The name belongs to the cluster or the API. Delete the resource and "
    "choose another `workspaceName`.",
    "NamespaceRetained": "A deleted workspace left the namespace behind. Set "
    "`spec.namespaceUID` to take it over, or delete the namespace.",
    "NamespaceTaken": "A namespace of this name exists and is not the workspace's. Delete the "
    "resource and choose another `workspaceName`, or remove the namespace. Of a namespace whose "
    "resource is gone, as after a restore from a backup, the message has the command that gives it "
    "to this one.",
    "QuotaTooSmall": "The quota that it chose has no room for all pods. Raise the field of "
    "`spec.quota` that the message names, or leave it out.",
    "RegistryNotAllowed": "A model comes from a registry that the platform does not allow. Remove "
    "it from the field that the message names, or add the registry to "
    "`spec.models.allowedRegistries` of the AIChatPlatform.",
    "SchedulingNotAllowed": "It names a node label or a taint that the platform does not allow. "
    "Remove it from `spec.scheduling`, or add it to `spec.allowed.nodeSelectorKeys` or "
    "`tolerationKeys` of the AIChatPlatform.",
    "SecretIncomplete": "A referenced Secret lacks keys. Add them.",
    "SecretNotFound": "A referenced Secret is missing or not for this workspace. Make it in the "
    "system namespace, with the annotation that the message shows.",
    "SecretNotUsable": "A referenced Secret has a value that Open WebUI can't take. Change the key "
    "that the message names.",
    "SecretTaken": "A Secret of somebody else has the name of the workspace's credentials. Rename "
    "it, or choose another `workspaceName`.",
    "SpecNotUnderstood": "The operator does not understand a field of the spec. Correct it, or "
    "bring the operator and its CRDs to the same version.",
    "StorageClassNotAllowed": "It names a StorageClass that the platform does not allow. Name "
    "another one in `spec.storage`, or add it to `spec.allowed.storageClasses` of the "
    "AIChatPlatform.",
    "WorkspaceNameTaken": "An older resource has the `workspaceName`. Delete this one and choose "
    "another.",
    # the platform's settings have to be edited, or what they name created
    "GatewayNotFound": "`spec.ingress.gateway` of the AIChatPlatform names a Gateway that is not "
    "there. Make it, or correct its name.",
    "IngressClassNotFound": "`spec.ingress.className` of the AIChatPlatform names an IngressClass "
    "that is not there. Install its controller, or correct the name.",
    "IssuerNotFound": "`spec.ingress.issuer` of the AIChatPlatform names a ClusterIssuer that is "
    "not there. Make it, or correct the name.",
    "SettingsNotUnderstood": "The operator does not understand a field of the AIChatPlatform. Its "
    "earlier value holds; where none is known, what depends on it is left as it is. Correct the "
    "field that the message names, or bring the operator and its CRDs to the same version.",
    "StorageClassNotFound": "`spec.storageClassName` of the AIChatPlatform names a StorageClass "
    "that is not there, or it is left out and the cluster has no default. Name one that is there.",
    # the cluster has to be repaired
    "ApiServerNotAnswering": "The API server, or a webhook behind it, has not answered for a "
    "minute, or only with errors that pass. The workspace runs on; it is tried again by itself. "
    "Wait; where it lasts, mend what the message names.",
    "ChangedByOthers": "Somebody changes an object again and again, and the operator puts it back, "
    "at most some times a minute. Change what the message names, so that it leaves the object be.",
    "ClockDisagrees": "The operator's clock and the API server's differ by more than five minutes, "
    "so `spec.expiresAfter` is not carried out. Set the clocks of the nodes.",
    "ExpiryRefused": "The API server refuses to delete the expired workspace. Mend what the "
    "message names; it is tried again by itself.",
    "OperatorCrashed": "The operator fails on this workspace by a fault of its own. The workspace "
    "runs on as it is. Read the operator's log, and report the fault with it.",
    "ContainerNotStarted": "The node can't start a container. Mend what the message names.",
    "CrashLoop": "A container keeps stopping. Read why with the command in the message.",
    "ImagePullFailed": "A node can't pull an image. Check `spec.images` of the AIChatPlatform and "
    "that nodes reach the registry.",
    "IngressNotServed": "The IngressClass of the workspace's Ingress, or a default one, is not "
    "there. Install an ingress controller, or name its class in `spec.ingress.className` of the "
    "AIChatPlatform.",
    "NamespaceTerminating": "The namespace was deleted by hand. Wait; it is made again once it "
    "is gone.",
    "NotReadyInTime": "A pod has not become ready in ten minutes. Read why with the commands in "
    "the message.",
    "PodNotEnding": "A pod does not end, so no other takes its place. Delete its node if it is "
    "gone for good, or read why with the command in the message.",
    "PodRefused": "The API server refuses the workload's pod, for its quota or a policy. Raise "
    "`spec.quota`, or see the policy that the message names.",
    "ToolsNotOffered": "Chats do not know of every model whether it calls tools, and offer them as "
    "they did before; everything else works. Read the message. Mostly the administrator's password "
    "was changed in Open WebUI, so that the operator can't sign in: set "
    "`spec.access.passwordReset`.",
    "Unschedulable": "No node takes the pod. Add capacity, lower `spec.resources`, or correct "
    "`spec.scheduling`.",
    "RouteNotAccepted": "No Gateway has accepted the workspace's HTTPRoute. Check "
    "`spec.ingress.gateway` of the AIChatPlatform, and that the Gateway takes routes from other "
    "namespaces.",
    "RewrittenOnWrite": "An admission webhook or policy changes an object while it is written, and "
    "the operator leaves it so. Nothing to do, or exempt the operator's objects from it.",
    "UpgradeFailed": "The workspace does not run with what the platform changed. Correct the "
    "AIChatPlatform, or what the message names. Others go on until more have failed than "
    "`spec.upgrades.maxFailures` says.",
    "UpgradeStopped": "More workspaces failed with what the platform changed than "
    "`spec.upgrades.maxFailures` of the AIChatPlatform tolerates, so the others keep their pods. "
    "Mend what they say, or correct the AIChatPlatform.",
    "UpgradeStuck": "The workspace does not run for a reason of its own, and has given its turn "
    "on. Mend what the message names.",
    "VolumeKept": "A volume that is there can neither shrink nor change its class, and grows only "
    "where its class allows it, so it stays as it is. Name in `spec.storage` what it has, make a "
    "new workspace, or set `allowVolumeExpansion` on the class if its driver can.",
    "VolumeLost": "A volume is gone. Restore it, or delete its claim to begin with an empty one.",
    "VolumeUnbound": "A claim has no volume. Check that its StorageClass exists and that its "
    "provisioner runs, or name another one.",
    "WriteRefused": "The API server refuses an object. Mend what the message names: a policy, a "
    "quota, a permission or a field; it is tried again by itself.",
}
