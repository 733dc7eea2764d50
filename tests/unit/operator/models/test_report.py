"""What is told of models and patterns, as more is learned of them."""

from dataclasses import replace

import pytest

from aichat_workspace.domain.models.capacity import PresentModel
from aichat_workspace.domain.models.status import (
    DesiredModels,
    ModelState,
    ModelStatus,
    Pattern,
    PatternStatus,
)
from aichat_workspace.domain.models.sync_plan import ManagedModels, revision_of
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.ollama.client import Progress
from aichat_workspace.ollama.errors import (
    OllamaError,
    OllamaUnreachableError,
    VolumeFullError,
)
from aichat_workspace.operator.models.downloads import DownloadProgress
from aichat_workspace.operator.models.errors import (
    InsufficientSpaceError,
    SlotExpiredError,
    goes_on,
)
from aichat_workspace.operator.models.report import (
    Report,
    before_check,
    checked,
    create_failed,
    pull_paused,
    pulling,
    unanswered,
)

EXPLAIN = Pattern("explain_code", "You explain.")
BASE = PresentModel("m:1", "d1", 8)
MODEL = ModelStatus("m:1", ModelState.READY, 8, 8, "d1", managed=True)
MADE = PatternStatus("explain_code", ModelState.READY, revision_of(EXPLAIN, BASE))
WANTED = DesiredModels(("m:1",), (EXPLAIN,))
KNOWN = Report((MODEL,), (MADE,))


def test_recorded_models_are_reported_until_the_server_is_checked() -> None:
    assert before_check(WANTED, KNOWN, served=True) == KNOWN


def test_a_pattern_whose_text_changed_is_not_ready_any_more_before_the_server_was_asked() -> None:
    changed = DesiredModels(("m:1",), (Pattern("explain_code", "You explain slowly."),))
    report = before_check(changed, KNOWN, served=True)
    assert report.patterns == (replace(MADE, state=ModelState.PENDING),)


def test_a_pattern_is_to_be_made_again_when_another_model_is_its_base() -> None:
    other = ModelStatus("n:1", ModelState.READY, 8, 8, "d2")
    report = before_check(
        DesiredModels(("n:1", "m:1"), (EXPLAIN,)),
        replace(KNOWN, models=(MODEL, other)),
        served=True,
    )
    assert report.patterns[0].state is ModelState.PENDING


def test_a_pattern_of_a_base_that_is_not_known_to_be_there_is_told_as_recorded() -> None:
    coming = replace(KNOWN, models=(replace(MODEL, state=ModelState.PULLING),))
    assert before_check(WANTED, coming, served=True).patterns == (MADE,)


@pytest.mark.parametrize("served", [True, False])
def test_a_download_is_said_to_go_on_only_while_a_server_is_there(served: bool) -> None:
    coming = Report((ModelStatus("m:1", ModelState.PULLING, managed=True),), ())
    (model,) = before_check(DesiredModels(("m:1",)), coming, served=served).models
    assert model.state is (ModelState.PULLING if served else ModelState.PENDING)
    assert model.managed


def test_an_undesired_model_is_removing_until_the_server_stops_listing_it() -> None:
    leaving = before_check(DesiredModels(), KNOWN, served=True)
    assert (leaving.models[0].state, leaving.patterns[0].state) == (ModelState.REMOVING,) * 2
    half = checked(DesiredModels(), leaving, [PresentModel("explain_code:latest", "d9", 8)])
    assert half == replace(leaving, models=())
    assert checked(DesiredModels(), half, []) == Report((), ())


def test_the_servers_list_settles_what_is_there() -> None:
    pattern = PresentModel(EXPLAIN.model, "d9", 8)
    assert checked(WANTED, KNOWN, [BASE, pattern]) == KNOWN
    lost = checked(WANTED, KNOWN, [])
    assert lost.models[0].state is lost.patterns[0].state is ModelState.PENDING
    assert lost.managed == ManagedModels(
        frozenset({"m:1"}), frozenset({(MADE.name, MADE.revision)})
    )


def test_a_pattern_that_could_not_be_made_says_so_until_it_is_made_or_its_base_is_gone() -> None:
    failed = replace(MADE, state=ModelState.FAILED, revision="of the old one", message="full")
    pattern = PresentModel(EXPLAIN.model, "d9", 8)
    known = replace(KNOWN, patterns=(failed,))
    assert checked(WANTED, known, [BASE, pattern]).patterns == (failed,)
    waiting = replace(failed, state=ModelState.PENDING, message="")
    assert checked(WANTED, known, [pattern]).patterns == (waiting,)
    again = replace(failed, revision=MADE.revision)
    assert checked(WANTED, replace(KNOWN, patterns=(again,)), [BASE, pattern]).patterns == (MADE,)


