import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.domain.models.capacity import PresentModel
from aichat_workspace.domain.models.name import (
    MODEL_NAME_MAX_LENGTH,
    MODEL_NAME_PATTERN,
    InvalidModelNameError,
    parse_model,
)
from aichat_workspace.domain.models.status import (
    DesiredModels,
    ModelState,
    ModelStatus,
    Pattern,
    PatternStatus,
    desired_models,
    format_progress,
    models_ready,
    summary,
)
from aichat_workspace.domain.models.sync_plan import (
    Create,
    ManagedModels,
    ModelAction,
    Pull,
    Remove,
    drop_patterns,
    expected,
    plan_sync,
    revision_of,
    unmanaged_patterns,
)

PROMPTS = {"explain_code": "You explain code.", "create_summary": "You summarise."}
GEMMA = PresentModel("gemma2:2b", "sha256:1", 100)
EXPLAIN = Pattern("explain_code", PROMPTS["explain_code"])
WANT = DesiredModels(("gemma2:2b",), (EXPLAIN,))


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("gemma2:2b", "gemma2:2b"),
        ("smollm2", "smollm2:latest"),
        ("library/smollm2", "smollm2:latest"),
        ("registry.ollama.ai/library/smollm2:latest", "smollm2:latest"),
        ("me/mine:1", "me/mine:1"),
        ("models.example.org:5000/team/big", "models.example.org:5000/team/big:latest"),
        ("host:65535/a/b", "host:65535/a/b:latest"),
        ("hf.co/org/model:Q4_K_M", "hf.co/org/model:Q4_K_M"),
    ],
)
def test_a_model_has_one_name_however_it_is_written(text: str, listed: str) -> None:
    assert str(parse_model(text)) == listed
    assert str(parse_model(listed)) == listed


@pytest.mark.parametrize(
    "text",
    [
        *("", "a b", "../x", "a:b:c", "http://x/y/z", "x" * 201, "a/b/c/d"),
        *("host:0/a/b", "host:65536/a/b", "host:99999/a/b", "host:080/a/b"),
    ],
)
def test_what_is_no_model_name_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(
        InvalidModelNameError, match=r"\[host\[:port\]/\]\[namespace/\]name\[:tag\]"
    ):
        parse_model(text)


@given(st.text("ab1._-:/", max_size=24))
def test_the_schemas_pattern_and_the_parser_agree(text: str) -> None:
    by_pattern = re.fullmatch(MODEL_NAME_PATTERN, text) is not None
    try:
        parse_model(text)
        by_parser = True
    except InvalidModelNameError:
        by_parser = False
    assert by_parser == by_pattern


@given(st.from_regex(MODEL_NAME_PATTERN, fullmatch=True))
def test_a_listed_name_reads_back_as_itself(text: str) -> None:
    if len(text) <= MODEL_NAME_MAX_LENGTH - 40:
        listed = str(parse_model(text))
        assert str(parse_model(listed)) == listed


def test_a_model_named_twice_is_wanted_once() -> None:
    assert desired_models(["smollm2", "smollm2:latest"], [], {}).models == ("smollm2:latest",)


@pytest.mark.parametrize(
    ("models", "pattern", "said"),
    [
        (["gemma2:2b"], "explain_cod", "did you mean 'explain_code'?"),
        (["gemma2:2b"], "zzz", "spec.patterns takes: create_summary, explain_code"),
        ([], "explain_code", "add one to spec.models"),
        (["explain_code"], "explain_code", "has the name of a model"),
    ],
)
def test_a_pattern_that_can_not_be_is_refused_with_the_fix(
    models: list[str], pattern: str, said: str
) -> None:
    (refused,) = desired_models(models, [pattern], PROMPTS).refused
    assert refused.state is ModelState.FAILED
    assert said in refused.message


def test_the_embedding_model_is_wanted_once_and_after_the_others() -> None:
    assert desired_models(["b:1"], [], {}, "a:1").models == ("b:1", "a:1")
    assert desired_models(["a:1", "b:1"], [], {}, "a:1").models == ("a:1", "b:1")
    assert desired_models([], [], {}, "a:1").models == ("a:1",)


