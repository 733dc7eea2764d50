"""Every field of the spec: set, changed, reverted and removed, emptied, refused."""

import json
from collections.abc import Iterator
from functools import reduce
from typing import Any, Final

import pytest

from tests.integration.conftest import SYSTEM, Cluster, Operator, platform, workspace
from tests.integration.spec_fields import (
    CHAT,
    FIELDS,
    INGRESS,
    NAME,
    OLLAMA,
    TOGETHER,
    Field,
    Seen,
    variables,
)
from tests.integration.tenants import (
    bound_volume,
    condition,
    edit,
    growing_class,
    secret,
    seen,
    settled,
)
from tests.schemas import containers, is_required, merged, nested, without
from tests.specs import ALLOWED, KEYS, SCHEMA, SECRETS, SIZE_CLASSES
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")
# The platform lists what teams may choose by name, and the registries with a port of their own.
ANYTHING_GOES: Final = platform(
    {
        "allowed": ALLOWED,
        "sizeClasses": SIZE_CLASSES,
        "models": {"insecureRegistries": ["models.example.org:5000"]},
    }
)
OWNER: Final = f"{SYSTEM}/{NAME}"
COST_CENTRE: Final = "aichatworkspaces.io/cost-centre"
# With nothing in it, a certificate is refused: it is one thing or the other. An empty backup is one
# on demand, and an empty restore is of no backup.
EMPTIED: Final = sorted(
    path
    for path in set(containers(SCHEMA)) - {"ingress.tls", "restart", "labels", "backup", "restore"}
    if not path.startswith("storage")
)


@pytest.fixture(scope="module")
def tenant(cluster: Cluster) -> Iterator[str]:
    for name in SECRETS:
        cluster.apply(secret(name, OWNER, {key: f"{key} of {name}" for key in KEYS}))
    cluster.apply(ANYTHING_GOES)
    cluster.apply(workspace(NAME))
    eventually(lambda: created(cluster, NAME), f"{NAME} is provisioned")
    yield NAME
    cluster.kube.delete("aiws", NAME, SYSTEM)
    cluster.kubectl("delete", "aichatplatform", "default")


def created(cluster: Cluster, name: str) -> bool:
    return bool(cluster.get("aiws", name, "-n", SYSTEM).get("status", {}).get("isCreated"))


def ask(cluster: Cluster, spec: Any) -> None:
    edit(cluster, NAME, {"workspaceName": NAME, **spec})


def now(cluster: Cluster) -> Seen:
    settled(cluster, NAME)
    return seen(cluster, NAME)


def effect(field: Field, seen: Seen) -> object:
    """None for what is not there."""
    try:
        return field.look(seen)
    except (KeyError, IndexError):
        return None


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_set_changed_reverted_and_removed(
    cluster: Cluster, tenant: str, name: str
) -> None:
    """F13: each field by itself."""
    field = FIELDS[name]
    specs = [field.spec(value) for value in field.values]
    before = now(cluster)
    assert effect(field, before) != field.shows[0]
    ask(cluster, specs[0])
    shows(cluster, field, 0)
    once = now(cluster)
    ask(cluster, specs[1])
    shows(cluster, field, 1)
    ask(cluster, specs[0])
    shows(cluster, field, 0)
    eventually(lambda: now(cluster) == once, f"{tenant} is as {name} made it first")
    is_alone = not is_required(SCHEMA, name) and name not in TOGETHER
    if (rest := without(specs[0], name)) and is_alone:
        ask(cluster, rest)
        eventually(lambda: effect(field, now(cluster)) != field.shows[0], f"{name} is left out")
    ask(cluster, {})
    eventually(lambda: now(cluster) == before, f"{tenant} is as before {name}")


def shows(cluster: Cluster, field: Field, which: int) -> None:
    eventually(
        lambda: effect(field, now(cluster)) == field.shows[which],
        f"{field.values[which]} shows",
    )


@pytest.mark.usefixtures("tenant")
@pytest.mark.parametrize("path", EMPTIED)
def test_a_part_that_is_emptied_is_as_if_it_had_never_been_set(cluster: Cluster, path: str) -> None:
    """F13: each part by itself."""
    before = now(cluster)
    full = everything_of(path)
    ask(cluster, full)
    eventually(lambda: now(cluster) != before, f"{path} is set")
    ask(cluster, nested(path, type(part(full, path))()))
    eventually(lambda: now(cluster) == before, f"{path} is emptied")
    ask(cluster, {})