def test_a_model_that_runs_elsewhere_is_not_ready_although_it_is_listed() -> None:
    """A person may have fetched its stub."""
    desired = DesiredModels(("x:20b-cloud",))
    (model,) = checked(desired, Report((), ()), [PresentModel("x:20b-cloud", "d1", 300)]).models
    assert (model.state, model.reason) == (ModelState.FAILED, "ModelHosted")


def test_what_is_taken_out_of_the_spec_has_no_reason_any_more() -> None:
    failed = replace(
        MODEL, state=ModelState.FAILED, reason=Reason.MODEL_TOO_LARGE, message="too large"
    )
    (leaving,) = before_check(DesiredModels(), Report((failed,), ()), served=True).models
    assert (leaving.state, leaving.reason, leaving.message) == (ModelState.REMOVING, None, "")


def test_the_servers_spelling_is_reported() -> None:
    listed = [PresentModel("M:1", "d1", 8), PresentModel("explain_code:Latest", "d9", 8)]
    report = checked(WANTED, KNOWN, listed)
    assert report.models == (replace(MODEL, name="M:1"),)
    assert report.patterns == (MADE,)
    assert report.managed == KNOWN.managed
    assert report.with_model(replace(MODEL, message="new")).models[0].message == "new"
    assert before_check(WANTED, report, served=True) == report


def test_a_server_that_does_not_answer_takes_nothing_that_was_ready_away() -> None:
    failed = ModelStatus("x:1", ModelState.FAILED, message="none", reason=Reason.MODEL_NOT_FOUND)
    two = replace(KNOWN, models=(MODEL, ModelStatus("n:1", ModelState.PULLING), failed))
    report = unanswered(two, OllamaUnreachableError("refused"))
    assert report.models[0] == MODEL
    assert report.models[2] == failed, "it is not tried before something changes"
    assert report.models[1].state is ModelState.PENDING
    assert "refused" in report.models[1].message
    assert "read its log" in report.models[1].message


def test_a_refused_pattern_of_the_operators_stays_the_operators_while_it_is_there() -> None:
    refused = PatternStatus("explain_code", ModelState.FAILED, message="no such pattern")
    desired = DesiredModels(("m:1",), refused=(refused,))
    report = checked(desired, KNOWN, [BASE, PresentModel(EXPLAIN.model, "d9", 8)])
    assert report.patterns == (replace(refused, revision=MADE.revision),)
    assert before_check(desired, KNOWN, served=True).patterns == report.patterns
    assert checked(desired, report, [BASE]).patterns == (refused,)


def test_a_download_that_stalls_says_so_and_what_comes_of_it() -> None:
    progress = Progress("pulling x", 1, 9)
    status = pulling("m:1", DownloadProgress(progress, 0, is_waiting=True))
    assert status.state is ModelState.PULLING
    assert "m:1 waits for data from the registry" in status.message
    assert "begun again by itself" in status.message
    assert pulling("m:1", DownloadProgress(progress, 0, is_waiting=False)).message == ""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InsufficientSpaceError("waits for room"), "waits for room"),
        (OllamaUnreachableError("reset"), "resumes by itself"),
        (SlotExpiredError("m:1"), "resumes by itself"),
    ],
)
def test_a_download_that_goes_on_by_itself_says_so(error: OllamaError, message: str) -> None:
    paused = pull_paused("m:1", error)
    assert (paused.state, paused.managed) == (ModelState.PENDING, True)
    assert message in paused.message
    assert goes_on(error)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OllamaError("no such layer"), "no such layer; it is tried again by itself"),
        (OllamaError("no such layer"), "put another model first in spec.models"),
        (VolumeFullError("no space left"), "raise spec.storage.ollama.size, or remove a model"),
    ],
)
def test_a_pattern_that_can_not_be_made_says_what_is_to_be_done(
    error: OllamaError, message: str
) -> None:
    failed = create_failed(EXPLAIN, "m:1", error, KNOWN)
    assert (failed.state, failed.revision) == (ModelState.FAILED, MADE.revision)
    assert message in failed.message
