"""Golden manifests: a change of rendering shows as a difference in tests/unit/domain/golden.

`pytest --golden` writes them again.
"""

import operator
import os
import re
import subprocess
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.secret_references import OIDC, PLATFORM_OIDC, SCIM, connection
from aichat_workspace.domain.render import ReferencedSecret, render, tenant_namespace
from aichat_workspace.domain.render.context import Credentials
from aichat_workspace.domain.render.copy_names import is_platform_copy
from aichat_workspace.domain.v1alpha1.network_settings import Ingress, Issuer, Network
from aichat_workspace.domain.v1alpha1.platform_spec import Images, OllamaShare, PlatformSpec
from tests.unit.domain.samples import CREDENTIALS, desired, workspace

GOLDEN = Path(__file__).parents[1] / "golden"
CUSTOM = PlatformSpec(
    images=Images(ollama="mirror.example/ollama@sha256:" + "a" * 64),
    ollama=OllamaShare(cpu_limit="1500m", storage="100Gi"),
    storage_class_name="fast",
    ingress=Ingress(domain="chat.example.org", class_name="traefik", port=8443),
    network=Network(egress_allow=("10.1.2.3/32",)),
)


@pytest.mark.parametrize(
    ("name", "platform"), [("defaults", PlatformSpec()), ("custom-platform", CUSTOM)]
)
def test_the_sample_workspace_renders_to_its_golden_manifests(
    name: str, platform: PlatformSpec, pytestconfig: pytest.Config
) -> None:
    documents = [tenant_namespace(workspace()), *desired(platform)]
    text = yaml.safe_dump_all(documents, sort_keys=False, width=100)
    path = GOLDEN / f"{name}.yaml"
    if pytestconfig.getoption("golden"):
        path.write_text(text)
    assert text == path.read_text()


class TestTheLastRenderings:
    def test_the_same_arguments_give_the_very_same_manifests(self) -> None:
        assert all(map(operator.is_, desired(), desired()))

    @pytest.mark.parametrize(
        ("spec", "platform", "credentials"),
        [
            ({"models": ["llama3.2:1b"], "quota": {"cpu": "9"}}, PlatformSpec(), CREDENTIALS),
            ({}, CUSTOM, CREDENTIALS),
            ({}, PlatformSpec(), replace(CREDENTIALS, admin_password="another")),
        ],
    )
    def test_any_other_argument_gives_others(
        self, spec: dict[str, Any], platform: PlatformSpec, credentials: Credentials
    ) -> None:
        before = render(workspace(), PlatformSpec(), CREDENTIALS)
        after = render(workspace(**spec), platform, credentials)
        assert after != before
        assert render(workspace(), PlatformSpec(), CREDENTIALS) == before

    def test_they_are_bounded(self) -> None:
        first = render(workspace("w0"), PlatformSpec(), CREDENTIALS)
        for index in range(1, 100):
            render(workspace(f"w{index}"), PlatformSpec(), CREDENTIALS)
        again = render(workspace("w0"), PlatformSpec(), CREDENTIALS)
        assert again == first
        assert again is not first


def find_all(kind: str, manifests: Iterable[Manifest]) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def network_policies(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    policies = find_all("NetworkPolicy", manifests)
    return {policy["metadata"]["name"]: policy for policy in policies}


def pod_templates() -> list[Manifest]:
    workloads = [*find_all("StatefulSet", desired()), *find_all("Deployment", desired())]
    return [workload["spec"]["template"] for workload in workloads]


def test_every_object_carries_the_workspaces_labels() -> None:
    for manifest in (tenant_namespace(workspace()), *desired()):
        labels = manifest["metadata"]["labels"]
        assert labels["aichatworkspace"] == "team-a-aichat"
        assert labels["app.kubernetes.io/name"] == manifest["metadata"]["name"]
        assert labels["app.kubernetes.io/part-of"] == "aichat-workspace-team-a-aichat"
        assert labels[names.MANAGED_BY_LABEL] == names.OPERATOR


def test_the_longest_names_have_valid_labels() -> None:
    """A name may be longer than a label's value."""
    server = {"name": "c" * 32, "url": "https://a.example.org/v1", "secretName": "key"}
    longest = workspace("a" * names.WORKSPACE_NAME_MAX_LENGTH, connections=[server])
    secrets = {connection(server["name"]): ReferencedSecret("Opaque", {"apiKey": ""})}
    manifests = render(longest, PlatformSpec(), CREDENTIALS, secrets)
    assert any(len(manifest["metadata"]["name"]) > 63 for manifest in manifests)
    for manifest in (tenant_namespace(longest), *manifests):
        for value in manifest["metadata"]["labels"].values():
            assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value), value


