"""The packet filter's chains that a node's parts make and, most of them, never take away."""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_MAKERS: Final = ("KUBE-", "CNI-")  # kubelet and kube-proxy; the network plugins
_PROGRAMS: Final = ("iptables", "ip6tables")


def remember(path: Path) -> None:
    """Write down which such chains are there already: they are somebody else's."""
    found = {program: sorted(_ours(_rules(program))) for program in _PROGRAMS}
    lines = (f"{program} {' '.join(each)}" for program in found for each in found[program])
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text("\n".join(lines))
    partial.rename(path)


def remove_since(path: Path) -> None:
    """Remove the chains that came since, with the rules that lead to them. Without a record nothing
    of ours was made yet, and whatever is there is somebody else's."""
    if not path.exists():
        return
    known = set(path.read_text().splitlines())
    for program in _PROGRAMS:
        rules = _rules(program)
        chains = {each for each in _ours(rules) if f"{program} {' '.join(each)}" not in known}
        if chains:
            _run([f"{program}-restore", "--noflush"], "\n".join(removal(rules, chains)) + "\n")


def removal(rules: Iterable[str], chains: set[tuple[str, str]]) -> Iterator[str]:
    """What takes these (table, chain) out of saved rules, as `iptables-restore` reads it."""
    rules = tuple(rules)
    for table in sorted({table for table, _ in chains}):
        doomed = sorted(chain for of, chain in chains if of == table)
        yield f"*{table}"
        for rule in _of_table(rules, table):
            chain, target = rule.split()[1], rule.rpartition(" -j ")[2].split()[0]
            if target in doomed and chain not in doomed:
                yield f"-D{rule.removeprefix('-A')}"
        yield from (f"-F {chain}" for chain in doomed)
        yield from (f"-X {chain}" for chain in doomed)
        yield "COMMIT"


def _of_table(rules: Iterable[str], table: str) -> Iterator[str]:
    here = False
    for line in rules:
        if line.startswith("*"):
            here = line == f"*{table}"
        elif here and line.startswith("-A") and " -j " in line:
            yield line


def _ours(rules: Iterable[str]) -> Iterator[tuple[str, str]]:
    table = ""
    for line in rules:
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(tuple(f":{maker}" for maker in _MAKERS)):
            yield table, line[1:].split()[0]


def _rules(program: str) -> list[str]:
    return _run([f"{program}-save"]).splitlines()


def _run(command: list[str], given: str = "") -> str:
    ran = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    return ran.stdout
