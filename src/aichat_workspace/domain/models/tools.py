"""Decide which models chats offer tools to, as entries in Open WebUI.

A chat offers tools to a model whose entry says `native`, and to no other, since
DEFAULT_MODEL_PARAMS says `legacy`: Ollama returns an error when a model without the capability gets
tools. docs/decisions/0006-tools-by-capability.md has the reasons.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.domain import names

CAPABILITY: Final = "tools"
"""Ollama's name for it: https://github.com/ollama/ollama/blob/main/docs/api.md"""
MAX_MODELS: Final = 500
"""Of one workspace's models only the first ones by name are considered: longer lists are of no use
to people."""
_MAX_LISTED: Final = 5
_MARK: Final = names.OPERATOR
"""A key of an entry's `meta`: the digest of everything else, which shows a person's changes."""
# Kinds of Open WebUI's own tools. The definitions of all of them are about 6,000 tokens, and
# without a large GPU Ollama's context is 4,096: it would cut the prompt. Tools for time, documents
# and earlier chats stay, and so do those that a person turns on for a chat.
_DISABLED_TOOLS: Final = (
    "automations",
    "calendar",
    "memory",
    "notes",
    "skills",
    "tasks",
    "user_input",
)

Entry = Mapping[str, Any]
"""A model's entry, as Open WebUI's API reads and writes it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Create the entry by which chats offer tools to a model."""

    model: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Remove that entry."""

    model: str


@dataclass(frozen=True, slots=True)
class ToolStatus:
    """Which models a chat offers tools to."""

    revision: str = ""
    """Of the entries that were last written."""
    problem: str = ""
    """What keeps the chat from following its models now, or empty."""
    is_current: bool = False
    """Whether the entries follow the present models."""


NOT_OFFERED_YET: Final = ToolStatus()


def entry(model: str) -> dict[str, Any]:
    """Return the entry by which chats offer tools to a model, with the operator's mark."""
    content: dict[str, Any] = {
        "id": model,
        "base_model_id": None,
        "name": model,
        "params": {"function_calling": "native"},
        "meta": {"builtinTools": dict.fromkeys(_DISABLED_TOOLS, False)},
        "is_active": True,
    }
    return {**content, "meta": {**content["meta"], _MARK: _digest(content)}}


def decide(
    models: Collection[str], entries: Iterable[Entry], unclear: Collection[str] = ()
) -> tuple[Withdraw | Offer, ...]:
    """Return the changes after which chats offer tools to these models and to no others.

    Entries of `unclear` models, which may or may not call tools, stay. So do entries that a person
    made or changed: they say what the person wants.
    """
    existing = {present_entry["id"]: present_entry for present_entry in entries}
    stale = {
        model
        for model, present_entry in existing.items()
        if model not in unclear
        and _is_untouched(present_entry)
        and not (model in models and _mark(present_entry) == _mark(entry(model)))
    }
    return (
        *(Withdraw(model) for model in sorted(stale)),
        *(Offer(model) for model in sorted(models) if model in stale or model not in existing),
    )


def _is_untouched(existing: Entry) -> bool:
    """Whether an entry is as this or an earlier version of the operator wrote it."""
    content = {key: existing.get(key) for key in entry("")}
    # Open WebUI returns every setting that it knows, the unset ones as null.
    meta = {key: value for key, value in (content["meta"] or {}).items() if value is not None}
    mark = meta.pop(_MARK, None)
    return mark is not None and mark == _digest({**content, "meta": meta})


def _mark(existing: Entry) -> Any:
    return existing["meta"][_MARK]


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def revision(volume: str, models: Collection[str], unclear: Collection[str] = ()) -> str:
    """Return a digest of the entries, of the volume that has them, and of the `unclear` models.

    It is empty where no model can call tools: then no entry is needed.
    """
    if not models and not unclear:
        return ""
    return _digest([volume, *map(entry, sorted(models)), *sorted(unclear)])


def sign_in_refused(models: Collection[str], email: str, admin_secret: str | None) -> str:
    """Return the message for an administrator's password that differs from the Secret's."""
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
    """Return the message for an account that signs in but is no administrator any more."""
    return (
        f"{_first(models)}: the operator can't tell chats which models call tools, for {email} is "
        "no administrator of Open WebUI any more; give it that role again, then suspend and resume "
        "the workspace, or set Function Calling of these models to Native in Open WebUI"
    )


def unreachable(server: str, error: str) -> str:
    """Return the message for a server of the workspace that has not replied for some time."""
    return (
        f"the operator can't tell chats which models call tools, for {server} can't be reached: "
        f"{error}; it is tried again by itself; if this lasts, read its log and check that network "
        "policies let the operator in"
    )


def unclear(errors: Mapping[str, str]) -> str:
    """Return the message for models whose capabilities the model server can't tell."""
    return (
        f"{_first(errors)}: it is unclear whether they call tools, so chats go on as before with "
        f"them, for Ollama says: {next(iter(errors.values()))}; it is tried again by itself; if "
        "this lasts, read its log, or remove and pull them again"
    )


def failed(error: str) -> str:
    """Return the message for an unexpected error."""
    return (
        "the operator can't tell chats which models call tools, for it failed itself with "
        f"{error}; it is tried again by itself; if this lasts, report what its log says"
    )


def not_taken(models: Collection[str], error: str) -> str:
    """Return the message for a request that Open WebUI rejects."""
    return (
        f"{_first(models)}: the operator can't tell chats which models call tools, for Open WebUI "
        f"says: {error}; it is tried again by itself; if this lasts, read its log"
    )


def _first(models: Collection[str]) -> str:
    listed = sorted(models)
    more = f" and {len(listed) - _MAX_LISTED} more" if len(listed) > _MAX_LISTED else ""
    return ", ".join(listed[:_MAX_LISTED]) + more if listed else "no model"