def test_no_pod_runs_as_the_default_account_or_with_a_token() -> None:
    for pod in pod_templates():
        assert pod["spec"]["serviceAccountName"] in (
            "team-a-aichat-ollama",
            "team-a-aichat-openwebui",
        )
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_the_only_ingress_is_open_webuis() -> None:
    (ingress,) = find_all("Ingress", desired())
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"]["name"] == "team-a-aichat-openwebui"


def test_sign_up_is_off_and_the_administrator_comes_from_the_secret() -> None:
    variables: dict[str, Any] = {
        variable["name"]: variable
        for pod in pod_templates()
        for container in pod["spec"]["containers"]
        for variable in container["env"]
    }
    assert variables["ENABLE_SIGNUP"]["value"] == "false"
    secret = f"team-a-aichat-openwebui-{CREDENTIALS.digest}"
    for name in ("WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD", "WEBUI_SECRET_KEY"):
        assert variables[name]["valueFrom"]["secretKeyRef"] == {"name": secret, "key": name}


def test_other_credentials_have_another_digest() -> None:
    assert CREDENTIALS.digest != type(CREDENTIALS)("other", "a@b.c", "p").digest


def test_a_repr_of_credentials_has_no_secrets() -> None:
    assert "password" not in repr(type(CREDENTIALS)("the-key", "a@b.c", "the-password")).replace(
        "admin_password", ""
    )


def test_the_quota_has_room_for_one_pod_of_each_workload() -> None:
    (quota,) = find_all("ResourceQuota", desired())
    hard = quota["spec"]["hard"]
    assert hard["pods"] == "2"
    assert hard["requests.cpu"] == "600m"
    assert hard["requests.memory"] == "1536Mi"
    assert hard["requests.storage"] == "22Gi"


def test_the_quota_has_room_for_the_certificates_solver_where_there_is_one() -> None:
    issuing = PlatformSpec(ingress=Ingress(issuer=Issuer(name="ours")))
    (quota,) = find_all("ResourceQuota", desired(issuing))
    hard = quota["spec"]["hard"]
    assert hard["pods"] == "3"
    assert hard["services.nodeports"] == "1"
    assert (hard["requests.cpu"], hard["limits.cpu"]) == ("610m", "6100m")
    assert (hard["requests.memory"], hard["limits.memory"]) == ("1600Mi", "10304Mi")


def test_a_registrys_port_is_reachable_when_a_model_names_it() -> None:
    with_port = workspace(models=["models.example.org:5000/team/big", "gemma2:2b"])
    policies = network_policies(render(with_port, PlatformSpec(), CREDENTIALS))
    (rule,) = policies["team-a-aichat-ollama"]["spec"]["egress"]
    assert [port["port"] for port in rule["ports"]] == [443, 5000]


def test_an_excepted_range_is_named_once_by_its_first_address() -> None:
    ranges = Network(egress_except=("10.1.2.3/8", "10.0.0.0/8", "192.168.0.0/16"))
    policies = network_policies(render(workspace(), PlatformSpec(network=ranges), CREDENTIALS))
    (rule,) = policies["team-a-aichat-ollama"]["spec"]["egress"]
    outside, _ = rule["to"]
    assert outside["ipBlock"]["except"] == ["10.0.0.0/8", "192.168.0.0/16"]


def test_an_allowed_range_is_reachable_by_downloads_and_back_ends_only() -> None:
    settings = PlatformSpec(network=Network(egress_allow=("10.1.2.3/32",)))
    connected = workspace(
        connections=[{"name": "a", "url": "https://10.1.2.3:8443/v1", "secretName": "key"}]
    )
    secrets = {connection("a"): ReferencedSecret("Opaque", {"apiKey": ""})}
    policies = network_policies(render(connected, settings, CREDENTIALS, secrets))
    allowing = {
        name
        for name, policy in policies.items()
        for rule in policy["spec"].get("egress", ())
        if {"ipBlock": {"cidr": "10.1.2.3/32"}} in rule["to"]
    }
    assert allowing == {"team-a-aichat-ollama", "team-a-aichat-back-ends"}