def test_a_pattern_with_the_embedding_models_name_is_refused_with_the_fix() -> None:
    prompts = {"nomic-embed-text": "You embed."}
    found = desired_models(["gemma2:2b"], ["nomic-embed-text"], prompts, "nomic-embed-text:latest")
    assert found.patterns == ()
    assert "choose another spec.embeddingModel" in found.refused[0].message


def test_no_pattern_is_made_of_the_embedding_model() -> None:
    (refused,) = desired_models([], ["explain_code"], PROMPTS, "nomic-embed-text:latest").refused
    assert "add one to spec.models" in refused.message


def test_a_pattern_whose_model_nobody_is_known_to_have_made_may_be_a_persons() -> None:
    made = ManagedModels(patterns=frozenset({("explain_code", "r1")}))
    assert unmanaged_patterns(WANT, ["gemma2:2b"], ManagedModels()) == ()
    assert unmanaged_patterns(WANT, ["explain_code:latest"], made) == ()
    assert unmanaged_patterns(WANT, ["explain_code:latest"], ManagedModels()) == (EXPLAIN,)


def test_a_pattern_that_would_take_a_persons_models_place_is_refused_with_the_fix() -> None:
    found = drop_patterns(WANT, [EXPLAIN])
    assert (found.models, found.patterns) == (WANT.models, ())
    (refused,) = found.refused
    assert (refused.name, refused.state) == ("explain_code", ModelState.FAILED)
    assert "remove that model in Open WebUI" in refused.message
    assert "take the pattern out of spec.patterns" in refused.message
    assert drop_patterns(WANT, []) == WANT


def test_a_missing_model_is_pulled_before_patterns_are_made_of_it() -> None:
    assert plan_sync(WANT, [], ManagedModels()) == (Pull("gemma2:2b"),)


def test_a_pattern_is_made_of_the_first_model() -> None:
    assert plan_sync(WANT, [GEMMA], ManagedModels()) == (
        Create(EXPLAIN, "gemma2:2b", revision_of(EXPLAIN, GEMMA)),
    )


def test_a_pattern_is_made_again_when_its_text_or_its_base_changes() -> None:
    made = PresentModel("explain_code:latest", "sha256:2", 100)
    recorded = ManagedModels(patterns=frozenset({("explain_code", revision_of(EXPLAIN, GEMMA))}))
    assert plan_sync(WANT, [GEMMA, made], recorded) == ()
    other_text = DesiredModels(("gemma2:2b",), (Pattern("explain_code", "Otherwise."),))
    assert len(plan_sync(other_text, [GEMMA, made], recorded)) == 1
    repulled = PresentModel("gemma2:2b", "sha256:9", 100)
    assert len(plan_sync(WANT, [repulled, made], recorded)) == 1


def test_only_what_the_operator_downloaded_or_made_is_removed() -> None:
    persons = PresentModel("my-own:latest", "sha256:5", 1)
    ours = PresentModel("old:1", "sha256:6", 1)
    pattern = PresentModel("translate:latest", "sha256:7", 1)
    recorded = ManagedModels(frozenset({"old:1"}), frozenset({("translate", "r")}))
    present = [GEMMA, persons, ours, pattern]
    assert plan_sync(DesiredModels(("gemma2:2b",)), present, recorded) == (
        Remove("old:1"),
        Remove("translate:latest"),
    )


def test_the_model_of_a_pattern_that_is_refused_is_not_removed() -> None:
    refused = PatternStatus("translate", ModelState.FAILED, message="no such pattern")
    recorded = ManagedModels(patterns=frozenset({("translate", "r")}))
    there = [GEMMA, PresentModel("translate:latest", "sha256:7", 1)]
    assert plan_sync(DesiredModels(("gemma2:2b",), refused=(refused,)), there, recorded) == ()


