"""What each field of a workspace's spec does to the objects: two values of it, and where they show.

`fields` is the workspace. A unit test fails when a field of the models is missing here.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tests.schemas import nested

NAME: Final = "fields"
OLLAMA: Final = f"StatefulSet/{NAME}-ollama"
CHAT: Final = f"Deployment/{NAME}-openwebui"
QUOTA: Final = f"ResourceQuota/{NAME}"
INGRESS: Final = f"Ingress/{NAME}-openwebui"
OIDC: Final = {
    "providerURL": "https://id.example.org/a",
    "clientID": "chat",
    "secretName": "keys-a",
}
CONNECTION: Final = {"name": "one", "url": "https://one.example.org/v1", "secretName": "keys-a"}


@dataclass(frozen=True)
class Seen:
    """A tenant: what we rendered, without what others write, and what is told of it. Secrets are
    kept when they are no longer named, so they are no part of being the same."""

    objects: Mapping[str, Any]
    status: Mapping[str, Any]
    created: str
    secrets: Mapping[str, Any] = field(compare=False)


Look = Callable[[Seen], Any]


@dataclass(frozen=True)
class Field:
    """One field's effect: `spec` with each of two values of it, and what is then to be seen."""

    spec: Callable[[Any], Any]
    values: tuple[Any, Any]
    look: Look
    shows: Sequence[Any]


def pod(seen: Seen, workload: str) -> Any:
    return seen.objects[workload]["spec"]["template"]["spec"]


def container(seen: Seen, workload: str) -> Any:
    return pod(seen, workload)["containers"][0]


def variables(seen: Seen, workload: str) -> dict[str, Any]:
    """What each variable says, where it is to be read from in a Secret."""
    return {
        variable["name"]: _secret(seen, variable["valueFrom"])
        if "valueFrom" in variable
        else variable.get("value", "")
        for variable in container(seen, workload)["env"]
    }


def _secret(seen: Seen, source: Any) -> str:
    named = source["secretKeyRef"]
    return base64.b64decode(seen.secrets[named["name"]][named["key"]]).decode()


def _variable(workload: str, name: str) -> Look:
    return lambda seen: variables(seen, workload).get(name)


def _hard(name: str) -> Look:
    return lambda seen: seen.objects[QUOTA]["spec"]["hard"].get(name)


def _share(workload: str, bound: str, resource: str) -> Look:
    return lambda seen: container(seen, workload)["resources"][bound][resource]


def _ingress(name: str) -> Look:
    return lambda seen: seen.objects[INGRESS]["spec"].get(name)


def _issuer(seen: Seen) -> Any:
    marks = seen.objects[INGRESS]["annotations"]
    return {key: value for key, value in marks.items() if key.startswith("cert-manager.io/")}


def _tolerations(seen: Seen) -> Any:
    tolerations = [pod(seen, workload).get("tolerations", []) for workload in (OLLAMA, CHAT)]
    assert tolerations[0] == tolerations[1]
    return tolerations[0]


def _certificate(seen: Seen) -> Any:
    tls = seen.objects[INGRESS]["spec"].get("tls")
    return seen.secrets[tls[0]["secretName"]]["tls.crt"] if tls else None


def _lifetime_hours(seen: Seen) -> Any:
    ends = seen.status.get("expiresAt")
    if not ends:
        return None
    lifetime = datetime.fromisoformat(ends) - datetime.fromisoformat(seen.created)
    return lifetime.total_seconds() // 3600


def _told(name: str) -> Look:
    return lambda seen: [entry["name"] for entry in seen.status.get(name, ())]


def _shown(path: str, values: tuple[Any, Any], look: Look, shows: Any = None) -> Field:
    return Field(
        lambda value: nested(path, value), values, look, values if shows is None else shows
    )


def _of_shares() -> dict[str, Field]:
    values = {
        "cpuRequest": ("250m", "300m"),
        "cpuLimit": ("3", "3500m"),
        "memoryRequest": ("600Mi", "700Mi"),
        "memoryLimit": ("6Gi", "7Gi"),
    }
    return {
        (path := f"resources.{part}.{name}"): _shown(
            path,
            value,
            _share(
                workload, f"{name.removeprefix('cpu').removeprefix('memory').lower()}s", resource
            ),
        )
        for part, workload in (("ollama", OLLAMA), ("openWebUI", CHAT))
        for name, value in values.items()
        for resource in ("cpu", "memory")
        if name.startswith(resource)
    }


