"""A workspace's whole life through the API's ingress alone: kubectl only makes the callers and
their tokens, and looks at the API's own pods."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError

import pytest
import yaml

from tests.e2e.api import Api
from tests.e2e.conftest import ANSWER, API_USER, DOMAIN, IMAGE, QUESTION, ROOT, SYSTEM, Node
from tests.e2e.webui import WebUI
from tests.waiting import eventually

HOST = f"workspaces.{DOMAIN}"
AUDIENCE = "aichat-workspace-api"
NAME = "by-api-aichat"
ONE = f"/workspaces/{NAME}"
SPEC = {"workspaceName": NAME, "models": ["gemma2:2b"]}


def token(node: Node, account: str, *arguments: str) -> str:
    return node.kubectl("create", "token", account, "-n", SYSTEM, *arguments).strip()


def caller(node: Node, account: str, *roles: str) -> Api:
    node.kubectl("create", "serviceaccount", account, "-n", SYSTEM)
    for role in roles:
        node.kubectl(
            *("create", "rolebinding", f"{account}-{role}", "-n", SYSTEM),
            *(f"--clusterrole={role}", f"--serviceaccount={SYSTEM}:{account}"),
        )
    return Api(HOST, node.authority, token(node, account, "--audience", AUDIENCE))


@pytest.fixture(scope="module")
def lead(node: Node) -> Api:
    api = caller(node, "lead", "aichatworkspace-editor", "aichatworkspace-admin")
    eventually(
        lambda: api.call("GET", "/me").status == 200,
        "the ingress serves the API",
        90,
        lambda: node.story(SYSTEM),
    )
    return api


@pytest.fixture(scope="module")
def creator(node: Node, lead: Api) -> Iterator[Api]:
    """The lead, once their workspace is ready."""
    answer = lead.call("POST", "/workspaces", {"spec": SPEC})
    assert answer.status == 201, answer.text
    assert answer.headers["location"] == f"/api/v1{ONE}?team={SYSTEM}"
    began = time.monotonic()
    try:
        follow(lead, lambda document: document["status"].get("phase") == "Ready")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{node.story(NAME)}") from error
    print(f"ready in {time.monotonic() - began:.0f} s")
    yield lead
    lead.call("DELETE", ONE)


def follow(api: Api, is_awaited: Callable[[Any], bool], seconds: float = 170) -> Any:
    """The workspace as the watch tells it, once it is as wanted."""
    deadline, seen = time.monotonic() + seconds, None
    for kind, document in api.events("GET", f"/workspaces:watch?name={NAME}"):
        assert kind != "end", document
        if kind in ("ADDED", "MODIFIED"):
            seen = document
            if is_awaited(document):
                return document
        assert time.monotonic() < deadline, f"after {seconds:.0f} s it is still {seen}"
    raise AssertionError(f"the watch ended; last it told {seen}")


def prompted(api: Api, **more: str) -> Any:
    """The likeliest reply, which is the same each time."""
    body = {"prompt": QUESTION, "temperature": 0, "seed": 1, **more}
    answer = api.call("POST", f"{ONE}:prompt", body)
    assert answer.status == 200, answer.text
    return answer.document


def test_the_same_request_again_makes_no_second_workspace(creator: Api) -> None:
    assert creator.call("POST", "/workspaces", {"spec": SPEC}).status == 200
    listed = creator.call("GET", "/workspaces?fields=name,url,status.url").document["items"]
    assert [item["status"]["url"] for item in listed if item["name"] == NAME] == [
        f"https://{NAME}.{DOMAIN}"
    ]


def test_a_workspace_that_nobody_has_used_was_asked_and_has_no_time(creator: Api) -> None:
    document = follow(creator, lambda document: "askedAt" in document["status"].get("activity", {}))
    assert document["status"]["activity"].keys() == {"askedAt", "message"}
    assert document["status"]["activity"]["message"] == ""


def test_diagnosis_events_and_logs_are_served(creator: Api) -> None:
    assert creator.call("GET", f"{ONE}/diagnosis").document["findings"] == []
    events = creator.call("GET", f"{ONE}/events").document["items"]
    assert f"AIChatWorkspace {NAME}" in {event["object"] for event in events}
    assert f"Pod {NAME}-ollama-0" in {event["object"] for event in events}
    assert "/api/pull" in creator.call("GET", f"{ONE}/logs/ollama?tail=1000").text
    assert creator.call("GET", f"{ONE}/logs/openwebui?tail=5").text.count("\n") == 5


def test_the_model_answers_a_prompt_whole(creator: Api) -> None:
    answer = prompted(creator)
    assert answer["model"] == "gemma2:2b"
    assert ANSWER in answer["reply"]
    assert answer["doneReason"] == "stop"
    assert answer["promptTokens"] > 0
    assert answer["replyTokens"] > 0
    assert prompted(creator)["reply"] == answer["reply"]


def test_a_system_prompt_changes_the_reply_and_the_same_one_gives_the_same(creator: Api) -> None:
    spanish = prompted(creator, system="Answer in Spanish.")
    assert "capital de" in spanish["reply"]
    assert spanish["reply"] != prompted(creator)["reply"]
    assert spanish["reply"][:30] == prompted(creator, system="Answer in Spanish.")["reply"][:30]


def test_the_model_answers_a_prompt_word_by_word(creator: Api) -> None:
    body = {"prompt": QUESTION, "temperature": 0, "seed": 1, "stream": True}
    events = [(kind, data) for kind, data in creator.events("POST", f"{ONE}:prompt", body) if kind]
    tokens = [data["text"] for kind, data in events if kind == "token"]
    assert len(tokens) > 4
    assert "".join(tokens) == prompted(creator)["reply"]
    kind, end = events[-1]
    assert (kind, end["model"], end["doneReason"]) == ("done", "gemma2:2b", "stop")
    assert end["replyTokens"] >= len(tokens) - 1


def test_a_followed_log_has_new_lines(creator: Api) -> None:
    followed = creator.lines(f"{ONE}/logs/ollama?follow=true&tail=1")
    assert next(followed), "the line that was there"
    assert ANSWER in prompted(creator)["reply"]
    assert any("/api/chat" in line for line in followed), "the log has ended"
    followed.close()


def test_the_credentials_open_the_chat(creator: Api) -> None:
    shown = creator.call("GET", f"{ONE}/credentials")
    assert shown.headers["cache-control"] == "no-store"
    chat = WebUI("http://127.0.0.1", shown.document["url"].removeprefix("https://"))
    chat.sign_in(shown.document["email"], shown.document["password"])
    assert ANSWER in chat.ask("gemma2:2b", QUESTION)


def test_who_is_invited_to_the_chat_signs_in_and_administers_nothing(creator: Api) -> None:
    invitation = {"email": "Bo@Example.org", "name": "Bo"}
    answer = creator.call("POST", f"{ONE}:inviteToChat", invitation)
    assert (answer.status, answer.headers["cache-control"]) == (201, "no-store"), answer.text
    chat = WebUI("http://127.0.0.1", answer.document["url"].removeprefix("https://"))
    chat.sign_in(answer.document["email"], answer.document["password"])
    person = chat.call("/api/v1/auths/")
    assert (person["email"], person["name"], person["role"]) == ("bo@example.org", "Bo", "user")
    for page in ("/api/v1/users/", "/api/v1/auths/admin/config"):
        with pytest.raises(HTTPError, match="401"):
            chat.call(page)
    assert ANSWER in chat.ask("gemma2:2b", QUESTION)
    again = creator.call("POST", f"{ONE}:inviteToChat", invitation)
    assert (again.status, again.document["code"]) == (409, "account-exists")


@pytest.mark.usefixtures("creator")
def test_a_caller_without_permission_gets_404(node: Node) -> None:
    stranger = caller(node, "nobody")
    assert stranger.call("GET", "/workspaces").document["items"] == []
    for method, path in (("GET", ONE), ("GET", f"{ONE}/credentials"), ("DELETE", ONE)):
        assert stranger.call(method, path).status == 404
    assert stranger.call("POST", f"{ONE}:prompt", {"prompt": "Good morning"}).status == 404
    assert stranger.call("POST", "/workspaces", {"spec": SPEC}).status == 403


@pytest.mark.usefixtures("creator")
def test_a_viewer_can_not_change_prompt_or_read_credentials(node: Node) -> None:
    viewer = caller(node, "viewer", "aichatworkspace-viewer")
    assert viewer.call("GET", ONE).status == 200
    for method, path in (
        ("GET", f"{ONE}/credentials"),
        ("GET", f"{ONE}/logs/ollama"),
        ("POST", f"{ONE}:suspend"),
        ("DELETE", ONE),
    ):
        assert viewer.call(method, path).status == 403
    assert viewer.call("POST", f"{ONE}:prompt", {"prompt": "Good morning"}).status == 403


def test_a_token_for_another_audience_is_not_accepted(node: Node, lead: Api) -> None:
    assert (
        replace(lead, token=token(node, "lead", "--audience=somebody")).call("GET", "/me").status
        == 401
    )


@pytest.fixture
def program(node: Node) -> Iterator[str]:
    """The namespace of a pod that holds its service account's token for the API, as
    docs/signing-in.md says; the API's policy lets this one in."""
    namespace = "kube-system"
    audience = {"serviceAccountToken": {"audience": AUDIENCE, "path": "token"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "program", "namespace": namespace},
        "spec": {
            "serviceAccountName": "program",
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "program",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "-c", "import time; time.sleep(3600)"],
                    "volumeMounts": [{"name": "aichat", "mountPath": "/var/run/aichat"}],
                }
            ],
            "volumes": [{"name": "aichat", "projected": {"sources": [audience]}}],
        },
    }
    node.kubectl("create", "serviceaccount", "program", "-n", namespace)
    node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(pod))
    node.kubectl("wait", "pod/program", "-n", namespace, "--for=condition=Ready", "--timeout=170s")
    yield namespace
    node.kubectl(
        "delete", "pod/program", "serviceaccount/program", "-n", namespace, "--grace-period=1"
    )