def everything_of(path: str) -> Any:
    """All fields below it at once; of the two kinds of certificate there can be one."""
    fields = [
        field.spec(field.values[0])
        for name, field in FIELDS.items()
        if name.startswith((f"{path}.", f"{path}[]")) or name == path
        if name != "ingress.tls.secretName"
    ]
    return reduce(merged, fields)


def part(document: Any, path: str) -> Any:
    return reduce(lambda value, name: value[name], path.split("."), document)


def test_each_password_reset_makes_a_new_password(cluster: Cluster, tenant: str) -> None:
    """Set, changed and reverted; to take the wish out or to empty it is none."""
    used = [password(cluster)]
    for text in ("one", "two", "one"):
        ask(cluster, {"access": {"passwordReset": text}})
        eventually(lambda: password(cluster) not in used, f"after {text} {tenant} has a new one")
        used.append(password(cluster))
    for access in ({}, {"passwordReset": ""}):
        ask(cluster, {"access": access, "workspaceENV": "prod"})
        shows(cluster, FIELDS["workspaceENV"], 0)
        ask(cluster, {"access": access})
        eventually(lambda: variables(now(cluster), CHAT)["ENV"] == "dev", "it is seen")
        assert password(cluster) == used[-1]
    ask(cluster, {})


def test_a_restart_is_made_once(cluster: Cluster, tenant: str, shared_operator: Operator) -> None:
    """Each workload by itself. Neither the next edit nor the operator's next start repeats it, and
    to take the wish out or to empty it is none."""
    never = templates(cluster)
    assert not any(restart for restart, _ in never.values())
    ask(cluster, {"restart": {"ollama": "one"}})
    eventually(lambda: templates(cluster)[OLLAMA][0] == "one", f"{tenant}'s model server restarts")
    once = templates(cluster)
    assert once[CHAT] == never[CHAT]
    assert once[OLLAMA][1] == never[OLLAMA][1] + 1
    for spec in ({}, {"restart": {"ollama": ""}}, {"restart": {"openWebUI": ""}}):
        ask(cluster, {**spec, "suspended": True})
        shows(cluster, FIELDS["suspended"], 0)
        ask(cluster, {**spec, "suspended": False})
        shows(cluster, FIELDS["suspended"], 1)
        assert templates(cluster)[OLLAMA][0] == "one"
    ask(cluster, {"restart": {"ollama": "one", "openWebUI": "two"}})
    eventually(lambda: templates(cluster)[CHAT][0] == "two", f"{tenant}'s chat restarts")
    settled(cluster, tenant)
    twice = templates(cluster)
    assert twice[OLLAMA][0] == "one"
    shared_operator.stop()
    written = len(cluster.writes())
    shared_operator.start()
    ask(cluster, {"models": ["qwen3:1b"], "restart": {"ollama": "one", "openWebUI": "two"}})
    settled(cluster, tenant)
    assert not any("statefulsets" in write for write in cluster.writes()[written:])
    assert templates(cluster)[OLLAMA] == twice[OLLAMA]
    ask(cluster, {})


