"""What pods get for a proxy and for own authorities, read as their programs read it."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
from requests.utils import should_bypass_proxies

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.render.ways_out import WRITE_BUNDLE
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.samples import CERTIFICATE, desired

PROXY = {"url": "http://proxy.example.org:3128", "addresses": ["192.0.2.8/32"]}
ALL: dict[str, Any] = {
    "proxy": {**PROXY, "noProxy": ["corp.example.org", "198.51.100.0/24", "2001:db8::5"]},
    "network": {"egressAllow": ["10.1.2.3/32", "fd00::/64", "fd00:9::1/128"]},
    "trustedAuthorities": {"configMapName": "corp"},
    "imagePullSecretNames": ["registry"],
}


def pods(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The pod specs of both workloads by their kind."""
    rendered = desired(PlatformSpec.model_validate(settings))
    return {
        manifest["kind"]: manifest["spec"]["template"]["spec"]
        for manifest in rendered
        if manifest["kind"] in ("StatefulSet", "Deployment")
    }


def variables(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def secrets(settings: dict[str, Any]) -> dict[str, Manifest]:
    rendered = desired(PlatformSpec.model_validate(settings))
    return {
        manifest["metadata"]["name"]: manifest
        for manifest in rendered
        if manifest["kind"] == "Secret"
    }


def test_a_platform_without_any_of_it_has_none_of_it() -> None:
    for pod in pods({}).values():
        assert {"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}.isdisjoint(
            variables(pod)
        )
        assert "imagePullSecrets" not in pod
        assert [volume["name"] for volume in pod["volumes"]][1:] == ["tmp"]


def test_pods_name_their_copies_of_pull_secrets_whose_content_restarts_nothing() -> None:
    for pod in pods(ALL).values():
        assert pod["imagePullSecrets"] == [{"name": "team-a-aichat-openwebui-pull-1"}]
    copy = secrets(ALL)["team-a-aichat-openwebui-pull-1"]
    assert copy["type"] == "kubernetes.io/dockerconfigjson"
    assert "immutable" not in copy


@pytest.mark.parametrize("workload", ["StatefulSet", "Deployment"])
def test_every_mount_has_its_volume_and_the_authorities_are_an_immutable_copy(
    workload: str,
) -> None:
    pod = pods(ALL)[workload]
    volumes = {volume["name"] for volume in pod["volumes"]}
    containers = (*pod["containers"], *pod.get("initContainers", ()))
    assert all(
        mount["name"] in volumes for container in containers for mount in container["volumeMounts"]
    )
    (name,) = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
    assert secrets(ALL)[name]["immutable"] is True


def test_ollama_reads_its_own_authorities_and_ours() -> None:
    folders = variables(pods(ALL)["StatefulSet"])["SSL_CERT_DIR"].split(":")
    assert folders == ["/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/aichat/authorities"]


def test_the_chat_trusts_what_its_image_trusts_and_ours(tmp_path: Path) -> None:
    ours, bundle = tmp_path / "ca.crt", tmp_path / "all.crt"
    ours.write_text(CERTIFICATE)
    subprocess.run(  # noqa: S603  (the text is the product's own)
        [sys.executable, "-c", WRITE_BUNDLE],
        env={**os.environ, "OURS": str(ours), "BUNDLE": str(bundle)},
        check=True,
    )
    text = bundle.read_text()
    assert text.endswith(CERTIFICATE)
    assert text.count("BEGIN CERTIFICATE") > 100, "with the public ones"


def test_the_file_of_all_authorities_is_written_before_the_chat_starts() -> None:
    pod = pods(ALL)["Deployment"]
    assert [container["name"] for container in pod["initContainers"]] == [
        "trusted-authorities",
        "prepare",
    ]
    writer = pod["initContainers"][0]
    target = next(entry["value"] for entry in writer["env"] if entry["name"] == "BUNDLE")
    chat = variables(pod)
    assert chat["SSL_CERT_FILE"] == chat["REQUESTS_CA_BUNDLE"] == target


DIRECT = (
    "localhost",
    "127.0.0.1",
    "::1",
    "team-a-aichat-ollama",
    "team-a-aichat-openwebui",
    "a.b.svc",
    "a.b.svc.cluster.local",
    "corp.example.org",
    "a.corp.example.org",
    "2001:db8::5",
    "fd00:9::1",
)
PROXIED = ("registry.ollama.ai", "203.0.113.9", "team-b-aichat-ollama.example.org", "svc.org")
RANGES = ("10.1.2.3", "10.96.0.1", "192.168.7.7", "169.254.169.254", "198.51.100.7")
"""IPv4 addresses in ranges, which urllib and httpx send to the proxy all the same."""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chat's own."""
    for name, value in variables(pods(ALL)["Deployment"]).items():
        if name in ("HTTPS_PROXY", "NO_PROXY"):
            monkeypatch.setenv(name, value)


def url(host: str) -> str:
    return f"https://[{host}]/" if ":" in host else f"https://{host}/"


@pytest.mark.usefixtures("environment")
class TestNoProxy:
    @pytest.mark.parametrize("host", DIRECT)
    def test_what_is_near_is_reached_directly(self, host: str) -> None:
        assert urllib.request.proxy_bypass(host), "aiohttp"
        assert should_bypass_proxies(url(host), None), "requests"
        assert not self._is_proxied_by_httpx(host), "httpx"

    @pytest.mark.parametrize("host", PROXIED)
    def test_what_is_outside_goes_through_the_proxy(self, host: str) -> None:
        assert not urllib.request.proxy_bypass(host), "aiohttp"
        assert not should_bypass_proxies(url(host), None), "requests"
        assert requests.utils.get_environ_proxies(url(host))["https"] == PROXY["url"]
        assert self._is_proxied_by_httpx(host), "httpx"

    @pytest.mark.parametrize("host", RANGES)
    def test_addresses_in_private_ranges_meet_the_walls_where_ranges_are_understood(
        self, host: str
    ) -> None:
        assert should_bypass_proxies(url(host), None)

    @staticmethod
    def _is_proxied_by_httpx(host: str) -> bool:
        with httpx2.Client() as client:
            transport: Any = client._transport_for_url(httpx2.URL(url(host)))
            return "Proxy" in type(transport._pool).__name__


def test_ollama_has_the_same_proxy() -> None:
    ollama, chat = (variables(pod) for pod in pods(ALL).values())
    for name in ("HTTPS_PROXY", "NO_PROXY"):
        assert ollama[name] == chat[name]


@pytest.mark.parametrize(
    ("network", "host"),
    [({}, None), ({"ipFamily": "IPv4"}, None), ({"ipFamily": "IPv6"}, "::")],
)
def test_the_chat_listens_on_the_family_of_pods_first_address(
    network: dict[str, str], host: str | None
) -> None:
    assert variables(pods({"network": network})["Deployment"]).get("HOST") == host
