"""What each setting of the platform does to a workspace that was there before: an edit of it, and
where it shows. A unit test fails when a setting of the models is missing here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.domain import versions
from tests.integration.conftest import SYSTEM, Cluster
from tests.integration.tenants import condition
from tests.schemas import merged, nested

NAME: Final = "settled"
LABELS: Final = {"app": "front"}
PULL_SECRET: Final = "registry-of-settled"
AUTHORITIES: Final = "authorities-of-settled"
CLIENT_SECRET: Final = "client-of-settled"
"""Two Secrets and a ConfigMap of the system namespace that the settings name."""
ELSEWHERE_NAME: Final = "settled-elsewhere"
"""A workspace whose host is under a domain that is not the platform's."""
CLASS_NAME: Final = "settled-class"
"""A workspace that names an IngressClass which the platform does not allow."""
ISSUER_NAME: Final = "settled-issuer"
"""A workspace that names an issuer which the platform does not allow."""
OTHER_DOMAIN: Final = "example.org"

Look = Callable[[Cluster], object]


@dataclass(frozen=True)
class Edit:
    """The platform's settings, and what is then to be seen."""

    spec: Any
    look: Look
    shows: object


def container(cluster: Cluster, workload: str) -> Any:
    document = cluster.get(workload, "-n", NAME)
    return document["spec"]["template"]["spec"]["containers"][0]


def ingress(cluster: Cluster) -> Any:
    return cluster.get("ingress", f"{NAME}-openwebui", "-n", NAME)


def _of_ingress(name: str) -> Look:
    return lambda cluster: ingress(cluster)["spec"].get(name)


def _annotation(name: str) -> Look:
    return lambda cluster: ingress(cluster)["metadata"].get("annotations", {}).get(name)


def _told(name: str) -> Look:
    return lambda cluster: cluster.get("aiws", NAME, "-n", SYSTEM)["status"].get(name)


def _reason(word: str, name: str = NAME) -> Look:
    """Whether the condition says so."""
    return lambda cluster: word in str(condition(cluster, name))


def _route(name: str) -> Look:
    def look(cluster: Cluster) -> object:
        routes = cluster.get("httproutes", "-n", NAME)["items"]
        return routes[0]["spec"]["parentRefs"][0].get(name) if routes else None

    return look


def _policy(name: str) -> Any:
    return lambda cluster: cluster.get("networkpolicy", f"{NAME}-{name}", "-n", NAME)["spec"]


def _egress(name: str) -> Look:
    """The peers of a policy's rules, one after the other."""
    return lambda cluster: [
        peer for rule in _policy(name)(cluster)["egress"] for peer in rule["to"]
    ]


def _dns_ports(cluster: Cluster) -> object:
    return sorted({port["port"] for port in _policy("default-deny")(cluster)["egress"][0]["ports"]})


def _way_in(cluster: Cluster) -> Any:
    return _policy("openwebui")(cluster)["ingress"][0]


def _variable(name: str, workload: str = "openWebUI") -> Look:
    def look(cluster: Cluster) -> object:
        variables = container(cluster, WORKLOADS[workload])["env"]
        return next((entry["value"] for entry in variables if entry["name"] == name), None)

    return look


def _is_in(look: Look, part: str) -> Look:
    return lambda cluster: part in str(look(cluster))


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _labelled(name: str) -> dict[str, Any]:
    return {**_namespace(name), "podSelector": {"matchLabels": LABELS}}


def _block(cidr: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr}}


def _edit(path: str, value: Any, look: Look, shows: Any = None, **around: Any) -> Edit:
    """The setting alone, or with what it needs `around` it."""
    return Edit(merged(around, nested(path, value)), look, value if shows is None else shows)


