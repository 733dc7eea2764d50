"""Which tests run one after the other because they share a workspace, an operator or a control
plane, and in which order xdist begins such groups. Unit tests are in none: they come last and fill
the time in which others wait."""

from pathlib import Path
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import run
from tests.waiting import eventually

_TESTS: Final = Path(__file__).parent
WHOLE_NODE: Final = "whole-node"
# A file that is not named here is a group of its own. What takes long begins early.
_GROUPS: Final = {
    "chat": (
        "e2e/test_chat.py",
        "e2e/test_browser.py",
        "e2e/test_install_page.py",
        "e2e/test_network.py",
    ),
    "interruptions": ("e2e/test_downloads.py", "e2e/test_failover.py"),
    "lifetimes": ("e2e/test_lifetimes.py",),
    "api": ("e2e/test_api.py", "e2e/test_api_docs.py"),
    "smoke-tests": ("e2e/test_deploying.py", "e2e/test_chart.py"),
    "platform": ("integration/test_platform.py",),
    "operator": (
        "integration/test_operator.py",
        "integration/test_lifetimes.py",
        "integration/test_refusals.py",
    ),
    "api-process": (
        "integration/api/test_watch.py",
        "integration/api/test_contract.py",
        "integration/api/test_changes.py",
        "integration/api/test_matrix.py",
        "integration/api/test_people.py",
        "integration/api/test_console.py",
        "integration/api/test_console_in_browser.py",
        "integration/api/test_console_pictures.py",
    ),
    "absence": (
        "integration/test_absence.py",
        "integration/test_fights.py",
        "integration/test_gitops.py",
        "integration/test_helm_waits.py",
    ),
    "people": (
        "integration/test_api_sign_in.py",
        "integration/test_api_sessions_last.py",
        "integration/test_dex.py",
        "integration/test_readme.py",
        "integration/test_how_to_pages.py",
        "integration/test_api_docs.py",
        "integration/test_aichatctl.py",
    ),
    "bare": ("integration/test_install.py", "integration/test_deploying.py"),
    "fields": (
        "integration/fields/test_spec_fields.py",
        "integration/fields/test_transitions.py",
    ),
    "no-operator": (
        "integration/test_admission.py",
        "integration/test_versions.py",
        "integration/test_server_defaults.py",
        "integration/test_contracts.py",
    ),
    "chart": ("integration/test_chart.py",),
    "model-registry": ("integration/test_model_registry.py",),
    "fleet": ("integration/test_upgrades.py", "integration/test_quota.py"),
    WHOLE_NODE: (
        "e2e/test_whole_node.py",
        "e2e/test_people.py",
        "e2e/test_dex.py",
        "e2e/test_upgrade.py",
        "e2e/test_newer_chat.py",
        "e2e/test_network_settings.py",  # kubelet then keeps its images from later pods
        "e2e/test_workspace_goes.py",
    ),
}
_WAIT_SECONDS: Final = 1500
_ORDER: Final = {file: place for place, file in enumerate(sum(_GROUPS.values(), ()))}
_GROUP_OF: Final = {file: group for group, files in _GROUPS.items() for file in files}


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Give a group's tests to one worker, and unit tests to any.

    xdist 3.8 itself writes groups into node IDs, where pytest 9.2 takes no notice of them.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _group_of_file(nodeid.partition("::")[0].removeprefix("tests/")) or nodeid


def arrange(items: list[pytest.Item]) -> None:
    """Put tests in order."""
    items.sort(key=_place)


def _file(item: pytest.Item) -> str:
    return item.path.relative_to(_TESTS).as_posix()


def _group(item: pytest.Item) -> str:
    return _group_of_file(_file(item))


def _group_of_file(file: str) -> str:
    return "" if file.startswith("unit/") else _GROUP_OF.get(file, file.replace("/", "-"))


def _place(item: pytest.Item) -> tuple[bool, bool, int]:
    """Those that wait for all others are the last that use the node, also in one process."""
    file = _file(item)
    return file.startswith("unit/"), _group(item) == WHOLE_NODE, _ORDER.get(file, len(_ORDER))


def waits_seconds(item: pytest.Item) -> float:
    """How long it may wait for other groups to end."""
    return _WAIT_SECONDS if _group(item) == WHOLE_NODE else 0


def note_end(item: pytest.Item, following: pytest.Item | None) -> None:
    """Let others know when a group that uses the node has ended."""
    group = _group(item)
    if _file(item).startswith("e2e/") and (following is None or _group(following) != group):
        run.once(_ended(group), lambda: True)


def await_others(items: list[pytest.Item]) -> None:
    """Wait until every other group of these tests that uses the node has ended."""
    others = {_group(item) for item in items if _file(item).startswith("e2e/")} - {WHOLE_NODE}
    for group in sorted(others):
        eventually(lambda group=group: run.made(_ended(group)), f"{group} to end", _WAIT_SECONDS)  # type: ignore[misc]


def _ended(group: str) -> str:
    return f"{group}-ended"
