"""Ask for what a new workspace lacks, in the order in which people think of it."""

import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aichat_workspace.cli.errors import CliError, usage_error
from aichat_workspace.cli.render.lines import plain
from aichat_workspace.cli.render.size_classes import size_class_table
from aichat_workspace.cli.session import Session
from aichat_workspace.domain import names

_NAME: Final = re.compile(names.WORKSPACE_NAME_PATTERN)
_SUGGESTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """What is known of a new workspace."""

    name: str = ""
    team: str | None = None
    models: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    class_name: str | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """The spec that says so."""
        lists = {"models": list(self.models), "patterns": list(self.patterns)}
        fields = {"className": self.class_name, **lists}
        return {"workspaceName": self.name} | {key: value for key, value in fields.items() if value}

    @property
    def command(self) -> str:
        """The command that asks for the same."""
        words = ["aichatctl", "create", self.name]
        words += ["--team", self.team] if self.team else []
        words += ["--class", self.class_name] if self.class_name else []
        for option, values in (("--model", self.models), ("--pattern", self.patterns)):
            for value in values:
                words += [option, value]
        return shlex.join(words)


def complete(session: Session, wish: Wish) -> Wish:
    """Ask for what is missing: team, name, size class, models, patterns.

    Raises CliError at an end of input.
    """
    if wish.team is None:
        wish = replace(wish, team=_ask_team(session))
    if not wish.name:
        suggestion = f"{wish.team}-chat" if wish.team else ""
        name = _ask(session, "Name", suggestion, name_problem)
        wish = replace(wish, name=name)
    if wish.class_name is None:
        wish = replace(wish, class_name=_ask_class(session, wish.team))
    if not wish.models:
        catalogue = session.api.get("the models were not read", "/api/v1/models").document
        known = [str(model["name"]) for model in catalogue["inUse"]]
        models = _ask_several(session, "Models", known, "names of Ollama's, as llama3.2:1b")
        wish = replace(wish, models=models)
    if not wish.patterns:
        document = session.api.get("the patterns were not read", "/api/v1/patterns").document
        known = [str(pattern["name"]) for pattern in document["items"]]
        wish = replace(wish, patterns=_ask_several(session, "System prompts", known, "names"))
    session.notes.say(f"\nThe same as: {wish.command}\n")
    return wish


def name_problem(name: str) -> str:
    """Return what is wrong with a workspace's name, and a suggestion; empty for a good one."""
    if len(name) <= names.WORKSPACE_NAME_MAX_LENGTH and _NAME.fullmatch(name):
        return ""
    suggestion = suggest_name(name)
    rule = (
        f"use lower-case letters, digits and hyphens, at most {names.WORKSPACE_NAME_MAX_LENGTH}, "
        "beginning with a letter"
    )
    return f"{rule}; for example {suggestion}" if suggestion else rule


def suggest_name(text: str) -> str:
    """Return a valid name that is like the text; empty where nothing of it can be used."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")
    return name[: names.WORKSPACE_NAME_MAX_LENGTH].rstrip("-")


def _ask_team(session: Session) -> str | None:
    identity = session.api.get("your teams were not read", "/api/v1/me").document
    if "create" in identity["everywhere"]:
        return _ask(session, "Team", names.SYSTEM_NAMESPACE, lambda _: "")
    teams = [str(team) for team in identity["teams"] if "create" in session.api.rights(str(team))]
    if not teams:
        raise CliError(
            "nothing was created",
            (f"{plain(str(identity['username']))} may create workspaces in no team",),
            "aichatctl doctor",
        )
    if len(teams) == 1:
        return teams[0]
    session.notes.say(f"Teams: {', '.join(teams)}")

    def problem(text: str) -> str:
        return "" if text in teams else f"choose one of {', '.join(teams)}"

    return _ask(session, "Team", teams[0], problem)


def _ask_class(session: Session, team: str | None) -> str | None:
    """Ask for one of the classes that the team may choose; None for none, and where there is
    none."""
    what = "the size classes were not read"
    document = session.api.get(what, "/api/v1/options", {"team": team}).document
    classes = document["sizeClasses"]
    if not classes:
        return None
    session.notes.print(*size_class_table(classes, session.notes.width))
    known = [str(entry["name"]) for entry in classes]
    default = next((str(entry["name"]) for entry in classes if entry["fits"]), names.NO_SIZE_CLASS)

    def problem(text: str) -> str:
        is_known = text in (*known, names.NO_SIZE_CLASS)
        return "" if is_known else f"choose one of {', '.join(known)}, or {names.NO_SIZE_CLASS}"

    answer = _ask(session, "Class", default, problem)
    return answer if answer in known else None


def _ask(session: Session, question: str, default: str, problem_of: Callable[[str], str]) -> str:
    """Ask until the answer is valid; Enter takes the default."""
    while True:
        text = _read_line(session, f"{question} [{default}]: " if default else f"{question}: ")
        answer = text or default
        problem = problem_of(answer)
        if not problem:
            return answer
        session.notes.say(f"  {problem}")


def _ask_several(
    session: Session, question: str, known: Sequence[str], what: str
) -> tuple[str, ...]:
    """Ask for any number of names, or numbers of the list; Enter takes none."""
    for number, name in enumerate(known[:_SUGGESTIONS], start=1):
        session.notes.say(f"  {number}. {plain(name)}")
    if len(known) > _SUGGESTIONS:
        session.notes.say(f"  … and {len(known) - _SUGGESTIONS} more")
    text = _read_line(session, f"{question} (numbers or {what}; Enter for none): ")
    words = [word for word in re.split(r"[,\s]+", text) if word]
    names_chosen = tuple(dict.fromkeys(chosen_name(word, known) for word in words))
    if names_chosen:
        session.notes.say(f"  → {', '.join(map(plain, names_chosen))}")
    return names_chosen


def chosen_name(word: str, known: Sequence[str]) -> str:
    """Return what a word stands for: a number of the list, the one name that has it, or itself."""
    if word.isdigit() and 1 <= int(word) <= min(len(known), _SUGGESTIONS):
        return known[int(word) - 1]
    if word in known:
        return word
    if ":" in word:
        return word
    alike = [name for name in known if word.lower() in name.lower()]
    return alike[0] if len(alike) == 1 else word


def _read_line(session: Session, prompt: str) -> str:
    session.notes.write(prompt)
    text = sys.stdin.readline()
    if not text:
        raise usage_error("nothing was created: the input has ended")
    return text.strip()
