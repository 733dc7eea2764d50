from typing import Any

import pytest

from aichat_workspace.domain.models import tools
from aichat_workspace.domain.models.tools import Offer, Withdraw, decide, entry, revision


def as_returned(model: str, **changes: Any) -> dict[str, Any]:
    """The operator's entry as Open WebUI gives it back, or with what a person changed."""
    made = entry(model)
    unset = dict.fromkeys(("profile_image_url", "description", "capabilities"))
    return {
        **made,
        "meta": {**unset, **made["meta"]},
        "user_id": "1",
        "version_id": "v",
        "created_at": 1,
        **changes,
    }


def test_a_model_that_can_call_tools_gets_an_entry_and_another_none() -> None:
    assert decide({"b", "a"}, []) == (Offer("a"), Offer("b"))
    assert decide(set(), []) == ()


def test_nothing_is_left_to_do_once_it_is_done() -> None:
    assert decide({"a"}, [as_returned("a")]) == ()


def test_an_entry_goes_with_the_capability() -> None:
    assert decide({"b"}, [as_returned("a"), as_returned("b")]) == (Withdraw("a"),)


def test_an_entry_stays_while_it_is_unclear_what_its_model_can_do() -> None:
    assert decide({"b"}, [as_returned("a")], unclear={"a"}) == (Offer("b"),)
    assert revision("claim-1", {"b"}, unclear={"a"}) != revision("claim-1", {"b"})
    assert revision("claim-1", set(), unclear={"a"})


def test_an_entry_that_a_person_deletes_is_made_again_and_one_turned_off_is_not() -> None:
    assert decide({"a"}, []) == (Offer("a"),)
    assert decide({"a"}, [as_returned("a", params={"function_calling": "legacy"})]) == ()


def test_an_entry_of_an_earlier_version_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(tools, "_DISABLED_TOOLS", ("calendar",))
        old, then = as_returned("a"), revision("claim-1", {"a"})
    assert decide({"a"}, [old]) == (Withdraw("a"), Offer("a"))
    assert decide(set(), [old]) == (Withdraw("a"),)
    assert revision("claim-1", {"a"}) != then


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
def test_an_entry_that_a_person_made_or_changed_is_left_alone(changes: dict[str, Any]) -> None:
    theirs = as_returned("a", **changes)
    assert decide({"a"}, [theirs]) == ()
    assert decide(set(), [theirs]) == ()


def test_a_revision_changes_with_the_models_and_with_the_volume() -> None:
    first = revision("claim-1", {"a", "b"})
    assert revision("claim-1", {"b", "a"}) == first
    assert len({first, revision("claim-1", {"a"}), revision("claim-2", {"a", "b"})}) == 3


def test_where_no_model_can_call_tools_there_is_nothing_to_record() -> None:
    assert (
        revision("claim-1", set()) == revision("claim-2", set()) == tools.NOT_OFFERED_YET.revision
    )


def test_a_refused_sign_in_names_the_models_the_account_and_what_to_do() -> None:
    message = tools.sign_in_refused({"b", "a"}, "admin@x", None)
    assert message.startswith("a, b: ")
    assert "admin@x" in message
    assert "spec.access.passwordReset" in message
    given = tools.sign_in_refused({"a"}, "admin@x", "own-login")
    assert "Secret 'own-login'" in given
    assert "passwordReset" not in given


def test_of_many_models_the_first_are_named() -> None:
    message = tools.not_taken({f"m{n}" for n in range(8)}, "no room")
    assert message.startswith("m0, m1, m2, m3, m4 and 3 more: ")
    assert "no room" in message


def test_what_is_told_names_what_failed_and_what_to_do() -> None:
    demoted = tools.not_administrator({"a"}, "admin@x")
    assert demoted.startswith("a: ")
    assert "admin@x" in demoted
    assert "role" in demoted
    assert "Ollama can't be reached: refused" in tools.unreachable("Ollama", "refused")
    assert tools.unclear({"a": "out of order"}).startswith("a: ")
    assert "out of order" in tools.unclear({"a": "out of order"})
    assert "KeyError" in tools.failed("KeyError")