def chat_settings(platform: PlatformSpec | None = None, **access: Any) -> dict[str, Any]:
    oidc = {OIDC: ReferencedSecret("Opaque", {"clientSecret": ""})}
    manifests = render(workspace(access=access), platform or PlatformSpec(), CREDENTIALS, oidc)
    (deployment,) = find_all("Deployment", manifests)
    (chat,) = deployment["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value") for variable in chat["env"]}


@pytest.mark.parametrize(
    ("by_provider", "by_form", "role"),
    [(True, False, "user"), (False, False, "pending"), (True, True, "pending")],
)
def test_new_accounts_are_users_only_when_all_come_from_the_identity_provider(
    by_provider: bool, by_form: bool, role: str
) -> None:
    url = "https://id.example.org/.well-known/openid-configuration"
    oidc = {"providerURL": url, "clientID": "c", "secretName": "s", "signUp": by_provider}
    assert chat_settings(oidc=oidc, signUp=by_form)["DEFAULT_USER_ROLE"] == role
    assert "DEFAULT_USER_ROLE" not in chat_settings(signUp=by_form)


PROVIDER = {
    "providerURL": "https://id.example.org/.well-known/openid-configuration",
    "clientID": "chats",
    "secretName": "login",
}


def test_a_chat_signs_in_by_pkce_with_and_without_a_secret() -> None:
    """Open WebUI offers a provider without a secret only where it has this variable."""
    public = {key: value for key, value in PROVIDER.items() if key != "secretName"}
    for oidc in (PROVIDER, public):
        assert chat_settings(oidc=oidc)["OAUTH_CODE_CHALLENGE_METHOD"] == "S256"


def test_where_roles_decide_people_without_any_wait_for_an_administrator() -> None:
    """Open WebUI refuses those who have other roles, and lets in those who have none."""
    roles = {"allowed": ["staff", "Team A"], "admin": ["heads"]}
    settings = chat_settings(oidc={**PROVIDER, "roles": roles})
    assert settings["DEFAULT_USER_ROLE"] == "pending"
    assert settings["ENABLE_OAUTH_ROLE_MANAGEMENT"] == "true"
    assert settings["OAUTH_ALLOWED_ROLES"] == "staff,Team A"
    assert settings["OAUTH_ADMIN_ROLES"] == "heads"
    assert "ENABLE_OAUTH_ROLE_MANAGEMENT" not in chat_settings(oidc=PROVIDER)


def test_scopes_are_asked_for_besides_open_webuis_own_and_once() -> None:
    assert "OAUTH_SCOPES" not in chat_settings(oidc=PROVIDER)
    settings = chat_settings(oidc={**PROVIDER, "extraScopes": ["groups", "email"]})
    assert settings["OAUTH_SCOPES"] == "openid email profile groups"


def test_accounts_are_merged_only_by_a_claim_of_verified_addresses() -> None:
    assert "OAUTH_MERGE_ACCOUNTS_BY_EMAIL" not in chat_settings(oidc=PROVIDER)
    settings = chat_settings(oidc={**PROVIDER, "verifiedEmailClaim": "verified_email"})
    assert settings["OAUTH_MERGE_ACCOUNTS_BY_EMAIL"] == "true"
    assert settings["OAUTH_EMAIL_CLAIM"] == "verified_email"


def test_without_the_form_passwords_are_still_checked_as_the_operator_signs_in_by_one() -> None:
    settings = chat_settings(oidc=PROVIDER, passwordForm=False)
    assert settings["ENABLE_LOGIN_FORM"] == "false"
    assert "ENABLE_PASSWORD_AUTH" not in settings