def _gpu(**gpu: Any) -> Any:
    return {"resources": {"ollama": {"gpu": gpu}}}


def _gpus(seen: Seen) -> Any:
    limits = container(seen, OLLAMA)["resources"]["limits"]
    hard = seen.objects[QUOTA]["spec"]["hard"]
    return [
        (name, amount, hard[f"requests.{name}"]) for name, amount in limits.items() if "/" in name
    ]


def _toleration(**changes: Any) -> Any:
    return {"scheduling": {"tolerations": [{"key": "gpu", **changes}]}}


def _oidc(**changes: Any) -> Any:
    return {"access": {"oidc": {**OIDC, **changes}}}


def _connection(**changes: Any) -> Any:
    return {"connections": [{**CONNECTION, **changes}]}


FIELDS: Final[dict[str, Field]] = {
    "className": Field(
        lambda name: {"className": name},
        ("small", "large"),
        lambda seen: (
            container(seen, OLLAMA)["resources"]["limits"]["memory"],
            seen.objects[QUOTA]["spec"]["hard"]["limits.memory"],
        ),
        (("3Gi", "5Gi"), ("5Gi", "7Gi")),
    ),
    "workspaceENV": _shown("workspaceENV", ("prod", "test"), _variable(CHAT, "ENV")),
    "models": _shown(
        "models",
        (["qwen3:1b"], ["gemma2:9b", "models.example.org:5000/a/b:1"]),
        lambda seen: (
            _told("models")(seen),
            variables(seen, CHAT)["DEFAULT_MODELS"],
            [
                port["port"]
                for port in seen.objects[f"NetworkPolicy/{NAME}-ollama"]["spec"]["egress"][0][
                    "ports"
                ]
            ],
        ),
        (
            (["qwen3:1b", "nomic-embed-text:latest"], "qwen3:1b", [443]),
            (
                ["gemma2:9b", "models.example.org:5000/a/b:1", "nomic-embed-text:latest"],
                "gemma2:9b",
                [443, 5000],
            ),
        ),
    ),
    "patterns": _shown(
        "patterns", (["translate"], ["brainstorm", "extract_facts"]), _told("patterns")
    ),
    "embeddingModel": _shown(
        "embeddingModel",
        ("all-minilm", "none"),
        lambda seen: (variables(seen, CHAT)["RAG_EMBEDDING_MODEL"], _told("models")(seen)),
        (("all-minilm:latest", ["all-minilm:latest"]), ("", [])),
    ),
    **_of_shares(),
    "resources.ollama.gpu.count": Field(
        lambda count: _gpu(count=count),
        (2, 3),
        _gpus,
        ([("nvidia.com/gpu", "2", "2")], [("nvidia.com/gpu", "3", "3")]),
    ),
    "resources.ollama.gpu.resourceName": Field(
        lambda name: _gpu(count=1, resourceName=name),
        ("amd.com/gpu", "example.org/tpu"),
        _gpus,
        ([("amd.com/gpu", "1", "1")], [("example.org/tpu", "1", "1")]),
    ),
    "quota.cpu": _shown("quota.cpu", ("20", "21"), _hard("limits.cpu")),
    "quota.memory": _shown("quota.memory", ("40Gi", "41Gi"), _hard("limits.memory")),
    "quota.storage": _shown("quota.storage", ("100Gi", "101Gi"), _hard("requests.storage")),
    "ingress.className": _shown(
        "ingress.className", ("special", "other"), _ingress("ingressClassName")
    ),
    "ingress.host": _shown(
        "ingress.host",
        ("our.chat.localtest.me", "your.chat.localtest.me"),
        lambda seen: (
            _ingress("rules")(seen)[0]["host"],
            variables(seen, CHAT)["WEBUI_URL"],
            seen.status["url"],
        ),
        (
            ("our.chat.localtest.me", *["http://our.chat.localtest.me"] * 2),
            ("your.chat.localtest.me", *["http://your.chat.localtest.me"] * 2),
        ),
    ),
    "ingress.tls.secretName": _shown(
        "ingress.tls.secretName",
        ("keys-a", "keys-b"),
        _certificate,
        tuple(base64.b64encode(f"tls.crt of keys-{letter}".encode()).decode() for letter in "ab"),
    ),
    "ingress.tls.issuer.name": _shown(
        "ingress.tls.issuer.name",
        ("ours", "theirs"),
        lambda seen: (_issuer(seen), seen.status["url"]),
        tuple(
            ({"cert-manager.io/cluster-issuer": issuer}, f"https://{NAME}.localtest.me")
            for issuer in ("ours", "theirs")
        ),
    ),
    "ingress.tls.issuer.kind": Field(
        lambda kind: {"ingress": {"tls": {"issuer": {"name": "ours", "kind": kind}}}},
        ("Issuer", "ClusterIssuer"),
        _issuer,
        ({"cert-manager.io/issuer": "ours"}, {"cert-manager.io/cluster-issuer": "ours"}),
    ),
    "suspended": _shown(
        "suspended",
        (True, False),
        lambda seen: [seen.objects[workload]["spec"]["replicas"] for workload in (OLLAMA, CHAT)],
        ([0, 0], [1, 1]),
    ),
    "expiresAfter": _shown("expiresAfter", ("36h", "30d"), _lifetime_hours, (36, 720)),
    "connections[].name": Field(
        lambda name: _connection(name=name),
        ("one", "two"),
        lambda seen: [
            variable["valueFrom"]["secretKeyRef"]["name"].removeprefix(f"{NAME}-openwebui-")[:14]
            for variable in container(seen, CHAT)["env"]
            if variable["name"] == "CONNECTION_0_KEY"
        ],
        (["connection-one"], ["connection-two"]),
    ),
    "connections[].url": Field(
        lambda url: _connection(url=url),
        ("https://one.example.org/v1", "https://two.example.org:8443/v1"),
        lambda seen: (
            variables(seen, CHAT).get("OPENAI_API_BASE_URLS"),
            [
                port["port"]
                for port in seen.objects[f"NetworkPolicy/{NAME}-back-ends"]["spec"]["egress"][0][
                    "ports"
                ]
            ],
        ),
        (("https://one.example.org/v1", [443]), ("https://two.example.org:8443/v1", [8443])),
    ),
    "connections[].secretName": Field(
        lambda name: _connection(secretName=name),
        ("keys-a", "keys-b"),
        _variable(CHAT, "CONNECTION_0_KEY"),
        ("apiKey of keys-a", "apiKey of keys-b"),
    ),
    "access.adminSecretName": _shown(
        "access.adminSecretName",
        ("keys-a", "keys-b"),
        lambda seen: [
            variables(seen, CHAT)[f"WEBUI_ADMIN_{suffix}"] for suffix in ("EMAIL", "PASSWORD")
        ],
        tuple([f"email of keys-{letter}", f"password of keys-{letter}"] for letter in "ab"),
    ),
    "access.signUp": _shown(
        "access.signUp", (True, False), _variable(CHAT, "ENABLE_SIGNUP"), ("true", "false")
    ),
    "access.oidc.providerURL": Field(
        lambda url: _oidc(providerURL=url),
        ("https://id.example.org/a", "https://id.example.org/b"),
        _variable(CHAT, "OPENID_PROVIDER_URL"),
        ("https://id.example.org/a", "https://id.example.org/b"),
    ),
    "access.oidc.clientID": Field(
        lambda client: _oidc(clientID=client),
        ("chat", "talk"),
        _variable(CHAT, "OAUTH_CLIENT_ID"),
        ("chat", "talk"),
    ),
    "access.oidc.secretName": Field(
        lambda name: _oidc(secretName=name),
        ("keys-a", "keys-b"),
        _variable(CHAT, "OAUTH_CLIENT_SECRET"),
        ("clientSecret of keys-a", "clientSecret of keys-b"),
    ),
    "access.oidc.providerName": Field(
        lambda name: _oidc(providerName=name),
        ("Ours", "Cost $(HOME)"),
        _variable(CHAT, "OAUTH_PROVIDER_NAME"),
        ("Ours", "Cost $$(HOME)"),
    ),
    "access.oidc.signUp": Field(
        lambda allowed: _oidc(signUp=allowed),
        (False, True),
        _variable(CHAT, "ENABLE_OAUTH_SIGNUP"),
        ("false", "true"),
    ),
    "access.oidc.roles.claim": Field(
        lambda claim: _oidc(roles={"allowed": ["a"], "claim": claim}),
        ("realm_access.roles", "roles"),
        _variable(CHAT, "OAUTH_ROLES_CLAIM"),
        ("realm_access.roles", "roles"),
    ),
    "access.oidc.roles.allowed": Field(
        lambda roles: _oidc(roles={"allowed": roles}),
        (["chatters"], ["chatters", "Team A"]),
        lambda seen: [
            variables(seen, CHAT).get(name) for name in ("OAUTH_ALLOWED_ROLES", "DEFAULT_USER_ROLE")
        ],
        (["chatters", "pending"], ["chatters,Team A", "pending"]),
    ),
    "access.oidc.roles.admin": Field(
        lambda roles: _oidc(roles={"admin": roles}),
        (["heads"], ["heads", "chairs"]),
        _variable(CHAT, "OAUTH_ADMIN_ROLES"),
        ("heads", "heads,chairs"),
    ),
    "access.oidc.groups.claim": Field(
        lambda claim: _oidc(groups={"claim": claim}),
        ("teams", "groups"),
        _variable(CHAT, "OAUTH_GROUPS_CLAIM"),
        ("teams", "groups"),
    ),
    "access.oidc.groups.create": Field(
        lambda create: _oidc(groups={"create": create}),
        (True, False),
        _variable(CHAT, "ENABLE_OAUTH_GROUP_CREATION"),
        ("true", "false"),
    ),
    "access.oidc.allowedDomains": Field(
        lambda domains: _oidc(allowedDomains=domains),
        (["example.org"], ["example.org", "b.example.org"]),
        _variable(CHAT, "OAUTH_ALLOWED_DOMAINS"),
        ("example.org", "example.org,b.example.org"),
    ),
    "access.oidc.extraScopes": Field(
        lambda scopes: _oidc(extraScopes=scopes),
        (["groups"], ["groups", "urn:example:roles"]),
        _variable(CHAT, "OAUTH_SCOPES"),
        ("openid email profile groups", "openid email profile groups urn:example:roles"),
    ),
    "access.oidc.verifiedEmailClaim": Field(
        lambda claim: _oidc(verifiedEmailClaim=claim),
        ("email", "verified_email"),
        lambda seen: [
            variables(seen, CHAT).get(name)
            for name in ("OAUTH_EMAIL_CLAIM", "OAUTH_MERGE_ACCOUNTS_BY_EMAIL")
        ],
        (["email", "true"], ["verified_email", "true"]),
    ),
    "access.passwordForm": Field(
        lambda shown: {"access": {"oidc": OIDC, "passwordForm": shown}},
        (False, True),
        _variable(CHAT, "ENABLE_LOGIN_FORM"),
        ("false", None),
    ),
    "access.apiKeys": _shown(
        "access.apiKeys",
        (True, False),
        lambda seen: [
            variables(seen, CHAT).get(name)
            for name in ("ENABLE_API_KEYS", "USER_PERMISSIONS_FEATURES_API_KEYS")
        ],
        (["true", "true"], [None, None]),
    ),
    "access.scim": Field(
        lambda served: {
            "access": {"oidc": {**OIDC, "verifiedEmailClaim": "email"}, "scim": served}
        },
        (True, False),
        lambda seen: [
            variables(seen, CHAT).get("ENABLE_SCIM"),
            len(variables(seen, CHAT).get("SCIM_TOKEN", "")),
        ],
        (["true", 64], [None, 0]),
    ),
    "scheduling.nodeSelector": _shown(
        "scheduling.nodeSelector",
        ({"pool": "gpu"}, {"example.org/zone": "a"}),
        lambda seen: [pod(seen, workload).get("nodeSelector") for workload in (OLLAMA, CHAT)],
        tuple(
            [{"kubernetes.io/os": "linux", **labels}] * 2
            for labels in ({"pool": "gpu"}, {"example.org/zone": "a"})
        ),
    ),
    "scheduling.tolerations[].key": Field(
        lambda key: _toleration(key=key, operator="Exists"),
        ("gpu", "example.org/slow"),
        _tolerations,
        tuple([{"key": key, "operator": "Exists"}] for key in ("gpu", "example.org/slow")),
    ),
    "scheduling.tolerations[].operator": Field(
        lambda operator: _toleration(operator=operator),
        ("Exists", "Equal"),
        _tolerations,
        tuple([{"key": "gpu", "operator": operator}] for operator in ("Exists", "Equal")),
    ),
    "scheduling.tolerations[].value": Field(
        lambda value: _toleration(value=value),
        ("a", "b"),
        _tolerations,
        tuple([{"key": "gpu", "operator": "Equal", "value": value}] for value in "ab"),
    ),
    "scheduling.tolerations[].effect": Field(
        lambda effect: _toleration(effect=effect),
        ("NoSchedule", "NoExecute"),
        _tolerations,
        tuple(
            [{"key": "gpu", "operator": "Equal", "effect": effect}]
            for effect in ("NoSchedule", "NoExecute")
        ),
    ),
    "scheduling.tolerations[].tolerationSeconds": Field(
        lambda seconds: _toleration(effect="NoExecute", tolerationSeconds=seconds),
        (60, 0),
        lambda seen: [toleration.get("tolerationSeconds") for toleration in _tolerations(seen)],
        ([60], [0]),
    ),
    "ollama.contextLength": _shown(
        "ollama.contextLength",
        (8192, 4096),
        _variable(OLLAMA, "OLLAMA_CONTEXT_LENGTH"),
        ("8192", "4096"),
    ),
    "ollama.keepAlive": _shown(
        "ollama.keepAlive", ("30m", "-1"), _variable(OLLAMA, "OLLAMA_KEEP_ALIVE")
    ),
    "ollama.parallelRequests": _shown(
        "ollama.parallelRequests", (2, 3), _variable(OLLAMA, "OLLAMA_NUM_PARALLEL"), ("2", "3")
    ),
    "ollama.loadedModels": _shown(
        "ollama.loadedModels", (1, 3), _variable(OLLAMA, "OLLAMA_MAX_LOADED_MODELS"), ("1", "3")
    ),
}

