"""Who is invited into a team, and which tokens its scripts get, with nothing but the API's own
permissions."""

import ssl
from collections.abc import Iterator
from typing import Final

import httpx2
import pytest
import yaml

from tests.integration.api.served import TEAMS, Person, Served, grant, person, token
from tests.integration.conftest import Cluster
from tests.waiting import eventually

TEAM, OTHER = "people-of-red", TEAMS[0]  # other tests leave members and tokens in their teams
MEMBERS: Final = f"/api/v1/teams/{TEAM}/members"
TOKENS: Final = f"/api/v1/teams/{TEAM}/tokens"
GUEST: Final = {"kind": "ServiceAccount", "name": "guest", "role": "editor"}


@pytest.fixture(scope="module")
def admin(cluster: Cluster, api_kubeconfig: object) -> Person:
    """Somebody with Kubernetes' own role in one team."""
    assert api_kubeconfig
    labels = {"aichatworkspaces.io/team": "true"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM, "labels": labels}}
    )
    return person(cluster, "people-admin", [grant("people-admin", "admin", TEAM)])


@pytest.fixture
def as_admin(api: Served, admin: Person) -> Iterator[httpx2.Client]:
    with api.client(admin.token) as client:
        eventually(lambda: client.get(MEMBERS).is_success, "the team is known")
        yield client


def test_an_invited_account_may_what_its_role_says_in_its_team_alone(
    cluster: Cluster, api: Served, as_admin: httpx2.Client
) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    cluster.apply({**account, "metadata": {"name": "guest", "namespace": TEAM}})
    assert as_admin.post(MEMBERS, json=GUEST).status_code == 201
    assert as_admin.post(MEMBERS, json=GUEST).status_code == 200
    members = as_admin.get(MEMBERS).json()["items"]
    assert {(member["name"], member["role"], member["invited"]) for member in members} >= {
        ("guest", "editor", True),
        ("people-admin", "admin", False),
    }
    with api.client(token(cluster, "guest", TEAM, "aichat-workspace-api")) as guest:
        assert "create" in guest.get(f"/api/v1/me/teams/{TEAM}").json()["verbs"]
        assert guest.get(f"/api/v1/me/teams/{OTHER}").json()["verbs"] == []
    assert as_admin.post(MEMBERS, json={**GUEST, "role": "admin"}).status_code == 200
    assert as_admin.delete(f"{MEMBERS}/ServiceAccount/guest").json()["role"] == "admin"
    bindings = cluster.get("rolebinding", "-n", TEAM)["items"]
    assert not [binding for binding in bindings if "guest" in str(binding["subjects"])]
    assert as_admin.delete(f"{MEMBERS}/ServiceAccount/guest").status_code == 404


def test_who_may_not_bind_a_role_in_kubernetes_may_not_give_it_here(
    cluster: Cluster, api: Served, admin: Person
) -> None:
    """A person with all of RoleBindings, but of workspaces only what a viewer has."""
    rules = [
        {
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["rolebindings"],
            "verbs": ["create", "delete", "list"],
        }
    ]
    meta = {"name": "binder", "namespace": TEAM}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta}
    given = grant("binder", "binder", TEAM)
    given["roleRef"]["kind"] = "Role"
    grants = [{**role, "rules": rules}, given, grant("binder", "aichatworkspace-viewer", TEAM)]
    binder = person(cluster, "binder", grants)
    body = {"name": "oidc:eve"}
    with api.client(binder.token) as client:
        assert client.post(MEMBERS, json={**body, "role": "viewer"}).status_code == 201
        refused = client.post(MEMBERS, json={**body, "role": "editor"})
        assert refused.status_code == 403, refused.text
        assert "may not give the role editor" in refused.json()["detail"]
        assert client.delete(f"{MEMBERS}/User/oidc:eve").status_code == 200
        assert client.post(TOKENS, json={"name": "x", "role": "viewer"}).status_code == 403
    for role_name in ("aichatworkspace-viewer", "aichatworkspace-editor"):
        binding = yaml.safe_dump(
            {
                **grant("eve", role_name, TEAM),
                "subjects": [
                    {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "oidc:eve"}
                ],
            }
        )
        create = ("create", "--dry-run=server", f"--as={binder.username}", "-f", "-")
        answer = cluster.kubectl(*create, stdin=binding, check=False)
        assert ("created" in answer) is (role_name == "aichatworkspace-viewer"), answer
    with api.client(admin.token) as client:
        elsewhere = client.post(f"/api/v1/teams/{OTHER}/members", json={**body, "role": "viewer"})
    assert elsewhere.status_code == 403


def test_a_script_has_a_token_with_its_role_alone_until_it_is_revoked(
    cluster: Cluster, api: Served, as_admin: httpx2.Client
) -> None:
    created = as_admin.post(TOKENS, json={"name": "ci", "role": "editor"})
    assert created.status_code == 201, created.text
    assert as_admin.post(TOKENS, json={"name": "ci", "role": "editor"}).status_code == 409
    assert [entry["name"] for entry in as_admin.get(TOKENS).json()["items"]] == ["ci"]
    with api.client(created.json()["token"]) as script:
        me = script.get("/api/v1/me").json()
        assert (me["username"], me["teams"]) == (created.json()["username"], [TEAM])
        assert "patch" in script.get(f"/api/v1/me/teams/{TEAM}").json()["verbs"]
        assert script.get(MEMBERS).status_code == 403
    kubeconfig = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    with httpx2.Client(
        base_url=kubeconfig["server"],
        headers={"Authorization": f"Bearer {created.json()['token']}"},
        verify=ssl.create_default_context(cafile=kubeconfig["certificate-authority"]),
    ) as kubernetes:
        # This API server lists the audience among its own; the role is all that the script has.
        assert kubernetes.get(f"/api/v1/namespaces/{TEAM}/secrets").status_code == 403
    assert as_admin.delete(f"{TOKENS}/ci").status_code == 200
    assert not cluster.kube.has("serviceaccount", "aichat-token-ci", TEAM)
    # One that was never used is in no cache, so its end shows at once.
    unused = as_admin.post(TOKENS, json={"name": "unused", "role": "viewer"}).json()["token"]
    assert as_admin.delete(f"{TOKENS}/unused").status_code == 200
    with api.client(unused) as script:
        assert script.get("/api/v1/me").status_code == 401
