"""Remove the packet filter chains that a node's components make and do not remove."""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from localcluster.state import write_atomically

_PREFIXES: Final = ("KUBE-", "CNI-")  # kubelet and kube-proxy; the network plugins
_PROGRAMS: Final = ("iptables", "ip6tables")


def remember(path: Path) -> None:
    """Record the chains before a node is started: they belong to other programs."""
    chains = {program: sorted(_component_chains(_rules(program))) for program in _PROGRAMS}
    lines = (f"{program} {' '.join(chain)}" for program in chains for chain in chains[program])
    write_atomically(path, "\n".join(lines))


def remove_since(path: Path) -> None:
    """Remove the chains made since the record in ``path``, with the rules that lead to them.

    Without a record no node has made any yet: all chains belong to other programs.
    """
    if not path.exists():
        return
    recorded = set(path.read_text().splitlines())
    for program in _PROGRAMS:
        rules = _rules(program)
        chains = {
            chain
            for chain in _component_chains(rules)
            if f"{program} {' '.join(chain)}" not in recorded
        }
        if chains:
            _run([f"{program}-restore", "--noflush"], "\n".join(removal(rules, chains)) + "\n")


def removal(rules: Iterable[str], chains: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the lines for `iptables-restore` that remove these (table, chain) from saved rules."""
    rules = tuple(rules)
    for table in sorted({table for table, _ in chains}):
        obsolete = sorted(chain for chain_table, chain in chains if chain_table == table)
        yield f"*{table}"
        for rule in _jump_rules(rules, table):
            chain, target = rule.split()[1], rule.rpartition(" -j ")[2].split()[0]
            if target in obsolete and chain not in obsolete:
                yield f"-D{rule.removeprefix('-A')}"
        yield from (f"-F {chain}" for chain in obsolete)
        yield from (f"-X {chain}" for chain in obsolete)
        yield "COMMIT"


def _jump_rules(rules: Iterable[str], table: str) -> Iterator[str]:
    in_table = False
    for line in rules:
        if line.startswith("*"):
            in_table = line == f"*{table}"
        elif in_table and line.startswith("-A") and " -j " in line:
            yield line


def _component_chains(rules: Iterable[str]) -> Iterator[tuple[str, str]]:
    table = ""
    for line in rules:
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(tuple(f":{prefix}" for prefix in _PREFIXES)):
            yield table, line[1:].split()[0]


def _rules(program: str) -> list[str]:
    return _run([f"{program}-save"]).splitlines()


def _run(command: list[str], rules: str = "") -> str:
    result = subprocess.run(command, input=rules, capture_output=True, text=True, check=False)
    return result.stdout
