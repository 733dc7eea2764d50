"""What is told of models and patterns, as more is learned of them."""

from dataclasses import replace

import pytest

from aichat_workspace.domain.models import (
    ModelState,
    ModelStatus,
    Pattern,
    PatternStatus,
    PresentModel,
    Recorded,
    Wanted,
    revision_of,
)
from aichat_workspace.ollama.errors import ModelNotFound, OllamaError, OllamaUnreachable
from aichat_workspace.operator.model_report import (
    ModelTooLarge,
    NoRoomYet,
    Report,
    before_check,
    checked,
    pull_failed,
    unanswered,
)

EXPLAIN = Pattern("explain_code", "You explain.")
BASE = PresentModel("m:1", "d1", 8)
MODEL = ModelStatus("m:1", ModelState.READY, 8, 8, "d1", managed=True)
MADE = PatternStatus("explain_code", ModelState.READY, revision_of(EXPLAIN, BASE))
WANTED = Wanted(("m:1",), (EXPLAIN,))
KNOWN = Report((MODEL,), (MADE,))


def test_what_was_there_is_still_told_before_the_server_was_asked_again() -> None:
    assert before_check(WANTED, KNOWN, served=True) == KNOWN


def test_a_pattern_whose_text_changed_is_not_ready_any_more_before_the_server_was_asked() -> None:
    changed = Wanted(("m:1",), (Pattern("explain_code", "You explain slowly."),))
    report = before_check(changed, KNOWN, served=True)
    assert report.patterns == (replace(MADE, state=ModelState.PENDING),)


def test_a_pattern_is_to_be_made_again_when_another_model_is_its_base() -> None:
    other = ModelStatus("n:1", ModelState.READY, 8, 8, "d2")
    report = before_check(
        Wanted(("n:1", "m:1"), (EXPLAIN,)), replace(KNOWN, models=(MODEL, other)), served=True
    )
    assert report.patterns[0].state is ModelState.PENDING


def test_a_pattern_of_a_base_that_is_not_known_to_be_there_is_told_as_recorded() -> None:
    coming = replace(KNOWN, models=(replace(MODEL, state=ModelState.PULLING),))
    assert before_check(WANTED, coming, served=True).patterns == (MADE,)


@pytest.mark.parametrize("served", [True, False])
def test_a_download_is_said_to_go_on_only_while_a_server_is_there(served: bool) -> None:
    coming = Report((ModelStatus("m:1", ModelState.PULLING, managed=True),), ())
    (model,) = before_check(Wanted(("m:1",)), coming, served=served).models
    assert model.state is (ModelState.PULLING if served else ModelState.PENDING)
    assert model.managed


def test_what_nobody_wants_any_more_is_leaving_until_the_server_does_not_list_it() -> None:
    leaving = before_check(Wanted(), KNOWN, served=True)
    assert leaving.leaving == {"m:1", "explain_code:latest"}
    half = checked(Wanted(), leaving, [PresentModel("explain_code:latest", "d9", 8)])
    assert half.leaving == {"explain_code:latest"}
    assert checked(Wanted(), half, []) == Report((), ())


def test_the_servers_list_settles_what_is_there() -> None:
    pattern = PresentModel(EXPLAIN.model, "d9", 8)
    assert checked(WANTED, KNOWN, [BASE, pattern]) == KNOWN
    lost = checked(WANTED, KNOWN, [])
    assert lost.models[0].state is lost.patterns[0].state is ModelState.PENDING
    assert lost.recorded == Recorded(frozenset({"m:1"}), frozenset({(MADE.name, MADE.revision)}))


def test_a_server_that_does_not_answer_takes_nothing_that_was_ready_away() -> None:
    two = replace(KNOWN, models=(MODEL, ModelStatus("n:1", ModelState.PULLING)))
    report = unanswered(two, OllamaUnreachable("refused"))
    assert report.models[0] == MODEL
    assert report.models[1].state is ModelState.PENDING
    assert "refused" in report.models[1].message


@pytest.mark.parametrize(
    ("error", "state", "managed", "said"),
    [
        (ModelNotFound("none"), ModelState.FAILED, False, "correct its name in spec.models"),
        (ModelTooLarge("raise the size"), ModelState.FAILED, True, "raise the size"),
        (NoRoomYet("waits for room"), ModelState.PENDING, True, "waits for room"),
        (OllamaUnreachable("reset"), ModelState.PENDING, True, "resumes by itself"),
        (OllamaError("digest mismatch"), ModelState.FAILED, True, "digest mismatch"),
    ],
)
def test_a_failed_download_says_what_is_to_be_done(
    error: OllamaError, state: ModelState, managed: bool, said: str
) -> None:
    failed = pull_failed("m:1", error)
    assert (failed.state, failed.managed) == (state, managed)
    assert said in failed.message