WORKLOADS: Final = {
    "ollama": f"statefulset/{NAME}-ollama",
    "openWebUI": f"deployment/{NAME}-openwebui",
}
_SHARES: Final = {
    "cpuRequest": ("requests", "cpu", "150m"),
    "cpuLimit": ("limits", "cpu", "3"),
    "memoryRequest": ("requests", "memory", "768Mi"),
    "memoryLimit": ("limits", "memory", "3Gi"),
}


def _share(workload: str, bound: str, resource: str) -> Look:
    return lambda cluster: container(cluster, workload)["resources"][bound][resource]


def _image(workload: str) -> Look:
    return lambda cluster: container(cluster, workload)["image"]


_PROXY: Final = {"proxy": {"url": "http://192.0.2.8:3128"}}
_GATEWAY: Final = {"gateway": {"name": "front", "namespace": "edge"}}


def _pod(name: str) -> Look:
    return lambda cluster: _pod_of(cluster).get(name)


def _pod_of(cluster: Cluster) -> Any:
    return cluster.get(WORKLOADS["openWebUI"], "-n", NAME)["spec"]["template"]["spec"]


def _pod_mark(part: str) -> Look:
    def look(cluster: Cluster) -> object:
        template = cluster.get(WORKLOADS["ollama"], "-n", NAME)["spec"]["template"]
        return template["metadata"].get(part, {}).get(_TIER)

    return look


def _namespace_mark(part: str) -> Look:
    return lambda cluster: cluster.get("namespace", NAME)["metadata"][part].get(_TIER)


def _way_in_mark(part: str) -> Look:
    return lambda cluster: ingress(cluster)["metadata"].get(part, {}).get(_TIER)


def _hard(name: str) -> Look:
    return lambda cluster: cluster.get("quota", NAME, "-n", NAME)["spec"]["hard"][name]


_TIER: Final = "example.org/tier"
_POOL: Final = {"key": "example.org/pool", "operator": "In", "values": ["a"]}
_TERM: Final = {"matchExpressions": [_POOL]}
_PREFERRED: Final = {"weight": 7, "preference": _TERM}
_REQUIRED: Final = {"nodeSelectorTerms": [_TERM]}
_DURING: Final = "DuringSchedulingIgnoredDuringExecution"
_KATA: Final = {
    "pods": {
        "runtimeClass": {"name": "kata", "cpuOverhead": "250m", "memoryOverhead": "128Mi"},
    }
}
_POD_EDITS: Final = {
    "pods.runAs": _edit(
        "pods.runAs",
        "Cluster",
        lambda cluster: "runAsUser" in _pod_of(cluster)["securityContext"],
        False,
    ),
    "pods.runtimeClass.name": Edit(_KATA, _pod("runtimeClassName"), "kata"),
    "pods.runtimeClass.cpuOverhead": Edit(_KATA, _hard("limits.cpu"), "6500m"),
    "pods.runtimeClass.memoryOverhead": Edit(_KATA, _hard("limits.memory"), "10496Mi"),
    "pods.priorityClassName": _edit("pods.priorityClassName", "chats", _pod("priorityClassName")),
    **{
        f"pods.nodeAffinity.required[].matchExpressions[].{field}": Edit(
            {"pods": {"nodeAffinity": {"required": [_TERM]}}},
            _pod("affinity"),
            {"nodeAffinity": {f"required{_DURING}": _REQUIRED}},
        )
        for field in _POOL
    },
    **{
        f"pods.nodeAffinity.preferred[].{field}": Edit(
            {"pods": {"nodeAffinity": {"preferred": [_PREFERRED]}}},
            _pod("affinity"),
            {"nodeAffinity": {f"preferred{_DURING}": [_PREFERRED]}},
        )
        for field in ("weight", *(f"preference.matchExpressions[].{part}" for part in _POOL))
    },
    "pods.spreadOver": _edit(
        "pods.spreadOver",
        ["topology.kubernetes.io/zone"],
        lambda cluster: "topology.kubernetes.io/zone" in str(_pod_of(cluster).get("affinity")),
        True,
    ),
    "pods.hostUsers": _edit("pods.hostUsers", False, _pod("hostUsers")),
    "pods.metadata.labels": _edit("pods.metadata.labels", {_TIER: "b"}, _pod_mark("labels"), "b"),
    "pods.metadata.annotations": _edit(
        "pods.metadata.annotations", {_TIER: "b"}, _pod_mark("annotations"), "b"
    ),
    "namespaceMetadata.labels": _edit(
        "namespaceMetadata.labels", {_TIER: "b"}, _namespace_mark("labels"), "b"
    ),
    "namespaceMetadata.annotations": _edit(
        "namespaceMetadata.annotations", {_TIER: "b"}, _namespace_mark("annotations"), "b"
    ),
    "ingress.metadata.labels": _edit(
        "ingress.metadata.labels", {_TIER: "b"}, _way_in_mark("labels"), "b"
    ),
    "ingress.metadata.annotations": _edit(
        "ingress.metadata.annotations", {_TIER: "b"}, _way_in_mark("annotations"), "b"
    ),
}
_PROVIDER: Final = {
    "providerURL": "https://id.example.org/.well-known/openid-configuration",
    "clientID": "chats",
    "secretName": CLIENT_SECRET,
}
_ROLES: Final = {"allowed": ["chatters"]}


