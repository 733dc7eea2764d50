"""Downloads of the real 98 MB, and what comes in between, in a workspace that has no model to begin
with."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import (
    HANDED_OVER_SECONDS,
    SYSTEM,
    Node,
    another_leads,
    holder,
    make_workspace,
    pod_of,
    resource_of,
    wait_ready,
)
from tests.e2e.workspace import bytes_sent, condition, disturbed_registry, entry, patch, platform
from tests.waiting import eventually

TENANT = "pulls-aichat"
RESOURCE = resource_of(TENANT)
# The registry disturbs and counts by repository: no other tests' workspaces have these models.
# A download takes half a minute so: enough for what comes in between.
BYTES_PER_SECOND = 3_000_000
WEIGHTS_BYTES = 98_362_432


@pytest.fixture(scope="module", autouse=True)
def pulls(node: Node) -> Iterator[None]:
    make_workspace(node, TENANT, models=[], patterns=[], embeddingModel="none")
    wait_ready(node, RESOURCE, TENANT)
    yield
    node.kube.delete("aiws", RESOURCE, SYSTEM)


def percent(node: Node, model: str) -> int:
    return int(entry(node, RESOURCE, model).get("percent", 0))


def assert_downloaded(
    node: Node, model: str, repository: str, before: int, *, at_most: float
) -> None:
    """As many times, for what came is not sent again; and remove it again."""
    wait_ready(node, RESOURCE, TENANT)
    model_entry, sent = entry(node, RESOURCE, model), bytes_sent(repository) - before
    assert model_entry["state"] == "Ready"
    assert model_entry["totalBytes"] > WEIGHTS_BYTES
    assert WEIGHTS_BYTES < sent < at_most * WEIGHTS_BYTES
    patch(node, RESOURCE, {"models": []})
    eventually(lambda: not entry(node, RESOURCE, model), "the model is removed again", 180)


def test_a_download_outlives_the_server_that_began_it(node: Node) -> None:
    """F12: Ollama may forget what came since its start, a third here."""
    model, repository = "smollm2:135m", "library/smollm2"
    before = bytes_sent(repository)
    with disturbed_registry(repository, bytes_per_second=BYTES_PER_SECOND):
        patch(node, RESOURCE, {"models": [model]})
        eventually(lambda: percent(node, model) >= 30, "a third is there", 90)
        assert entry(node, RESOURCE, model)["bytesPerSecond"] > 0
        node.kubectl("delete", "pod", f"{TENANT}-ollama-0", "-n", TENANT)
    assert_downloaded(node, model, repository, before, at_most=1.6)


def test_a_download_outlives_the_operator_that_began_it(node: Node) -> None:
    model, repository = "qwen2.5-coder:1.5b", "library/qwen2.5-coder"
    before, first = bytes_sent(repository), holder(node)
    with disturbed_registry(repository, bytes_per_second=BYTES_PER_SECOND):
        patch(node, RESOURCE, {"models": [model]})
        eventually(lambda: percent(node, model) >= 30, "a third is there", 90)
        far = entry(node, RESOURCE, model)["completedBytes"]
        node.kubectl("delete", "pod", pod_of(first), "-n", SYSTEM, "--wait=false")
        another_leads(node, first, HANDED_OVER_SECONDS)
        eventually(
            lambda: entry(node, RESOURCE, model).get("completedBytes", 0) > far,
            "the next one goes on with it",
            180,
            lambda: node.story(TENANT),
        )
    assert_downloaded(node, model, repository, before, at_most=1.2)


def test_a_download_that_breaks_off_goes_on_where_it_did(node: Node) -> None:
    """F12: the registry breaks off in mid-pull."""
    model, repository = "smollm2:latest", "library/smollm2"
    before = bytes_sent(repository)
    with disturbed_registry(repository, fail_blobs=1):
        patch(node, RESOURCE, {"models": [model]})
        assert_downloaded(node, model, repository, before, at_most=1.2)


def test_a_registry_that_fails_is_told_and_asked_again(node: Node) -> None:
    model, repository = "smollm2:135m", "library/smollm2"
    before = bytes_sent(repository)
    with disturbed_registry(repository, fail_manifests=1_000):
        patch(node, RESOURCE, {"models": [model]})
        eventually(
            lambda: "pull model manifest: 503" in entry(node, RESOURCE, model).get("message", ""),
            "it is told",
            180,
            lambda: node.story(TENANT),
        )
    assert_downloaded(node, model, repository, before, at_most=1.2)


def test_a_model_that_no_registry_gives_is_told_with_the_reason(node: Node) -> None:
    """Some machines reach the public registry, which knows no such model."""
    model = "no-such-model:1b"
    patch(node, RESOURCE, {"models": [model]})
    try:
        eventually(
            lambda: entry(node, RESOURCE, model).get("state") == "Failed",
            "that it does not come is told",
            180,
            lambda: node.story(TENANT),
        )
        message = condition(node, RESOURCE, "ModelsReady")["message"]
        assert (
            f"no model {model}, and registry.ollama.ai can't be reached from here" in message
            or f"the registry has no model {model!r}" in message
        )
    finally:
        patch(node, RESOURCE, {"models": []})
    wait_ready(node, RESOURCE, TENANT)


def test_a_model_comes_by_host_and_port_out_of_an_excepted_range_that_is_allowed(
    node: Node,
) -> None:
    model = "registry.ollama.ai:443/library/smollm2:latest"
    network = {"egressExcept": ["192.0.2.0/24"], "egressAllow": ["192.0.2.10/32"]}
    platform(node, {"network": network})
    try:
        policy = ("networkpolicy", f"{TENANT}-ollama", "-n", TENANT)
        eventually(
            lambda: "192.0.2.10/32" in str(node.kube.get(*policy)),
            "the network policy has the address",
            60,
        )
        patch(node, RESOURCE, {"models": [model]})
        eventually(
            lambda: entry(node, RESOURCE, model).get("state") == "Ready",
            "the model is there",
            90,
            lambda: node.story(TENANT),
        )
    finally:
        platform(node, {"network": None})
        patch(node, RESOURCE, {"models": []})
    eventually(lambda: not entry(node, RESOURCE, model), "the model is removed again", 180)
    wait_ready(node, RESOURCE, TENANT)