def test_the_platforms_provider_and_the_token_for_scim_come_from_copies_of_their_own() -> None:
    oidc = {**PROVIDER, "verifiedEmailClaim": "email"}
    platform = PlatformSpec.model_validate({"signIn": {"oidc": oidc, "scim": True}})
    copies = {
        PLATFORM_OIDC: ReferencedSecret("Opaque", {"clientSecret": ""}),
        SCIM: ReferencedSecret("Opaque", {"SCIM_TOKEN": ""}),
    }
    manifests = render(workspace(), platform, CREDENTIALS, copies)
    secrets = {manifest["metadata"]["name"] for manifest in find_all("Secret", manifests)}
    (deployment,) = find_all("Deployment", manifests)
    (chat,) = deployment["spec"]["template"]["spec"]["containers"]
    sources = {
        variable["name"]: variable["valueFrom"]["secretKeyRef"]["name"]
        for variable in chat["env"]
        if "valueFrom" in variable
    }
    for name in ("OAUTH_CLIENT_SECRET", "SCIM_TOKEN"):
        assert sources[name] in secrets
        assert is_platform_copy(sources[name], "team-a-aichat"), "pods follow it by turns"
    values = {variable["name"]: variable.get("value") for variable in chat["env"]}
    assert values["SCIM_AUTH_PROVIDER"] == "oidc"
    assert any(name.endswith("-back-ends") for name in network_policies(manifests))


def test_pods_stay_as_they_are_where_nobody_asks_for_another_way_to_sign_in() -> None:
    optional = {"ENABLE_LOGIN_FORM", "ENABLE_API_KEYS", "ENABLE_SCIM", "ENABLE_OAUTH_SIGNUP"}
    assert optional.isdisjoint(chat_settings())


def test_with_tls_cookies_are_secure() -> None:
    secured = PlatformSpec(ingress=Ingress(default_certificate=True))
    cookies = ("WEBUI_SESSION_COOKIE_SECURE", "WEBUI_AUTH_COOKIE_SECURE")
    for name in cookies:
        assert chat_settings(secured)[name] == "true"
        assert name not in chat_settings()


def model_server(**spec: Any) -> dict[str, Any]:
    manifests = render(workspace(**spec), PlatformSpec(), CREDENTIALS)
    (stateful_set,) = find_all("StatefulSet", manifests)
    (container,) = stateful_set["spec"]["template"]["spec"]["containers"]
    return dict(container)


def model_server_settings(**spec: Any) -> dict[str, Any]:
    return {variable["name"]: variable["value"] for variable in model_server(**spec)["env"]}


@pytest.mark.parametrize(
    ("limit", "free", "threads"),
    [("4", 1, "1"), ("4", 63, "4"), ("3", 3, "3"), ("2500m", 7, "2"), ("500m", 7, "1")],
)
def test_threads_are_bounded_by_the_cpu_limit_and_by_the_nodes_free_cores(
    limit: str, free: int, threads: str, tmp_path: Path
) -> None:
    nproc = tmp_path / "nproc"
    nproc.write_text(f'#!/bin/sh\ntest "$*" = --ignore=1 && echo {free}\n')
    nproc.chmod(0o755)
    shell, option, script = model_server(resources={"ollama": {"cpuLimit": limit}})["command"]
    started = as_run(script, "printenv LLAMA_ARG_THREADS")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "OLLAMA_MODELS": str(tmp_path)}
    output = subprocess.check_output([shell, option, started], env=environment, text=True)  # noqa: S603  (ours)
    assert output == f"{threads}\n"


def test_a_download_with_an_empty_note_is_discarded_and_others_stay(tmp_path: Path) -> None:
    torn, other = f"sha256-{'a' * 64}", f"sha256-{'b' * 64}"
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for name, content in {
        torn: "whole",
        f"{torn[:-1]}c-partial": "data",
        f"{torn[:-1]}c-partial-0": '{"N":0}',
        f"{torn[:-1]}c-partial-1": "",
        f"{other}-partial": "data",
        f"{other}-partial-0": '{"N":0}',
    }.items():
        (blobs / name).write_text(content)
    shell, option, script = model_server()["command"]
    started = as_run(script, "true")
    for _ in range(2):  # the second time there is nothing to discard
        environment = {"PATH": "/usr/bin:/bin", "OLLAMA_MODELS": str(tmp_path)}
        subprocess.check_call([shell, option, started], env=environment)  # noqa: S603  (ours)
        remaining = {path.name for path in blobs.iterdir()}
        assert remaining == {torn, f"{other}-partial", f"{other}-partial-0"}