def _sign_in(field: str, value: Any, variable: str, shows: str) -> Edit:
    """A setting of the platform's provider."""
    path = f"signIn.oidc.{field}"
    return _edit(path, value, _variable(variable), shows, signIn={"oidc": _PROVIDER})


def _client_secret(cluster: Cluster) -> object:
    """The copy that the chat reads, without the digest of its content."""
    variables = container(cluster, WORKLOADS["openWebUI"])["env"]
    sources = [entry["valueFrom"] for entry in variables if entry["name"] == "OAUTH_CLIENT_SECRET"]
    return [source["secretKeyRef"]["name"].rpartition("-")[0] for source in sources]


_SIGN_IN_EDITS: Final = {
    "signIn.oidc.providerURL": _sign_in(
        "providerURL", "https://id.example.org/b", "OPENID_PROVIDER_URL", "https://id.example.org/b"
    ),
    "signIn.oidc.clientID": _sign_in("clientID", "talks", "OAUTH_CLIENT_ID", "talks"),
    "signIn.oidc.secretName": _edit(
        "signIn.oidc.secretName",
        CLIENT_SECRET,
        _client_secret,
        [f"{NAME}-openwebui-platform-oidc"],
        signIn={"oidc": _PROVIDER},
    ),
    "signIn.oidc.providerName": _sign_in("providerName", "Ours", "OAUTH_PROVIDER_NAME", "Ours"),
    "signIn.oidc.signUp": _sign_in("signUp", False, "ENABLE_OAUTH_SIGNUP", "false"),
    "signIn.oidc.roles.claim": _sign_in(
        "roles",
        {**_ROLES, "claim": "realm_access.roles"},
        "OAUTH_ROLES_CLAIM",
        "realm_access.roles",
    ),
    "signIn.oidc.roles.allowed": _sign_in("roles", _ROLES, "OAUTH_ALLOWED_ROLES", "chatters"),
    "signIn.oidc.roles.admin": _sign_in("roles", {"admin": ["a", "b"]}, "OAUTH_ADMIN_ROLES", "a,b"),
    "signIn.oidc.groups.claim": _sign_in(
        "groups", {"claim": "teams"}, "OAUTH_GROUPS_CLAIM", "teams"
    ),
    "signIn.oidc.groups.create": _sign_in(
        "groups", {"create": True}, "ENABLE_OAUTH_GROUP_CREATION", "true"
    ),
    "signIn.oidc.allowedDomains": _sign_in(
        "allowedDomains", ["example.org"], "OAUTH_ALLOWED_DOMAINS", "example.org"
    ),
    "signIn.oidc.extraScopes": _sign_in(
        "extraScopes", ["groups"], "OAUTH_SCOPES", "openid email profile groups"
    ),
    "signIn.oidc.verifiedEmailClaim": _sign_in(
        "verifiedEmailClaim", "verified_email", "OAUTH_EMAIL_CLAIM", "verified_email"
    ),
    "signIn.passwordForm": _edit(
        "signIn.passwordForm",
        False,
        _variable("ENABLE_LOGIN_FORM"),
        "false",
        signIn={"oidc": _PROVIDER},
    ),
    "signIn.apiKeys": _edit("signIn.apiKeys", True, _variable("ENABLE_API_KEYS"), "true"),
    "signIn.scim": _edit(
        "signIn.scim",
        True,
        _variable("ENABLE_SCIM"),
        "true",
        signIn={"oidc": {**_PROVIDER, "verifiedEmailClaim": "email"}},
    ),
}
EDITS: Final[dict[str, Edit]] = {
    **_POD_EDITS,
    **_SIGN_IN_EDITS,
    **{
        f"{part}.{name}": _edit(f"{part}.{name}", value, _share(workload, bound, resource))
        for part, workload in WORKLOADS.items()
        for name, (bound, resource, value) in _SHARES.items()
    },
    "images.mirror": _edit(
        "images.mirror",
        "mirror.example.org/upstream",
        _image(WORKLOADS["openWebUI"]),
        f"mirror.example.org/upstream/open-webui/open-webui:v{versions.OPEN_WEBUI}",
    ),
    "images.ollama": _edit(
        "images.ollama", "docker.io/ollama/ollama:0.99.0", _image(WORKLOADS["ollama"])
    ),
    "images.openWebUI": _edit(
        "images.openWebUI",
        f"ghcr.io/open-webui/open-webui@sha256:{'a' * 64}",
        _image(WORKLOADS["openWebUI"]),
    ),
    "ingress.domain": _edit(
        "ingress.domain",
        "chat.example.org",
        lambda cluster: _of_ingress("rules")(cluster)[0]["host"],  # type: ignore[index]
        f"{NAME}.chat.example.org",
    ),
    "ingress.className": _edit("ingress.className", "special", _of_ingress("ingressClassName")),
    "ingress.allowedDomains": _edit(
        "ingress.allowedDomains",
        [OTHER_DOMAIN],
        lambda cluster: condition(cluster, ELSEWHERE_NAME).get("status"),
        "True",
    ),
    "ingress.reservedHosts": _edit(
        "ingress.reservedHosts", [f"{NAME}.localtest.me"], _reason("HostNotAllowed"), True
    ),
    "ingress.profile": _edit(
        "ingress.profile", "HAProxy", _annotation("haproxy.org/timeout-tunnel"), "3600s"
    ),
    "ingress.issuer.name": _edit(
        "ingress.issuer.name", "ours", _annotation("cert-manager.io/cluster-issuer")
    ),
    "ingress.issuer.kind": _edit(
        "ingress.issuer.kind",
        "Issuer",
        _annotation("cert-manager.io/issuer"),
        "ours",
        ingress={"issuer": {"name": "ours"}},
    ),
    "ingress.defaultCertificate": _edit(
        "ingress.defaultCertificate",
        True,
        lambda cluster: (_of_ingress("tls")(cluster), _told("url")(cluster)),
        ([{"hosts": [f"{NAME}.localtest.me"]}], f"https://{NAME}.localtest.me"),
    ),
    "ingress.gateway.name": _edit("ingress.gateway.name", "back", _route("name"), ingress=_GATEWAY),
    "ingress.gateway.namespace": _edit(
        "ingress.gateway.namespace", "rim", _route("namespace"), ingress=_GATEWAY
    ),
    "ingress.gateway.sectionName": _edit(
        "ingress.gateway.sectionName", "https", _route("sectionName"), ingress=_GATEWAY
    ),
    "ingress.port": _edit("ingress.port", 8080, _told("url"), f"http://{NAME}.localtest.me:8080"),
    "ingress.controllerNamespaces": _edit(
        "ingress.controllerNamespaces",
        ["edge"],
        lambda cluster: _policy("openwebui")(cluster)["ingress"][0]["from"],
        [_namespace("edge")],
    ),
    "network.egressExcept": _edit(
        "network.egressExcept",
        ["203.0.113.0/24"],
        lambda cluster: _policy("ollama")(cluster)["egress"][0]["to"][0]["ipBlock"]["except"],
    ),
    "network.egressAllow": _edit(
        "network.egressAllow",
        ["10.1.2.3/32"],
        lambda cluster: _policy("ollama")(cluster)["egress"][0]["to"][2:],
        [{"ipBlock": {"cidr": "10.1.2.3/32"}}],
    ),
    "ingress.controllerPodLabels": _edit(
        "ingress.controllerPodLabels",
        LABELS,
        lambda cluster: _way_in(cluster)["from"],
        [_labelled("edge")],
        ingress={"controllerNamespaces": ["edge"]},
    ),
    "ingress.sourceRanges": _edit(
        "ingress.sourceRanges",
        ["192.0.2.0/24", "2001:db8::/32"],
        lambda cluster: _way_in(cluster)["from"],
        [_namespace("edge"), _block("192.0.2.0/24"), _block("2001:db8::/32")],
        ingress={"controllerNamespaces": ["edge"]},
    ),
    "ingress.anySource": _edit(
        "ingress.anySource", True, lambda cluster: "from" in _way_in(cluster), False
    ),
    "network.dns.namespaces": _edit(
        "network.dns.namespaces",
        ["lime-dns"],
        _egress("default-deny"),
        [_namespace("lime-dns")],
        network={"dns": {"addresses": []}},
    ),
    "network.dns.podLabels": _edit(
        "network.dns.podLabels",
        LABELS,
        _egress("default-deny"),
        [_labelled("lime-dns")],
        network={"dns": {"addresses": [], "namespaces": ["lime-dns"]}},
    ),
    "network.dns.addresses": _edit(
        "network.dns.addresses",
        ["fd00::a/128"],
        _egress("default-deny"),
        [_namespace("lime-dns"), _block("fd00::a/128")],
        network={"dns": {"namespaces": ["lime-dns"]}},
    ),
    "network.dns.ports": _edit("network.dns.ports", [1053], _dns_ports),
    "network.ipFamily": _edit("network.ipFamily", "IPv6", _variable("HOST"), "::"),
    "proxy.url": _edit(
        "proxy.url",
        "http://192.0.2.9:3128",
        lambda cluster: (
            _variable("HTTPS_PROXY", "ollama")(cluster),
            _variable("HTTPS_PROXY")(cluster),
            _egress("ollama")(cluster),
        ),
        ("http://192.0.2.9:3128", "http://192.0.2.9:3128", [_block("192.0.2.9/32")]),
    ),
    "proxy.addresses": _edit(
        "proxy.addresses", ["fd00::8/128"], _egress("ollama"), [_block("fd00::8/128")], **_PROXY
    ),
    "proxy.namespaces": _edit(
        "proxy.namespaces",
        ["edge"],
        _egress("ollama"),
        [_namespace("edge")],
        proxy={"url": "http://proxy.edge.svc:3128"},
    ),
    "proxy.podLabels": _edit(
        "proxy.podLabels",
        LABELS,
        _egress("ollama"),
        [_labelled("edge")],
        proxy={"url": "http://proxy.edge.svc:3128", "namespaces": ["edge"]},
    ),
    "proxy.noProxy": _edit(
        "proxy.noProxy",
        ["corp.example.org"],
        _is_in(_variable("NO_PROXY"), "corp.example.org"),
        True,
        **_PROXY,
    ),
    "trustedAuthorities.configMapName": _edit(
        "trustedAuthorities.configMapName",
        AUTHORITIES,
        lambda cluster: (
            _variable("SSL_CERT_DIR", "ollama")(cluster),
            _variable("SSL_CERT_FILE")(cluster),
        ),
        (
            "/etc/ssl/certs:/etc/pki/tls/certs:/etc/aichat/authorities",
            "/etc/aichat/trusted/ca.crt",
        ),
    ),
    "trustedAuthorities.key": _edit(
        "trustedAuthorities.key",
        "another.crt",
        _reason("AuthoritiesNotFound"),
        True,
        trustedAuthorities={"configMapName": AUTHORITIES},
    ),
    "imagePullSecretNames": _edit(
        "imagePullSecretNames",
        [PULL_SECRET],
        lambda cluster: cluster.get(WORKLOADS["ollama"], "-n", NAME)["spec"]["template"][
            "spec"
        ].get("imagePullSecrets"),
        [{"name": f"{NAME}-openwebui-pull-1"}],
    ),
    "models.embeddingModel": _edit(
        "models.embeddingModel",
        "none",
        lambda cluster: [model["name"] for model in _told("models")(cluster)],  # type: ignore[attr-defined]
        ["gemma2:2b"],
    ),
    "models.allowedRegistries": _edit(
        "models.allowedRegistries", ["models.example.org"], _reason("RegistryNotAllowed"), True
    ),
    "allowed.nodeSelectorKeys": _edit(
        "allowed.nodeSelectorKeys", ["example.org/pool"], _reason("spec.scheduling.node"), True
    ),
    "allowed.tolerationKeys": _edit(
        "allowed.tolerationKeys", ["example.org/slow"], _reason("spec.scheduling.tol"), True
    ),
    "allowed.gpuResources": _edit(
        "allowed.gpuResources", ["amd.com/gpu"], _reason("GpuNotAllowed"), True
    ),
    "allowed.storageClasses": _edit(
        "allowed.storageClasses", ["bulk"], _reason("StorageClassNotAllowed"), True
    ),
    "allowed.ingressClasses": _edit(
        "allowed.ingressClasses", ["public"], _reason("IngressClassNotAllowed", CLASS_NAME), False
    ),
    "allowed.issuers": _edit(
        "allowed.issuers", ["corp"], _reason("IssuerNotAllowed", ISSUER_NAME), False
    ),
    "ceiling.cpu": _edit("ceiling.cpu", "1", _reason("spec.quota.cpu"), True),
    "ceiling.memory": _edit("ceiling.memory", "1Gi", _reason("spec.quota.memory"), True),
    "ceiling.storage": _edit("ceiling.storage", "1Gi", _reason("spec.quota.storage"), True),
    "ceiling.gpus": _edit("ceiling.gpus", 0, _reason("spec.resources.ollama.gpu.count"), True),
}