def test_what_tells_people_restarts_nothing(cluster: Cluster, tenant: str) -> None:
    """Only the cost centre is seen at all: by tools that tell costs, at the namespace."""
    before, pods = now(cluster), templates(cluster)
    hostile = {"aichatworkspaces.io/upgrade-order": "1", "pod-security.kubernetes.io/enforce": "a"}
    spec = {"displayName": "Team A's <chat>", "description": "For\nus.", "labels": hostile}
    assert cost_centre(cluster) is None
    for value in ("CC-1", "CC-2"):
        ask(cluster, {**spec, "costCentre": value})
        eventually(lambda value=value: cost_centre(cluster) == value, f"{value} pays")  # type: ignore[misc]
        assert now(cluster) == before
    namespace = cluster.get("namespace", tenant)["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"
    cluster.kubectl("label", "namespace", tenant, f"{COST_CENTRE}=theirs", "--overwrite")
    eventually(lambda: cost_centre(cluster) == "CC-2", "an edit of it is put back")
    ask(cluster, {})
    eventually(lambda: cost_centre(cluster) is None, "no one pays")
    assert (now(cluster), templates(cluster)) == (before, pods)


def cost_centre(cluster: Cluster) -> str | None:
    marks: dict[str, str] = cluster.get("namespace", NAME)["metadata"]["labels"]
    return marks.get(COST_CENTRE)


def templates(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """For each workload, the restart that its pods were started for, and its generation."""
    restarts = {}
    for workload in (OLLAMA, CHAT):
        kind, _, name = workload.partition("/")
        manifest = cluster.get(kind.lower(), name, "-n", NAME)
        marks = manifest["spec"]["template"]["metadata"].get("annotations", {})
        restart = marks.get("apps.aichatworkspaces.io/restart", "")
        restarts[workload] = (restart, manifest["metadata"]["generation"])
    return restarts


def password(cluster: Cluster) -> str:
    return str(variables(now(cluster), CHAT)["WEBUI_ADMIN_PASSWORD"])


REFUSED: dict[str, tuple[Any, str]] = {
    "a request above its limit": (
        {"resources": {"ollama": {"cpuRequest": "3", "cpuLimit": "2"}}},
        "cpuRequest must not be more than cpuLimit",
    ),
    "both kinds of certificate": (
        {"ingress": {"tls": {"secretName": "a", "issuer": {"name": "b"}}}},
        "name either secretName or issuer",
    ),
    "a quantity that is none": ({"quota": {"cpu": "many"}}, "spec.quota.cpu"),
    "a duration without a unit": ({"expiresAfter": "30"}, "spec.expiresAfter"),
    "too many GPUs": ({"resources": {"ollama": {"gpu": {"count": 99}}}}, "gpu.count"),
    "a plain connection": (
        {"connections": [{"name": "a", "url": "http://x.test/v1", "secretName": "s"}]},
        "spec.connections[0].url",
    ),
    "a port that is none": (
        {"connections": [{"name": "a", "url": "https://x.test:99999/v1", "secretName": "s"}]},
        "spec.connections[0].url",
    ),
    "a name of two lines": ({"displayName": "a\nb"}, "spec.displayName"),
    "a description with a control character": ({"description": "a\x1bb"}, "spec.description"),
    "a label that is none": ({"labels": {"a": "b c"}}, "spec.labels"),
    "a cost centre that no label could have": ({"costCentre": "a/b"}, "spec.costCentre"),
    "an unknown policy": ({"deletionPolicy": "Keep"}, "spec.deletionPolicy"),
    "another name": ({"workspaceName": "renamed"}, "workspaceName is immutable"),
    "a device without a vendor": (
        {"resources": {"ollama": {"gpu": {"count": 1, "resourceName": "cpu"}}}},
        "gpu.resourceName",
    ),
    "a registry's port that is none": ({"models": ["a.test:70000/b/c:1"]}, "spec.models[0]"),
    "a namespace with a dot": ({"models": ["a.test/b:1"]}, "spec.models[0]"),
    "a model twice": ({"models": ["b:1", "a", "A:latest"]}, "name the same model"),
    "a model with and without defaults": (
        {"models": ["Registry.ollama.ai/library/a:1", "a:1"]},
        "name the same model",
    ),
    "a model with two digests": (
        {"models": [f"a@sha256:{'0' * 64}", f"a:latest@sha256:{'1' * 64}"]},
        "name the same model",
    ),
    "a person's model with and without the host": (
        {"models": ["registry.ollama.ai/me/a:1", "me/A:1"]},
        "name the same model",
    ),
    "a node's label that is none": (
        {"scheduling": {"nodeSelector": {"no label!": "a"}}},
        "as in example.org/pool",
    ),
    "half a provider": (
        {"access": {"oidc": {"providerURL": "https://id.example.org/a", "secretName": "a"}}},
        "name providerURL and clientID",
    ),
    "who verifies addresses of the platform's provider": (
        {"access": {"oidc": {"verifiedEmailClaim": "email"}}},
        "verifiedEmailClaim is the platform's to set",
    ),
    "two roles in one": (
        {"access": {"oidc": {"roles": {"allowed": ["a,b"]}}}},
        "spec.access.oidc.roles.allowed[0]",
    ),
    "a taint without a key": (
        {"scheduling": {"tolerations": [{"value": "a"}]}},
        "operator Exists",
    ),
    "any value and one value": (
        {"scheduling": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
        "leave value out",
    ),
    "seconds without an eviction": (
        {"scheduling": {"tolerations": [{"key": "a", "tolerationSeconds": 5}]}},
        "effect NoExecute",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_api_server_refuses(cluster: Cluster, tenant: str, what: str) -> None:
    change, message = REFUSED[what]
    output = edit(cluster, tenant, {"workspaceName": tenant, **change}, check=False)
    assert message in output


def test_the_api_server_takes_names_that_are_alike_and_name_other_models(
    cluster: Cluster, tenant: str
) -> None:
    models = [
        "a:1",
        f"a@sha256:{'0' * 64}",
        "me/a:1",
        "me/library/a:1",
        "x.registry.ollama.ai/library/a:1",
    ]
    long = [f"x.test:5000/{'n' * 80}/{'m' * 70}{number}:{'t' * 20}" for number in range(10, 37)]
    edit(cluster, tenant, {"workspaceName": tenant, "models": [*models, *long]})
    ask(cluster, {})


OVER_BOUNDS: dict[str, tuple[Any, str, str]] = {
    "more than the ceiling": ({"quota": {"cpu": "1000"}}, "CeilingExceeded", "spec.quota.cpu"),
    "a quota without room for the workloads": (
        {"quota": {"memory": "1Gi"}},
        "QuotaTooSmall",
        "spec.quota.memory",
    ),
    "a host elsewhere": (
        {"ingress": {"host": "bank.example.org"}},
        "HostNotAllowed",
        "spec.ingress.host",
    ),
    "a Secret that is not there": (
        {"ingress": {"tls": {"secretName": "nowhere"}}},
        "SecretNotFound",
        "for-workspace",
    ),
}


@pytest.mark.parametrize("what", OVER_BOUNDS)
def test_a_forbidden_spec_is_reported_and_changes_nothing(
    cluster: Cluster, tenant: str, what: str
) -> None:
    change, reason, fix = OVER_BOUNDS[what]
    before = now(cluster)
    ask(cluster, change)
    eventually(lambda: condition(cluster, tenant).get("reason") == reason, f"{reason} is said")
    assert fix in condition(cluster, tenant)["message"]
    assert now(cluster).objects == before.objects
    ask(cluster, {})
    eventually(
        lambda: condition(cluster, tenant).get("status") == "True", f"{tenant} is well again"
    )


def test_a_claim_is_what_storage_says(cluster: Cluster) -> None:
    """Set when it is made. Its size is changed where the class allows it and never reverted, its
    class never changes, and taking both out of the spec leaves the volume alone."""
    name, parts = "stored", {"ollama": "ollama", "openwebui": "openWebUI"}
    for part in parts:
        cluster.apply(growing_class(f"stored-{part}"))
        cluster.apply(bound_volume(f"stored-{part}", f"stored-{part}", f"{name}-{part}", name))

    def storage(ollama: str, chat: str, suffix: str = "") -> Any:
        sizes = {"ollama": ollama, "openwebui": chat}
        return {
            key: {"size": sizes[part], "storageClassName": f"stored-{part}{suffix}"}
            for part, key in parts.items()
        }

    def claims() -> Any:
        volume_claims = [cluster.get("pvc", f"{name}-{part}", "-n", name) for part in parts]
        return [
            (claim["spec"]["storageClassName"], claim["spec"]["resources"]["requests"]["storage"])
            for claim in volume_claims
            if claim["status"]["phase"] == "Bound"
        ]

    def quota() -> Any:
        return cluster.get("quota", name, "-n", name)["spec"]["hard"]["requests.storage"]

    def ask_for(storage: Any, *, check: bool = True) -> str:
        return edit(cluster, name, {"workspaceName": name, "storage": storage}, check=check)

    cluster.apply(workspace(name, storage=storage("21Gi", "3Gi")))
    eventually(lambda: created(cluster, name), "it is provisioned")
    volumes = [("stored-ollama", "21Gi"), ("stored-openwebui", "3Gi")]
    eventually(lambda: claims() == volumes, "the claims are made so")
    assert quota() == "24Gi"
    ask_for(storage("22Gi", "5Gi"))
    grown = [("stored-ollama", "22Gi"), ("stored-openwebui", "5Gi")]
    eventually(lambda: claims() == grown, "the claims grow")
    eventually(lambda: quota() == "27Gi", "the quota follows")
    for refused in (storage("21Gi", "5Gi"), storage("22Gi", "3Gi")):
        assert "can grow but not shrink" in ask_for(refused, check=False)
    ask_for(storage("22Gi", "6Gi", "-faster"))
    eventually(lambda: claims()[1:] == [("stored-openwebui", "6Gi")], "the size is another")
    assert claims()[0] == grown[0], "the class is what it was"
    assert condition(cluster, name)["status"] == "True"
    cluster.kube.delete("aiws", name, SYSTEM)


def test_a_secret_reaches_the_workspace_as_an_immutable_copy(cluster: Cluster, tenant: str) -> None:
    certificate = {"tls.crt": "certificate", "tls.key": "hush"}
    cluster.apply(secret("our-tls", OWNER, certificate, "kubernetes.io/tls"))
    ask(cluster, {"ingress": {"tls": {"secretName": "our-tls"}}})
    eventually(lambda: "tls" in now(cluster).objects[INGRESS]["spec"], f"it reached {tenant}")
    objects = now(cluster).objects
    copy = objects[INGRESS]["spec"]["tls"][0]["secretName"]
    copied = cluster.get("secret", copy, "-n", tenant)
    assert copied["immutable"] is True
    assert copied["type"] == "kubernetes.io/tls"
    assert "hush" not in json.dumps(objects)
    ask(cluster, {})
    eventually(
        lambda: f"secret/{copy}" not in cluster.names("secrets", tenant), "no copy of it is left"
    )


def test_while_a_secret_is_missing_network_policies_stay_and_the_workspace_can_be_stopped(
    cluster: Cluster, tenant: str
) -> None:
    before = now(cluster)
    missing = {"ingress": {"tls": {"secretName": "nowhere"}}}
    ask(cluster, missing)
    eventually(
        lambda: condition(cluster, tenant).get("reason") == "SecretNotFound", f"{tenant} is told"
    )
    wall = f"{tenant}-ollama"
    widened = [{"op": "add", "path": "/spec/ingress/0/from/0/namespaceSelector", "value": {}}]
    cluster.kubectl(
        *("patch", "networkpolicy", wall, "-n", tenant, "--type=json", "-p", json.dumps(widened))
    )
    key = f"NetworkPolicy/{wall}"
    eventually(lambda: now(cluster).objects[key] == before.objects[key], "the wall is as it was")
    ask(cluster, {**missing, "suspended": True})
    shows(cluster, FIELDS["suspended"], 0)
    ask(cluster, {})
    eventually(lambda: now(cluster) == before, f"{tenant} is as before")


def test_several_connections_are_read_in_their_order(cluster: Cluster, tenant: str) -> None:
    """A variable is put only into those that come after it, so order counts, and an added one must
    not come last."""
    first = {"name": "one", "url": "https://one.example.org/v1", "secretName": SECRETS[0]}
    second = {"name": "two", "url": "https://two.example.org/v1", "secretName": SECRETS[1]}
    for connections in ([first], [first, second], [second, first]):
        ask(cluster, {"connections": connections})
        urls = ";".join(connection["url"] for connection in connections)
        eventually(
            lambda urls=urls: (  # type: ignore[misc]
                variables(now(cluster), CHAT).get("OPENAI_API_BASE_URLS") == urls
            ),
            f"{tenant} has {urls}",
        )
        order = list(variables(now(cluster), CHAT))
        keys = [f"CONNECTION_{n}_KEY" for n, _ in enumerate(connections)]
        assert all(order.index(name) < order.index("OPENAI_API_KEYS") for name in keys)
    ask(cluster, {})


def test_another_workspaces_secret_is_not_copied(cluster: Cluster, tenant: str) -> None:
    cluster.apply(secret("theirs", f"{SYSTEM}/other", {"clientSecret": "hush"}))
    oidc = {"providerURL": "https://id.example.org/x", "clientID": "c", "secretName": "theirs"}
    ask(cluster, {"access": {"oidc": oidc}})
    eventually(
        lambda: condition(cluster, tenant).get("reason") == "SecretNotFound",
        f"{tenant} is told so",
    )
    ask(cluster, {})
    eventually(
        lambda: condition(cluster, tenant).get("status") == "True", f"{tenant} is well again"
    )
