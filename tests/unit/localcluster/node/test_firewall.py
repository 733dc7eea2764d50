from pathlib import Path

import pytest

from localcluster.node import firewall
from localcluster.node.firewall import removal

SAVED = """*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:DOCKER - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-A
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -j KUBE-FORWARD
-A FORWARD -s 10.0.0.0/8 -j ACCEPT
COMMIT""".splitlines()


def test_rules_that_lead_to_a_chain_are_removed_before_the_chain() -> None:
    assert [*removal(SAVED, {("nat", "KUBE-SERVICES"), ("nat", "KUBE-SVC-A")})] == [
        "*nat",
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-F KUBE-SERVICES",
        "-F KUBE-SVC-A",
        "-X KUBE-SERVICES",
        "-X KUBE-SVC-A",
        "COMMIT",
    ]


def test_each_table_is_changed_separately() -> None:
    lines = [*removal(SAVED, {("nat", "KUBE-SVC-A"), ("filter", "KUBE-FORWARD")})]
    assert lines[0] == "*filter"
    assert "-D FORWARD -j KUBE-FORWARD" in lines
    assert "-D KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-A" in lines


def test_without_chains_nothing_is_removed() -> None:
    assert [*removal(SAVED, set())] == []


@pytest.fixture
def restored_rules(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the input of iptables-restore; the machine has the chains above."""
    inputs: list[str] = []

    def run(command: list[str], rules: str = "") -> str:
        if command[0].endswith("-restore"):
            inputs.append(rules)
        return "\n".join(SAVED)

    monkeypatch.setattr(firewall, "_run", run)
    return inputs


def test_without_a_record_no_chain_is_removed(restored_rules: list[str], tmp_path: Path) -> None:
    firewall.remove_since(tmp_path / "never-written")
    assert restored_rules == []


def test_recorded_chains_stay(restored_rules: list[str], tmp_path: Path) -> None:
    record = tmp_path / "chains"
    firewall.remember(record)
    firewall.remove_since(record)
    assert restored_rules == []
    record.write_text("iptables nat KUBE-SERVICES\niptables filter KUBE-FORWARD")
    firewall.remove_since(record)
    assert "-X KUBE-SVC-A" in restored_rules[0]
    assert "-X KUBE-SERVICES" not in restored_rules[0]