# What is not told by editing a workspace that stays: the file and the test that show it.
TOGETHER: Final = frozenset(f"access.oidc.{name}" for name in OIDC)
"""Fields of which the API server refuses some without the others."""
ELSEWHERE: Final = {
    "backup.schedule": ("test_backup_runs", "test_a_cron_job_is_what_spec_backup_says"),
    "backup.timeZone": ("test_backup_runs", "test_a_cron_job_is_what_spec_backup_says"),
    "backup.keep": ("test_backup_runs", "test_a_cron_job_is_what_spec_backup_says"),
    "restore.backup": ("test_restores", "test_a_new_workspace_begins_with_a_backups_data"),
    "restore.destination": (
        "test_restores",
        "test_a_new_workspace_begins_with_a_backups_data",
    ),
    "restore.source": ("test_restores", "test_a_new_workspace_begins_with_a_backups_data"),
    "restore.request": (
        "test_restores",
        "test_a_restore_that_is_killed_goes_on_and_one_that_is_refused_starts_the_old_chat",
    ),
    "backup.destination": ("test_backup_runs", "test_a_team_chooses_among_its_destinations"),
    "backup.request": ("test_backup_runs", "test_a_request_is_one_job"),
    "workspaceName": ("fields/test_spec_fields", "test_the_api_server_refuses"),
    "displayName": ("fields/test_spec_fields", "test_what_tells_people_restarts_nothing"),
    "description": ("fields/test_spec_fields", "test_what_tells_people_restarts_nothing"),
    "labels": ("fields/test_spec_fields", "test_what_tells_people_restarts_nothing"),
    "costCentre": ("fields/test_spec_fields", "test_what_tells_people_restarts_nothing"),
    "restart.ollama": ("fields/test_spec_fields", "test_a_restart_is_made_once"),
    "restart.openWebUI": ("fields/test_spec_fields", "test_a_restart_is_made_once"),
    "access.oidc.enabled": (
        "test_platform",
        "test_what_the_platform_decides_of_signing_in_is_refused_by_its_field",
    ),
    "access.passwordReset": (
        "fields/test_spec_fields",
        "test_each_password_reset_makes_a_new_password",
    ),
    "storage.ollama.size": ("fields/test_spec_fields", "test_a_claim_is_what_storage_says"),
    "storage.openWebUI.size": ("fields/test_spec_fields", "test_a_claim_is_what_storage_says"),
    "storage.ollama.storageClassName": (
        "fields/test_spec_fields",
        "test_a_claim_is_what_storage_says",
    ),
    "storage.openWebUI.storageClassName": (
        "fields/test_spec_fields",
        "test_a_claim_is_what_storage_says",
    ),
    "modelPullPolicy": ("test_model_registry", "test_a_moved_tag_is_followed_on_purpose_only"),
    "deletionPolicy": ("test_lifetimes", "test_the_deletion_policy_is_the_last_one_that_was_set"),
    "expiry": ("test_lifetimes", "test_a_workspace_whose_time_is_over_can_be_stopped_instead"),
    "namespaceUID": ("test_lifetimes", "test_a_retained_namespace_is_taken_over_only_by_its_uid"),
}