def as_run(script: str, instead_of_ollama: str) -> str:
    """The start command as the shell gets it, tidying up only once."""
    assert "while sleep 3600" in script
    return (
        script.replace("$$", "$")
        .replace("/bin/ollama serve", instead_of_ollama)
        .replace("sleep 3600", "false")
    )


def test_a_download_is_removed_a_day_after_its_last_data_however_often_the_server_starts(
    tmp_path: Path,
) -> None:
    """Ollama removes single files of an hour's age at its start: so all of a download's are new."""
    hours = 3600
    idle, active, complete = (f"sha256-{letter * 64}" for letter in "abc")
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    ages = {
        f"{idle}-partial": 20 * hours,
        f"{idle}-partial-0": 60 * hours,
        f"{active}-partial": 2 * hours,
        f"{active}-partial-0": 90 * hours,
        complete: 99 * hours,
    }
    for name in ages:
        (blobs / name).write_text("{}")
    shell, option, script = model_server()["command"]
    environment = {"PATH": "/usr/bin:/bin", "OLLAMA_MODELS": str(tmp_path)}

    def start(*, hours_later: int) -> set[str]:
        for path in (*blobs.iterdir(), *(tmp_path / "downloads").glob("*")):
            modified = path.stat().st_mtime - hours_later * hours
            os.utime(path, (modified, modified))
        subprocess.check_call([shell, option, as_run(script, "true")], env=environment)  # noqa: S603  (ours)
        now = time.time()
        downloads = {path for path in blobs.iterdir() if "partial" in path.name}
        assert all(now - path.stat().st_mtime < hours for path in downloads)
        return {path.name for path in blobs.iterdir()}

    for name, age in ages.items():
        os.utime(blobs / name, (time.time() - age, time.time() - age))
    assert start(hours_later=0) == set(ages)
    assert start(hours_later=3) == set(ages)
    (blobs / f"{active}-partial").write_text("more")
    assert start(hours_later=2) == set(ages) - {f"{idle}-partial", f"{idle}-partial-0"}
    (blobs / f"{active}-partial").write_text("and more")
    assert f"{active}-partial" in start(hours_later=23)
    assert start(hours_later=23) == {complete}
    assert {path.name for path in (tmp_path / "downloads").iterdir()} == {"tidied"}


def test_ollama_removes_what_no_model_has() -> None:
    assert "OLLAMA_NOPRUNE" not in model_server_settings()


@pytest.mark.parametrize(("limit", "mebibytes"), [("8Gi", "1024"), ("1500M", "178")])
def test_a_model_keeps_chats_in_an_eighth_of_the_memory(limit: str, mebibytes: str) -> None:
    settings = model_server_settings(resources={"ollama": {"memoryLimit": limit}})
    assert settings["LLAMA_ARG_CACHE_RAM"] == mebibytes


@pytest.mark.parametrize(
    ("spec", "models"),
    [
        ({}, "2"),
        ({"resources": {"ollama": {"gpu": {"count": 1}}}}, None),
        ({"ollama": {"loadedModels": 5}}, "5"),
        ({"ollama": {"loadedModels": 5}, "resources": {"ollama": {"gpu": {"count": 1}}}}, "5"),
    ],
    ids=["default", "gpu", "chosen", "chosen with a gpu"],
)
def test_without_a_gpu_two_models_are_loaded_by_default(
    spec: dict[str, Any], models: str | None
) -> None:
    assert model_server_settings(**spec).get("OLLAMA_MAX_LOADED_MODELS") == models


@pytest.mark.parametrize(
    ("image", "mirrored"),
    [
        ("docker.io/ollama/ollama:1", "mirror.test/up/ollama/ollama:1"),
        ("ollama/ollama:1", "mirror.test/up/ollama/ollama:1"),
        ("webui:1", "mirror.test/up/library/webui:1"),
        ("docker.io/webui:1", "mirror.test/up/library/webui:1"),
        ("localhost/webui:1", "mirror.test/up/webui:1"),
        ("registry:5000/a/b:1", "mirror.test/up/a/b:1"),
        ("ghcr.io/a/b@sha256:" + "0" * 64, "mirror.test/up/a/b@sha256:" + "0" * 64),
    ],
)
def test_a_mirror_replaces_an_images_explicit_or_implied_registry(
    image: str, mirrored: str
) -> None:
    assert Images(mirror="mirror.test/up", ollama=image).resolved[0] == mirrored
