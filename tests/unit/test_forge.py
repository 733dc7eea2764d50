"""What a public forge, an editor and git run: the Makefile's targets, with the least rights."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
MAKEFILE: Final = (ROOT / "Makefile").read_text()
WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").iterdir())
PLACEHOLDER: Final = "https://example.org/aichat-workspace-operator/"


def targets() -> set[str]:
    lines = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    return {target for line in lines for target in line.split()}


def workflow(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
    return content


def made(text: str) -> set[str]:
    """The targets that a command makes."""
    return set(re.findall(r"\bmake ([a-z0-9-]+)", text))


def test_each_command_of_the_makefile_has_a_line_of_help() -> None:
    helped = re.findall(r"^([a-z0-9-]+):.*## \S.*\.?$", MAKEFILE, re.MULTILINE)
    assert {*helped} == targets()
    assert len(helped) == len({*helped})


def test_lint_compiles_nothing() -> None:
    """The first time, a compiler takes longer than all of lint."""
    lint = MAKEFILE.partition("\nlint: ")[2].partition("\n\n")[0]
    assert "ruff check" in lint
    assert "localcluster" not in lint
    assert "localcluster tool actionlint" in (ROOT / "hack" / "audit").read_text()


def test_workflows_run_the_makefiles_targets_and_all_that_a_change_must_pass() -> None:
    used = made("\n".join(path.read_text() for path in WORKFLOWS))
    assert used <= targets()
    assert {"lint", "test-unit", "test-integration", "test-e2e", "audit", "release"} <= used


def test_the_required_job_waits_for_every_other_one() -> None:
    jobs = workflow("ci.yml")["jobs"]
    required = jobs.pop("required")
    assert {*required["needs"]} == {*jobs}
    assert required["if"] == "always()", "a job that is skipped counts as passed"
    (step,) = required["steps"]
    assert f'= "{" ".join(["success"] * len(jobs))}"' in step["run"]


def test_the_tests_run_beside_one_another() -> None:
    jobs = workflow("ci.yml")["jobs"]
    assert not any("needs" in job for name, job in jobs.items() if name != "required")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_rights_are_given_job_by_job(path: Path) -> None:
    content = workflow(path.name)
    assert content["permissions"] == {}
    assert all("permissions" in job for job in content["jobs"].values())
    for use in re.findall(r"uses: (\S+)(.*)", path.read_text()):
        assert use[0].startswith("./") or (
            re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", use[0])
            and re.fullmatch(r" # v\d+\.\d+\.\d+", use[1])
        ), use


def test_all_jobs_in_a_container_use_the_same_image_by_its_digest() -> None:
    """A tag can be moved: https://docs.docker.com/reference/cli/docker/image/pull/#digest"""
    containers = [
        job["container"]
        for path in WORKFLOWS
        for job in workflow(path.name)["jobs"].values()
        if "container" in job
    ]
    images = {entry if isinstance(entry, str) else entry["image"] for entry in containers}
    assert len(containers) > 4
    (image,) = images
    assert re.fullmatch(r"debian:bookworm-\d{8}@sha256:[0-9a-f]{64}", image)


def test_the_job_that_publishes_has_mains_commits() -> None:
    """`make publish` compares them with the released one."""
    checkout = workflow("release.yml")["jobs"]["publish"]["steps"][0]
    assert checkout["uses"].startswith("actions/checkout@")
    assert checkout["with"]["fetch-depth"] == 0


def test_only_the_job_that_publishes_may_write_or_sign() -> None:
    writers = {
        (path.name, name)
        for path in WORKFLOWS
        for name, job in workflow(path.name)["jobs"].items()
        if "write" in job["permissions"].values()
    }
    assert writers == {("release.yml", "publish")}


def test_git_hooks_run_the_makefiles_targets() -> None:
    content = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in content["repos"] for hook in repository["hooks"]]
    assert {repository["repo"] for repository in content["repos"]} == {"local"}
    assert all(hook["entry"] == f"make {hook['id']}" for hook in hooks)
    assert {hook["id"] for hook in hooks} <= targets()


def test_the_development_container_is_set_up_by_the_makefile() -> None:
    content = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert made(content["postCreateCommand"]) <= targets()
    python = re.findall(r"python:(\d\.\d+)-bookworm", content["image"])
    assert f"python:{python[0]}-slim-bookworm" in (ROOT / "Containerfile").read_text()


def test_updates_are_proposed_for_every_lock() -> None:
    content = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    watched = {
        (update["package-ecosystem"], folder)
        for update in content["updates"]
        for folder in update.get("directories", [update.get("directory")])
    }
    patterns = {("gomod", "go.mod"), ("npm", "package-lock.json"), ("pip", "*.txt")}
    roots = ("clients", "localcluster", "requirements")
    for ecosystem, name in patterns:
        folders = {
            path.parent.relative_to(ROOT)
            for root in roots
            for path in (ROOT / root).rglob(name)
            if "node_modules" not in path.parts
        }
        for folder in folders:
            assert any(
                ecosystem == kind and Path("/", folder).match(pattern) for kind, pattern in watched
            ), folder


def test_security_insights_lead_to_files_that_are_there() -> None:
    """By schema 2: https://github.com/ossf/security-insights"""
    content = yaml.safe_load((ROOT / "SECURITY-INSIGHTS.yml").read_text())
    assert {*content} == {"header", "project", "repository"}
    assert re.fullmatch(r"2\.\d+\.\d+", content["header"]["schema-version"])
    needed = {"name", "administrators", "repositories", "vulnerability-reporting"}
    assert needed <= {*content["project"]}
    needed = {"url", "status", "core-team", "license", "accepts-change-request", "security"}
    assert needed <= {*content["repository"]}
    paths = set(re.findall(rf"{re.escape(PLACEHOLDER)}(\S+)", yaml.safe_dump(content)))
    assert [path for path in paths - {"releases"} if not (ROOT / path).exists()] == []
