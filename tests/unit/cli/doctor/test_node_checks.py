"""Checks of nodes and images."""

from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.cli.doctor import node_checks
from aichat_workspace.cli.doctor.finding import Severity
from aichat_workspace.cli.server.kubectl import Kubectl
from tests.unit.cli.doctor.test_cluster_checks import kubectl

OLLAMA, CHAT = node_checks.images_of({})


def node(cpu: str = "4", memory: str = "16Gi", *images: str, **spec: Any) -> dict[str, Any]:
    return {
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory},
            "conditions": [{"type": "Ready", "status": "True"}],
            "images": [{"names": [image]} for image in images],
        },
    }


def pod(name: str, reason: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason}} if reason else {"running": {}}
    container = {"image": "docker.io/ollama/ollama:1", "state": state}
    return {
        "metadata": {"name": name, "namespace": "red-chat"},
        "status": {"initContainerStatuses": [container]},
    }


class TestRoom:
    @pytest.mark.parametrize(
        ("nodes", "severity", "words"),
        [
            ([node()], Severity.GOOD, "1 node for pods"),
            ([node("250m"), node("4", "512Mi")], Severity.PROBLEM, "model server asks for"),
            ([node("1", "2Gi")], Severity.NOTE, "the 8Gi of memory"),
            ([node(unschedulable=True)], Severity.PROBLEM, "none of 1 node takes pods"),
            ([node(taints=[{"effect": "NoSchedule"}])], Severity.PROBLEM, "none of 1 node"),
            ([node() | {"status": {}}], Severity.PROBLEM, "none of 1 node"),
            ([], Severity.PROBLEM, "none of 0 nodes"),
        ],
    )
    def test_some_node_should_have_what_a_new_workspace_asks_for(
        self, nodes: list[dict[str, Any]], severity: Severity, words: str
    ) -> None:
        finding = node_checks.room(nodes, {})
        assert (finding.code, finding.severity) == ("AC507", severity)
        assert words in finding.text
        assert bool(finding.fix) is (severity is not Severity.GOOD)

    def test_the_platforms_own_settings_count(self) -> None:
        larger = {"ollama": {"cpuRequest": "8"}}
        assert "8 CPU" in node_checks.room([node()], larger).text
        chat = {"openWebUI": {"memoryRequest": "32Gi"}}
        assert "chat asks for" in node_checks.room([node()], chat).text


class TestImages:
    def test_they_are_the_platforms_from_its_mirror(self) -> None:
        assert OLLAMA.startswith("docker.io/ollama/ollama:")
        assert CHAT.startswith("ghcr.io/open-webui/open-webui:v")
        images = {"mirror": "mirror.example.org:5000/up", "ollama": "ollama/ollama:1"}
        ollama, chat = node_checks.images_of({"images": images})
        assert ollama == "mirror.example.org:5000/up/ollama/ollama:1"
        assert chat.startswith("mirror.example.org:5000/up/open-webui/")
        assert node_checks.registry_host(ollama) == "mirror.example.org"

    def test_nodes_may_have_them_already(self) -> None:
        short = OLLAMA.removeprefix("docker.io/")
        nodes = [node("4", "16Gi", short), node()]
        present, absent = node_checks.presence(OLLAMA, nodes), node_checks.presence(CHAT, nodes)
        assert (present.code, present.severity) == ("AC509", Severity.GOOD)
        assert f"{OLLAMA} is on 1 of 2 nodes" in present.text
        assert (absent.code, absent.severity) == ("AC509", Severity.NOTE)
        assert "ghcr.io" in absent.fix

    @pytest.mark.parametrize(
        ("host", "severity"),
        [("localhost", Severity.GOOD), ("a" * 64 + ".test", Severity.NOTE)],
    )
    def test_a_registry_without_an_address_here_is_noted(
        self, host: str, severity: Severity
    ) -> None:
        finding = node_checks.registry(host)
        assert (finding.code, finding.severity) == ("AC510", severity)
        assert host in finding.text

    def test_the_registry_of_docker_io_is_where_its_images_are(self) -> None:
        assert node_checks.registry_host(OLLAMA) == "registry-1.docker.io"


class TestPulls:
    def test_pods_that_pull_are_good(self) -> None:
        (finding,) = node_checks.pulls([pod("ollama-0"), pod("later", "PodInitializing")])
        assert (finding.code, finding.severity) == ("AC508", Severity.GOOD)

    @pytest.mark.parametrize("reason", sorted(node_checks._FAILED_PULLS))
    def test_one_that_cannot_pull_is_a_problem_with_its_image(self, reason: str) -> None:
        (finding,) = node_checks.pulls([pod("ollama-0", reason), pod("other")])
        assert (finding.code, finding.severity) == ("AC508", Severity.PROBLEM)
        assert finding.text == "red-chat/ollama-0 can't pull docker.io/ollama/ollama:1"
        assert finding.fix == "kubectl -n red-chat describe pod ollama-0"

    def test_many_are_counted(self) -> None:
        findings = [*node_checks.pulls([pod(f"p{number}", "ErrImagePull") for number in range(9)])]
        assert len(findings) == 6
        assert findings[-1].text == "4 pods more can't pull an image"


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        ("*) echo 'Forbidden' >&2; exit 1;;", [("AC507", "note")]),
        (
            """*nodes*) echo '{"items": []}';;
*pods*) echo Forbidden >&2; exit 1;;
*) echo '{"items": [{"spec": {"images": {"mirror": "localhost"}}}]}';;""",
            [
                ("AC507", "problem"),
                ("AC509", "note"),
                ("AC509", "note"),
                ("AC510", "good"),
                ("AC508", "note"),
            ],
        ),
    ],
)
def test_what_may_not_be_read_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, codes: list[tuple[str, str]]
) -> None:
    program: Kubectl = kubectl(tmp_path, monkeypatch, script)
    findings = node_checks.check(program, is_installed=True)
    assert [(finding.code, str(finding.severity)) for finding in findings] == codes