ASKS_WHO_IT_IS = f"""
import pathlib, urllib.request
token = pathlib.Path("/var/run/aichat/token").read_text()
asked = urllib.request.Request(
    "http://aichat-workspace-api.{SYSTEM}.svc/api/v1/me",
    headers={{"Authorization": f"Bearer {{token}}"}},
)
print(urllib.request.urlopen(asked, timeout=5).read().decode())
"""


@pytest.mark.usefixtures("lead")
def test_a_program_in_a_pod_comes_with_its_service_accounts_projected_token(
    node: Node, program: str
) -> None:
    ask = ("exec", "-n", program, "pod/program", "--", "python3", "-c", ASKS_WHO_IT_IS)
    eventually(lambda: node.try_kubectl(*ask).returncode == 0, "the policy lets the pod in", 180)
    identity = json.loads(node.kubectl(*ask))
    assert identity["username"] == f"system:serviceaccount:{program}:program"
    assert "system:serviceaccounts" in identity["groups"]


def test_probes_and_metrics_are_not_reached_from_outside(lead: Api) -> None:
    for path in ("/metrics", "/readyz"):
        assert replace(lead, root="").call("GET", path).status == 404


def test_a_prompt_by_the_api_is_an_activity(creator: Api) -> None:
    before = time.time()
    prompted(creator)
    document = follow(creator, lambda document: "usedAt" in document["status"]["activity"])
    moment = datetime.fromisoformat(document["status"]["activity"]["usedAt"]).timestamp()
    assert before - 3_600 < moment <= time.time(), "one write in an hour notes it"
    shown = creator.call("GET", "/workspaces?sort=-usedAt&fields=name,status.activity").document
    times = {
        item["name"]: item.get("status", {}).get("activity", {}).get("usedAt", "")
        for item in shown["items"]
    }
    assert times[NAME]
    assert [*times.values()] == sorted(times.values(), reverse=True)


