"""Which models chats offer tools to, as entries in Open WebUI.

A chat offers tools to a model whose entry says `native`, and to no other, since
DEFAULT_MODEL_PARAMS says `legacy`: Ollama answers with an error when a model without the capability
is sent tools. docs/decisions/0006-tools-by-capability.md has the reasons.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.domain import names

CAPABILITY: Final = "tools"
"""How Ollama calls it: https://github.com/ollama/ollama/blob/main/docs/api.md"""
MAX_MODELS: Final = 500
"""Of one workspace, the first by name, are asked for. A longer list is no list for people."""
_LISTED: Final = 5
_MARK: Final = names.OPERATOR
"""In an entry's `meta`, with the digest of everything else: what a person changes shows."""
# Kinds of Open WebUI's own tools. With all of them the definitions alone are about 6,000 tokens,
# and Ollama's context is 4,096 where there is no large GPU: it would cut the prompt. What has to
# do with time, documents and earlier chats stays, and what a person turns on for a chat.
_LEFT_OUT: Final = (
    "automations",
    "calendar",
    "memory",
    "notes",
    "skills",
    "tasks",
    "user_input",
)

Entry = Mapping[str, Any]
"""A model's entry, as Open WebUI's API gives and takes it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Make the entry by which chats offer tools to a model."""

    model: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Remove that entry."""

    model: str


@dataclass(frozen=True, slots=True)
class ToolStatus:
    """What a chat was last made to follow, what keeps it from following its models now, and whether
    it does follow them."""

    revision: str = ""
    problem: str = ""
    is_current: bool = False


NOT_OFFERED_YET: Final = ToolStatus()


def entry(model: str) -> dict[str, Any]:
    """The entry by which chats offer tools to a model, with the operator's mark."""
    content: dict[str, Any] = {
        "id": model,
        "base_model_id": None,
        "name": model,
        "params": {"function_calling": "native"},
        "meta": {"builtinTools": dict.fromkeys(_LEFT_OUT, False)},
        "is_active": True,
    }
    return {**content, "meta": {**content["meta"], _MARK: _digest(content)}}


def decide(
    models: Collection[str], entries: Iterable[Entry], unclear: Collection[str] = ()
) -> tuple[Withdraw | Offer, ...]:
    """What Open WebUI lacks so that these models, and no others, are offered tools. What it has for
    a model of which it is unclear whether it can call tools stays.

    An entry that a person made stays as it is, and so does one of the operator's that a person has
    changed: it says what the person wants for that model.
    """
    existing = {present["id"]: present for present in entries}
    stale = {
        model
        for model, present in existing.items()
        if model not in unclear
        and _is_untouched(present)
        and not (model in models and _mark(present) == _mark(entry(model)))
    }
    return (
        *(Withdraw(model) for model in sorted(stale)),
        *(Offer(model) for model in sorted(models) if model in stale or model not in existing),
    )


def _is_untouched(existing: Entry) -> bool:
    """Whether an entry is as this operator, or an earlier version of it, has made it."""
    content = {key: existing.get(key) for key in entry("")}
    # Open WebUI gives every setting that it knows, the unset ones as null.
    meta = {key: value for key, value in (content["meta"] or {}).items() if value is not None}
    mark = meta.pop(_MARK, None)
    return mark is not None and mark == _digest({**content, "meta": meta})


def _mark(existing: Entry) -> Any:
    return existing["meta"][_MARK]


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def revision(volume: str, models: Collection[str], unclear: Collection[str] = ()) -> str:
    """Changes with the entries, with the volume that holds them and with the models whose entries
    are left as they are; empty where no model can call tools, for then no entry is needed."""
    if not models and not unclear:
        return ""
    return _digest([volume, *map(entry, sorted(models)), *sorted(unclear)])


def sign_in_refused(models: Collection[str], email: str, admin_secret: str | None) -> str:
    """What to say when the administrator's password is not the Secret's any more."""
    fix = (
        f"write the present password into Secret {admin_secret!r}"
        if admin_secret
        else "set spec.access.passwordReset to a new text for a new password"
    )
    return (
        f"{_first(models)}: the operator can't tell chats which models call tools, for Open WebUI "
        f"refuses its sign-in as {email}, whose password was changed there; {fix}, or set Function "
        "Calling of these models to Native in Open WebUI"
    )


def not_administrator(models: Collection[str], email: str) -> str:
    """What to say when the account that signs in is no administrator any more."""
    return (
        f"{_first(models)}: the operator can't tell chats which models call tools, for {email} is "
        "no administrator of Open WebUI any more; give it that role again, then suspend and resume "
        "the workspace, or set Function Calling of these models to Native in Open WebUI"
    )


def unreachable(server: str, error: str) -> str:
    """What to say when a server of the workspace has not answered for some time."""
    return (
        f"the operator can't tell chats which models call tools, for {server} can't be reached: "
        f"{error}; it is tried again by itself; if this lasts, read its log and check that network "
        "policies let the operator in"
    )


def unclear(errors: Mapping[str, str]) -> str:
    """What to say when the model server can't say of some models what they can do."""
    return (
        f"{_first(errors)}: it is unclear whether they call tools, so chats go on as before with "
        f"them, for Ollama says: {next(iter(errors.values()))}; it is tried again by itself; if "
        "this lasts, read its log, or remove and pull them again"
    )


def failed(error: str) -> str:
    """What to say of an error that nobody has foreseen."""
    return (
        "the operator can't tell chats which models call tools, for it failed itself with "
        f"{error}; it is tried again by itself; if this lasts, report what its log says"
    )


def not_taken(models: Collection[str], error: str) -> str:
    """What to say when Open WebUI does not do what it is asked for."""
    return (
        f"{_first(models)}: the operator can't tell chats which models call tools, for Open WebUI "
        f"says: {error}; it is tried again by itself; if this lasts, read its log"
    )


def _first(models: Collection[str]) -> str:
    listed = sorted(models)
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more if listed else "no model"
