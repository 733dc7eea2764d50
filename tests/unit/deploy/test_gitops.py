"""The GitOps example agrees with what it promotes.

Its fields were compared with the types of Argo CD 3 and Flux 2.5 when it was written; neither runs
here.
"""

import re
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[3]
GITOPS: Final = ROOT / "examples" / "gitops"


def documents(path: str) -> list[Any]:
    return [*yaml.safe_load_all((GITOPS / path).read_text())]


def test_flux_brings_production_only_after_stagings_smoke_test_of_the_same_revision() -> None:
    source, *kustomizations = documents("flux/kustomizations.yaml")
    chain = [
        (item["metadata"]["name"], [needed["name"] for needed in item["spec"].get("dependsOn", [])])
        for item in kustomizations
    ]
    assert chain == [
        ("aichat-staging", []),
        ("aichat-staging-smoke-test", ["aichat-staging"]),
        ("aichat-production", ["aichat-staging-smoke-test"]),
        ("aichat-production-smoke-test", ["aichat-production"]),
    ]
    # Flux compares revisions only where the source is the same.
    reference = {"kind": source["kind"], "name": source["metadata"]["name"]}
    assert all(item["spec"]["sourceRef"] == reference for item in kustomizations)
    assert all(item["spec"]["wait"] for item in kustomizations)
    assert {item["metadata"]["namespace"] for item in (source, *kustomizations)} == {"flux-system"}


def test_flux_finds_its_paths_and_each_test_is_in_its_environments_cluster() -> None:
    _, *kustomizations = documents("flux/kustomizations.yaml")
    for item in kustomizations:
        spec = item["spec"]
        environment = item["metadata"]["name"].split("-")[1]
        assert (ROOT / spec["path"] / "kustomization.yaml").exists()
        assert environment in spec["path"].split("/")
        assert spec["kubeConfig"]["secretRef"]["name"] == f"{environment}-kubeconfig"


def test_deleting_a_kustomization_of_flux_deletes_no_workspace() -> None:
    _, *kustomizations = documents("flux/kustomizations.yaml")
    releases = [item for item in kustomizations if "smoke-test" not in item["metadata"]["name"]]
    assert [item["spec"]["deletionPolicy"] for item in releases] == ["Orphan", "Orphan"]


def test_argo_cd_syncs_environments_in_order_and_finds_their_paths() -> None:
    (application_set,) = documents("argocd/applicationset.yaml")
    spec = application_set["spec"]
    (generator,) = spec["generators"]
    environments = [element["environment"] for element in generator["list"]["elements"]]
    steps = [step["matchExpressions"][0] for step in spec["strategy"]["rollingSync"]["steps"]]
    assert [step["values"] for step in steps] == [["staging"], ["production"]]
    assert environments == ["staging", "production"]
    (label,) = {step["key"] for step in steps}
    assert spec["template"]["metadata"]["labels"] == {label: "{{.environment}}"}
    path = spec["template"]["spec"]["source"]["path"]
    for environment in environments:
        folder = ROOT / path.replace("{{.environment}}", environment)
        assert (folder / "kustomization.yaml").exists()
    assert "automated" not in spec["template"]["spec"]["syncPolicy"], (
        "it would not wait for its step"
    )


def test_the_gates_job_is_a_hook_that_follows_a_sync() -> None:
    (job, _) = [*yaml.safe_load_all((ROOT / "config" / "smoke-test" / "job.yaml").read_text())]
    annotations = job["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/hook"] == "PostSync"
    assert annotations["kustomize.toolkit.fluxcd.io/force"] == "enabled"
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    context = job["spec"]["template"]["spec"]["securityContext"]
    assert context["runAsNonRoot"]
    assert not {"runAsUser", "runAsGroup"} & context.keys(), "clusters such as OpenShift give one"
    assert re.search(r"^USER \d+:\d+$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "aichat-workspace-operator", "the release's image replaces it"
    (model_to_ask,) = container["args"]
    for environment in ("staging", "production"):
        file = ROOT / "config" / "environments" / environment / "environment.yaml"
        model = yaml.safe_load(file.read_text())["model"]
        assert model_to_ask == model, "the same test for make deploy and for the gate"