def continue_a_chat(api: Api) -> datetime:
    """Sign in to the chat as a person does, and begin a conversation. Return the time of that."""
    shown = api.call("GET", f"{ONE}/credentials").document
    chat = WebUI("http://127.0.0.1", shown["url"].removeprefix("https://"))
    chat.sign_in(shown["email"], shown["password"])
    begun = chat.call("/api/v1/chats/new", {"chat": {"title": "France", "messages": []}})
    return datetime.fromtimestamp(begun["updated_at"], UTC)


def test_a_workspace_is_suspended_and_resumed(creator: Api) -> None:
    chatted = continue_a_chat(creator)
    read = creator.call("GET", ONE)
    assert creator.call("POST", f"{ONE}:suspend").status == 202
    follow(creator, lambda document: document["status"]["phase"] == "Suspended")
    assert creator.call("POST", f"{ONE}:prompt", {"prompt": "Good morning"}).status == 409
    lost = {"spec": {"suspended": False}}
    assert creator.call("PATCH", ONE, lost, if_match=read.headers["etag"]).status == 412
    assert creator.call("POST", f"{ONE}:resume").status == 202
    follow(creator, lambda document: document["status"]["phase"] == "Ready")
    assert ANSWER in prompted(creator)["reply"]
    written = chatted.strftime("%Y-%m-%dT%H:%M:%SZ")
    follow(creator, lambda document: document["status"]["activity"]["usedAt"] == written)
    later = (chatted + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for since, names in ((written, []), (later, [{"name": NAME}])):
        listed = creator.call("GET", f"/workspaces?idleSince={since}&q={NAME}&fields=name")
        assert listed.document["items"] == names, f"unused since {since}"


def test_a_deleted_workspace_is_gone_from_reads_and_watches(creator: Api) -> None:
    watching = creator.events("GET", f"/workspaces:watch?name={NAME}")
    assert creator.call("DELETE", ONE).status == 202
    last = next(data for kind, data in watching if kind == "DELETED")
    assert last["deleting"]
    assert creator.call("GET", ONE).status == 404


def our_pods(node: Node, component: str) -> list[str]:
    look = ("get", "pods", "-n", SYSTEM, "-l", f"app.kubernetes.io/component={component}")
    return node.kubectl(*look, "-o", "jsonpath={.items[*].metadata.name}").split()


@pytest.mark.usefixtures("creator")
def test_both_replicas_have_served(node: Node) -> None:
    pods = our_pods(node, "api")
    assert len(pods) == 2
    for pod in pods:
        scraped = node.kubectl(
            "get", "--raw", f"/api/v1/namespaces/{SYSTEM}/pods/{pod}:8091/proxy/metrics"
        )
        assert 'route="/api/v1/workspaces/{name}"' in scraped


@pytest.mark.usefixtures("lead")
@pytest.mark.parametrize("component", ["api", "manager"])
def test_our_pods_run_without_root_on_a_file_system_that_they_can_not_change(
    node: Node, component: str
) -> None:
    pods = our_pods(node, component)
    assert len(pods) == 2
    for pod in pods:
        run = ("exec", "-n", SYSTEM, pod, "--", "python3", "-c")
        assert node.kubectl(*run, "import os; print(os.getuid())").strip() == "65532"
        assert "Read-only" in node.try_kubectl(*run, "open('/tmp/x', 'w')").stderr


def test_a_team_invites_people_and_makes_tokens_for_its_scripts(node: Node, lead: Api) -> None:
    """By an administrator of the team's namespace; the API writes with its own account."""
    team, account = "red-people", "red-admin"
    node.kubectl("create", "namespace", team)
    node.kubectl("label", "namespace", team, "aichatworkspaces.io/team=true")
    node.kubectl("create", "serviceaccount", account, "-n", team)
    node.kubectl(
        *("create", "rolebinding", account, "-n", team, "--clusterrole=admin"),
        f"--serviceaccount={team}:{account}",
    )
    bearer = node.kubectl("create", "token", account, "-n", team, "--audience", AUDIENCE).strip()
    admin, path = replace(lead, token=bearer), f"/teams/{team}"
    bob = {"name": "oidc:bob", "role": "editor"}
    eventually(lambda: admin.call("GET", f"{path}/members").status == 200, "the team is known")
    invited = admin.call("POST", f"{path}/members", bob)
    assert invited.status == 201, invited.text
    assert [
        (member["name"], member["role"])
        for member in admin.call("GET", f"{path}/members").document["items"]
        if member["invited"]
    ] == [("oidc:bob", "editor")]
    assert admin.call("DELETE", f"{path}/members/User/oidc:bob").status == 200
    created = admin.call("POST", f"{path}/tokens", {"name": "ci", "role": "viewer"})
    assert created.status == 201, created.text
    script = replace(lead, token=created.document["token"])
    eventually(lambda: script.call("GET", f"/workspaces?team={team}").status == 200, "it may read")
    assert script.call("POST", f"/teams/{team}:suspend").document["items"] == []
    assert [entry["name"] for entry in admin.call("GET", f"{path}/tokens").document["items"]] == [
        "ci"
    ]
    assert admin.call("DELETE", f"{path}/tokens/ci").status == 200
    eventually(
        lambda: script.call("GET", "/me").status == 401, "a revoked token is refused", seconds=30
    )
    assert admin.call("GET", f"/options?team={team}").status == 200
    node.kubectl("delete", "namespace", team, "--wait=false")


def test_who_may_patch_the_platform_may_pause_upgrades(node: Node, lead: Api) -> None:
    """As a dry run: other tests on this node need upgrades to go on."""
    account, pause = "platform-lead", "/platform/upgrades:pause?dryRun=true"
    role = ("--verb=patch", "--resource=aichatplatforms.apps.aichatworkspaces.io")
    node.kubectl("create", "clusterrole", account, *role)
    node.kubectl(
        *("create", "clusterrolebinding", account, f"--clusterrole={account}"),
        f"--serviceaccount={SYSTEM}:{account}",
    )
    node.kubectl("create", "serviceaccount", account, "-n", SYSTEM)
    platform_lead = replace(lead, token=token(node, account, "--audience", AUDIENCE))
    assert lead.call("POST", pause).status == 403
    answer = platform_lead.call("POST", pause)
    assert (answer.status, answer.document["paused"]) == (200, True), answer.text
    node.kubectl("delete", f"clusterrole/{account}", f"clusterrolebinding/{account}")


@pytest.mark.usefixtures("creator")
def test_the_api_has_used_every_permission_that_it_has(node: Node) -> None:
    """Its life above needs all of them, and it was refused nothing but the write for trial that
    shows its confinement. To bind a role is no request of its own, and Leases are for sessions of
    an identity provider, which is not here: tests/integration/test_api_sessions_last.py."""
    roles = yaml.safe_load_all((ROOT / "config" / "api" / "role.yaml").read_text())
    granted = {
        (verb, group, resource)
        for role in roles
        for rule in role.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if resource != "leases" and verb != "bind"
    }
    requests = node.requests(API_USER)
    assert {used(entry["verb"], entry["objectRef"]) for entry in requests} == granted
    refused = [
        entry
        for entry in requests
        if entry["responseStatus"]["code"] == 403 and not _is_trial(entry)
    ]
    assert not refused, json.dumps(refused, indent=1)


def _is_trial(entry: dict[str, Any]) -> bool:
    """Whether it is the write that has to be refused, by which the API sees that it is confined."""
    reference = entry["objectRef"]
    is_dry = "dryRun=All" in entry["requestURI"]
    return is_dry and (reference["resource"], reference["namespace"]) == ("serviceaccounts", SYSTEM)


def used(verb: str, reference: dict[str, str]) -> tuple[str, str, str]:
    part = f"/{reference['subresource']}" if "subresource" in reference else ""
    return verb, reference.get("apiGroup", ""), f"{reference['resource']}{part}"