def test_patterns_of_a_former_base_make_room_for_the_new_one_only_when_they_have_to() -> None:
    want = DesiredModels(("new:1",), (EXPLAIN,))
    made = PresentModel("explain_code:latest", "sha256:2", 100)
    recorded = ManagedModels(patterns=frozenset({("explain_code", revision_of(EXPLAIN, GEMMA))}))
    pull = Pull("new:1")
    assert plan_sync(want, [made], recorded) == (pull,)
    assert plan_sync(want, [made], recorded, cramped=True) == (pull, Remove("explain_code:latest"))
    assert plan_sync(want, [made], ManagedModels(), cramped=True) == (pull,), "a person made it"
    new = PresentModel("new:1", "sha256:3", 100)
    (again,) = plan_sync(want, [made, new], recorded, cramped=True)
    assert isinstance(again, Create)


names = st.sampled_from(["a:1", "b:1", "c:1"])


@given(st.lists(names, unique=True), st.sets(names), st.frozensets(names), st.booleans())
def test_carrying_the_decision_out_settles_it(
    models: list[str], there: set[str], ours: frozenset[str], pattern: bool
) -> None:
    want = DesiredModels(tuple(models), (EXPLAIN,) if pattern else ())
    present = {name: PresentModel(name, f"sha256:{name}", 1) for name in there}
    recorded = ManagedModels(ours)
    for _ in range(3):
        for action in plan_sync(want, present.values(), recorded):
            recorded = carry_out(action, present, recorded)
    assert plan_sync(want, present.values(), recorded) == ()
    assert set(models) <= set(present)


def carry_out(
    action: ModelAction, present: dict[str, PresentModel], recorded: ManagedModels
) -> ManagedModels:
    if isinstance(action, Remove):
        del present[action.name]
        return recorded
    if isinstance(action, Create):
        present[action.pattern.model] = PresentModel(action.pattern.model, "sha256:p", 1)
        made = (action.pattern.name, action.revision)
        return ManagedModels(recorded.models, recorded.patterns | {made})
    present[action.name] = PresentModel(action.name, f"sha256:{action.name}", 1)
    return ManagedModels(recorded.models | {action.name}, recorded.patterns)


@pytest.mark.parametrize(
    ("completed", "total", "percent"), [(0, 0, 0), (1, 3, 33), (3, 3, 99), (9, 3, 99), (-1, 3, 0)]
)
def test_the_percentage_is_believable_whatever_the_server_says(
    completed: int, total: int, percent: int
) -> None:
    assert ModelStatus("m", ModelState.PULLING, completed, total).percent == percent


def test_a_model_that_is_leaving_is_not_counted() -> None:
    ready = ModelStatus("a:1", ModelState.READY)
    leaving = ModelStatus("b:1", ModelState.REMOVING)
    assert models_ready([ready, leaving]) == (1, 1)


def test_before_the_first_check_what_was_recorded_stands() -> None:
    recorded = [ModelStatus("gemma2:2b", ModelState.READY), ModelStatus("x:1", ModelState.READY)]
    ours = ModelStatus("old:1", ModelState.READY, managed=True)
    assert [(each.name, each.state) for each in expected(WANT, [*recorded, ours])] == [
        ("gemma2:2b", ModelState.READY),
        ("old:1", ModelState.REMOVING),
    ]


def test_the_summary_tells_troubles_first() -> None:
    failed = ModelStatus("x:1", ModelState.FAILED, message="no such model")
    pulling = ModelStatus("y:1", ModelState.PULLING, 1, 4)
    assert summary([failed, pulling], []) == "no such model"
    assert summary([pulling], []) == "downloading y:1 25%"
    assert summary([], [PatternStatus("p", ModelState.PENDING)]) == "waiting for p"
    assert summary([ModelStatus("a:1", ModelState.READY)], []).startswith("every model")


def test_progress_is_that_of_everything_that_is_being_downloaded() -> None:
    def pulling(name: str, there: int, of: int) -> ModelStatus:
        return ModelStatus(name, ModelState.PULLING, there, of)

    ready = ModelStatus("a:1", ModelState.READY, 100, 100)
    assert format_progress([ready]) == "1/1"
    assert format_progress([ready, pulling("b:1", 0, 0)]) == "1/2", "its size is not known yet"
    assert format_progress([ready, pulling("b:1", 10, 100), pulling("c:1", 90, 300)]) == "1/3 25%"
    assert format_progress([pulling("b:1", 500, 100)]) == "0/1 99%"