# What does not show in the objects of a workspace that was there before: the file and the test.
ELSEWHERE: Final = {
    "backup.destinations[].name": (
        "test_backup_runs",
        "test_a_team_chooses_among_its_destinations",
    ),
    "backup.destinations[].allowedTeams": (
        "test_backup_runs",
        "test_a_destination_that_can_not_be_had_is_a_condition",
    ),
    "backup.destinations[].volume.size": (
        "test_backup_runs",
        "test_a_team_chooses_among_its_destinations",
    ),
    "backup.destinations[].volume.storageClassName": (
        "test_backup_runs",
        "test_a_team_chooses_among_its_destinations",
    ),
    "backup.destinations[].snapshot.volumeSnapshotClassName": (
        "test_volume_snapshots",
        "test_a_destination_names_the_class_of_its_snapshots",
    ),
    "backup.destinations[].s3.secretName": (
        "test_backup_runs",
        "test_a_destination_that_can_not_be_had_is_a_condition",
    ),
    "backup.destinations[].description": (
        "test_backup_runs",
        "test_a_run_goes_where_the_platform_says",
    ),
    "backup.destinations[].s3.endpoint": (
        "test_backup_runs",
        "test_a_run_goes_where_the_platform_says",
    ),
    "backup.destinations[].s3.bucket": (
        "test_backup_runs",
        "test_a_run_goes_where_the_platform_says",
    ),
    "backup.destinations[].s3.prefix": (
        "test_backup_runs",
        "test_a_run_goes_where_the_platform_says",
    ),
    "backup.destinations[].s3.region": (
        "test_backup_runs",
        "test_a_run_goes_where_the_platform_says",
    ),
    "backup.destinations[].s3.namespaces": (
        "test_backup_runs",
        "test_a_run_goes_where_the_platform_says",
    ),
    "backup.destinations[].s3.podLabels": (
        "test_backup_runs",
        "test_a_run_goes_where_the_platform_says",
    ),
    "backup.destinations[].s3.addresses": (
        "test_backup_runs",
        "test_a_run_goes_where_the_platform_says",
    ),
    "backup.destinations[].s3.ports": (
        "test_backup_runs",
        "test_a_run_goes_where_the_platform_says",
    ),
    "backup.passphraseSecretName": (
        "test_backup_runs",
        "test_without_a_passphrase_there_are_no_backups",
    ),
    "allowed.signIn": (
        "test_platform",
        "test_what_the_platform_decides_of_signing_in_is_refused_by_its_field",
    ),
    "storageClassName": ("test_platform", "test_a_new_workspace_gets_the_platforms_volumes"),
    "ollama.storage": ("test_platform", "test_a_new_workspace_gets_the_platforms_volumes"),
    "openWebUI.storage": ("test_platform", "test_a_new_workspace_gets_the_platforms_volumes"),
    "models.concurrentPulls": ("test_platform", "test_downloads_follow_the_platforms_settings"),
    "models.insecureRegistries": ("test_platform", "test_downloads_follow_the_platforms_settings"),
    "deletion.retainAll": ("test_absence", "test_the_platform_retains_what_is_deleted"),
    "deletion.orphanGraceHours": ("test_absence", "test_it_is_stopped_and_can_be_taken_over"),
    "allowed.foreignMetadata": (
        "test_platform",
        "test_others_may_add_only_the_annotations_and_labels_that_the_platform_lists",
    ),
    **dict.fromkeys(
        (
            "sizeClasses[].name",
            "sizeClasses[].description",
            "sizeClasses[].models",
            *(
                f"sizeClasses[].resources.{part}.{bound}"
                for part in ("ollama", "openWebUI")
                for bound in _SHARES
            ),
            "sizeClasses[].resources.ollama.gpu.count",
            "sizeClasses[].resources.ollama.gpu.resourceName",
            *(
                f"sizeClasses[].storage.{part}.{field}"
                for part in ("ollama", "openWebUI")
                for field in ("size", "storageClassName")
            ),
        ),
        ("test_platform", "test_a_size_class_gives_what_its_workspaces_leave_out"),
    ),
    "sizeClasses[].allowedTeams": (
        "test_platform",
        "test_a_size_class_that_is_missing_or_of_others_is_refused_by_name_and_keeps_what_runs",
    ),
    "sizeClasses[].successor": (
        "test_upgrades",
        "test_a_retired_size_class_moves_its_workspaces_a_few_at_a_time",
    ),
    "upgrades.concurrent": (
        "test_lifetimes",
        "test_changed_images_reach_workspaces_a_few_at_a_time",
    ),
    "upgrades.maxFailures": (
        "test_refusals",
        "test_an_image_that_a_policy_refuses_stops_with_the_first_workspace",
    ),
    "upgrades.turnDeadlineSeconds": (
        "test_upgrades",
        "test_behind_a_policy_that_rewrites_images_all_are_upgraded_and_nothing_is_written_in_a_loop",
    ),
}
