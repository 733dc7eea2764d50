import re

from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.domain import names

workspace_names = st.from_regex(names.WORKSPACE_NAME_PATTERN, fullmatch=True).filter(
    lambda name: len(name) <= names.WORKSPACE_NAME_MAX_LENGTH
)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def names_of(name: str) -> set[str]:
    """Return the names that a workspace's name becomes."""
    return {
        names.ollama(name),
        names.openwebui(name),
        names.part_of(name),
        f"{names.openwebui(name)}-0123456789",
    }


@given(workspace_names)
def test_every_name_of_a_workspace_is_a_dns_label(name: str) -> None:
    for derived in (name, *names_of(name)):
        assert DNS_LABEL.fullmatch(derived), derived


def test_the_longest_workspace_name_leaves_room_for_pod_and_revision_suffixes() -> None:
    longest = "a" * names.WORKSPACE_NAME_MAX_LENGTH
    assert len(f"{names.ollama(longest)}-0123456789") <= 63
    assert len(f"{names.part_of(longest)}") <= 63


@given(workspace_names, workspace_names)
def test_two_workspaces_never_share_a_host_or_credentials(first: str, second: str) -> None:
    if first != second:
        assert names.host(first, "example.org") != names.host(second, "example.org")
        assert names.credentials(first) != names.credentials(second)


@given(workspace_names)
def test_a_host_is_one_label_below_the_domain(name: str) -> None:
    label, _, domain = names.host(name, "example.org").partition(".")
    assert (label, domain) == (name, "example.org")


def test_credentials_are_traced_to_their_workspace_by_name() -> None:
    assert names.workspace_of_credentials(names.credentials("team-a")) == "team-a"
    assert names.workspace_of_credentials("certificate") is None
