from typing import Any

import pytest

from aichat_workspace.domain.models import tools
from aichat_workspace.domain.models.tools import Offer, Withdraw, decide, entry, revision


def as_returned(model: str, **changes: Any) -> dict[str, Any]:
    """Return the operator's entry as Open WebUI returns it, with a person's changes."""
    written = entry(model)
    unset = dict.fromkeys(("profile_image_url", "description", "capabilities"))
    return {
        **written,
        "meta": {**unset, **written["meta"]},
        "user_id": "1",
        "version_id": "v",
        "created_at": 1,
        **changes,
    }


def test_only_models_that_can_call_tools_get_entries() -> None:
    assert decide({"b", "a"}, []) == (Offer("a"), Offer("b"))
    assert decide(set(), []) == ()


def test_an_entry_that_exists_needs_no_change() -> None:
    assert decide({"a"}, [as_returned("a")]) == ()


def test_an_entry_is_withdrawn_with_the_capability() -> None:
    assert decide({"b"}, [as_returned("a"), as_returned("b")]) == (Withdraw("a"),)


def test_an_entry_of_a_model_with_unclear_capabilities_stays() -> None:
    assert decide({"b"}, [as_returned("a")], unclear={"a"}) == (Offer("b"),)
    assert revision("claim-1", {"b"}, unclear={"a"}) != revision("claim-1", {"b"})
    assert revision("claim-1", set(), unclear={"a"})


def test_a_deleted_entry_is_made_again_and_one_turned_off_is_not() -> None:
    assert decide({"a"}, []) == (Offer("a"),)
    assert decide({"a"}, [as_returned("a", params={"function_calling": "legacy"})]) == ()


def test_an_entry_of_an_earlier_version_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(tools, "_DISABLED_TOOLS", ("calendar",))
        old_entry, old_revision = as_returned("a"), revision("claim-1", {"a"})
    assert decide({"a"}, [old_entry]) == (Withdraw("a"), Offer("a"))
    assert decide(set(), [old_entry]) == (Withdraw("a"),)
    assert revision("claim-1", {"a"}) != old_revision


@pytest.mark.parametrize(
    "changes",
    [
        {"meta": {}},
        {"meta": {**entry("a")["meta"], "description": "Ours."}},
        {"meta": {**entry("a")["meta"], "builtinTools": {}}},
        {"meta": {**entry("b")["meta"]}},
        {"meta": None},
        {"params": {"function_calling": "legacy"}},
        {"params": {"function_calling": "native", "temperature": 0}},
        {"params": {}},
        {"name": "The careful one"},
        {"is_active": False},
    ],
)
def test_an_entry_that_a_person_made_or_changed_stays(changes: dict[str, Any]) -> None:
    changed = as_returned("a", **changes)
    assert decide({"a"}, [changed]) == ()
    assert decide(set(), [changed]) == ()


def test_a_revision_changes_with_the_models_and_with_the_volume() -> None:
    first = revision("claim-1", {"a", "b"})
    assert revision("claim-1", {"b", "a"}) == first
    assert len({first, revision("claim-1", {"a"}), revision("claim-2", {"a", "b"})}) == 3


def test_without_a_model_that_can_call_tools_the_revision_is_empty() -> None:
    assert (
        revision("claim-1", set()) == revision("claim-2", set()) == tools.NOT_OFFERED_YET.revision
    )


def test_a_refused_sign_in_names_the_models_the_account_and_what_to_do() -> None:
    message = tools.sign_in_refused({"b", "a"}, "admin@x", None)
    assert message.startswith("a, b: ")
    assert "admin@x" in message
    assert "spec.access.passwordReset" in message
    with_secret = tools.sign_in_refused({"a"}, "admin@x", "own-login")
    assert "Secret 'own-login'" in with_secret
    assert "passwordReset" not in with_secret


def test_a_message_names_the_first_five_models() -> None:
    message = tools.not_taken({f"m{n}" for n in range(8)}, "no room")
    assert message.startswith("m0, m1, m2, m3, m4 and 3 more: ")
    assert "no room" in message


def test_messages_name_the_failure_and_what_to_do() -> None:
    demoted = tools.not_administrator({"a"}, "admin@x")
    assert demoted.startswith("a: ")
    assert "admin@x" in demoted
    assert "role" in demoted
    assert "Ollama can't be reached: refused" in tools.unreachable("Ollama", "refused")
    assert tools.unclear({"a": "out of order"}).startswith("a: ")
    assert "out of order" in tools.unclear({"a": "out of order"})
    assert "KeyError" in tools.failed("KeyError")
