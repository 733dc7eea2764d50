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
DESIRED = DesiredModels(("gemma2:2b",), (EXPLAIN,))


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
        ("Library/gemma2:2b", "gemma2:2b"),
        ("Registry.Ollama.AI/LIBRARY/Gemma2:2b", "Gemma2:2b"),
        ("Registry.Ollama.AI/me/mine:1", "me/mine:1"),
    ],
)
def test_every_spelling_of_a_model_has_one_listed_name(text: str, listed: str) -> None:
    assert str(parse_model(text)) == listed
    assert str(parse_model(listed)) == listed


@pytest.mark.parametrize(
    "text",
    [
        *("", "a b", "../x", "a:b:c", "http://x/y/z", "x" * 201, "a/b/c/d"),
        *("a.b/c", "hf.co/a.b/c", "a" * 81, f"{'a' * 81}/b"),  # as Ollama refuses them
        *("host:0/a/b", "host:65536/a/b", "host:99999/a/b", "host:080/a/b"),
    ],
)
def test_a_text_that_is_no_model_name_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(
        InvalidModelNameError, match=r"\[host\[:port\]/\]\[namespace/\]name\[:tag\]"
    ):
        parse_model(text)


@given(st.text("ab1._-:/", max_size=24))
def test_the_schemas_pattern_and_the_parser_accept_the_same_names(text: str) -> None:
    by_pattern = re.fullmatch(MODEL_NAME_PATTERN, text) is not None
    try:
        parse_model(text)
        by_parser = True
    except InvalidModelNameError:
        by_parser = False
    assert by_parser == by_pattern


@given(st.from_regex(MODEL_NAME_PATTERN, fullmatch=True))
def test_a_listed_name_parses_to_itself(text: str) -> None:
    if len(text) <= MODEL_NAME_MAX_LENGTH - 40:
        listed = str(parse_model(text))
        assert str(parse_model(listed)) == listed


def test_a_model_named_twice_is_desired_once() -> None:
    assert desired_models(["smollm2", "smollm2:latest"], [], {}).models == ("smollm2:latest",)


def test_a_digest_is_no_part_of_the_listed_name() -> None:
    digest = "0a" * 32
    desired = desired_models([f"Library/Gemma2:2b@sha256:{digest}", "b:1"], [], {})
    assert desired.models == ("Gemma2:2b", "b:1")
    assert (desired.pin("gemma2:2b"), desired.pin("b:1")) == (digest, "")
    for text in (f"a:1@{digest}", "a:1@sha256:0a", f"a:1@sha256:{digest}0", f"@sha256:{digest}"):
        with pytest.raises(InvalidModelNameError):
            parse_model(text)


def test_names_that_differ_by_case_are_one_model() -> None:
    desired = desired_models(["Gemma2:2b", "gemma2:2B"], [], {}, "GEMMA2:2b")
    assert desired.models == ("Gemma2:2b",)
    assert parse_model("HF.co/a/b").registry == "hf.co"


def test_a_model_in_another_spelling_is_present_and_stays() -> None:
    desired = DesiredModels(("Gemma2:2B",), (EXPLAIN,))
    explain = PresentModel("explain_code:Latest", "sha256:2", 100)
    managed = ManagedModels(
        frozenset({"gemma2:2b"}), frozenset({("explain_code", revision_of(EXPLAIN, GEMMA))})
    )
    assert plan_sync(desired, [GEMMA, explain], managed) == ()
    assert plan_sync(DesiredModels(), [GEMMA, explain], managed) == (
        Remove("explain_code:Latest"),
        Remove("gemma2:2b"),
    )
    recorded = ModelStatus("gemma2:2b", ModelState.READY, managed=True)
    assert expected(desired, [recorded]) == (recorded,)


@pytest.mark.parametrize(
    ("models", "pattern", "message"),
    [
        (["gemma2:2b"], "explain_cod", "did you mean 'explain_code'?"),
        (["gemma2:2b"], "zzz", "spec.patterns takes: create_summary, explain_code"),
        ([], "explain_code", "add one to spec.models"),
        (["explain_code"], "explain_code", "has the name of a model"),
        (["Explain_Code"], "explain_code", "has the name of a model"),
    ],
)
def test_a_pattern_that_can_not_be_made_is_refused_with_the_fix(
    models: list[str], pattern: str, message: str
) -> None:
    (refused,) = desired_models(models, [pattern], PROMPTS).refused
    assert refused.state is ModelState.FAILED
    assert message in refused.message


def test_the_embedding_model_is_desired_once_and_last() -> None:
    assert desired_models(["b:1"], [], {}, "a:1").models == ("b:1", "a:1")
    assert desired_models(["a:1", "b:1"], [], {}, "a:1").models == ("a:1", "b:1")
    assert desired_models([], [], {}, "a:1").models == ("a:1",)


def test_a_pattern_with_the_embedding_models_name_is_refused_with_the_fix() -> None:
    prompts = {"nomic-embed-text": "You embed."}
    name = "nomic-embed-text"
    desired = desired_models(["gemma2:2b"], [name], prompts, "Nomic-Embed-Text:latest")
    assert desired.patterns == ()
    assert "choose another spec.embeddingModel" in desired.refused[0].message


def test_no_pattern_is_made_of_the_embedding_model() -> None:
    (refused,) = desired_models([], ["explain_code"], PROMPTS, "nomic-embed-text:latest").refused
    assert "add one to spec.models" in refused.message


def test_a_pattern_is_unmanaged_when_its_model_is_present_without_a_record() -> None:
    managed = ManagedModels(patterns=frozenset({("explain_code", "r1")}))
    assert unmanaged_patterns(DESIRED, ["gemma2:2b"], ManagedModels()) == ()
    assert unmanaged_patterns(DESIRED, ["explain_code:latest"], managed) == ()
    assert unmanaged_patterns(DESIRED, ["explain_code:latest"], ManagedModels()) == (EXPLAIN,)


def test_a_pattern_with_the_name_of_a_persons_model_is_refused_with_the_fix() -> None:
    desired = drop_patterns(DESIRED, [EXPLAIN])
    assert (desired.models, desired.patterns) == (DESIRED.models, ())
    (refused,) = desired.refused
    assert (refused.name, refused.state) == ("explain_code", ModelState.FAILED)
    assert "remove that model in Open WebUI" in refused.message
    assert "take the pattern out of spec.patterns" in refused.message
    assert drop_patterns(DESIRED, []) == DESIRED


def test_a_missing_model_is_pulled_before_patterns_are_made_of_it() -> None:
    assert plan_sync(DESIRED, [], ManagedModels()) == (Pull("gemma2:2b"),)


def test_a_pattern_is_made_of_the_first_model() -> None:
    assert plan_sync(DESIRED, [GEMMA], ManagedModels()) == (
        Create(EXPLAIN, "gemma2:2b", revision_of(EXPLAIN, GEMMA)),
    )


def test_a_pattern_is_made_again_when_its_text_or_its_base_changes() -> None:
    explain = PresentModel("explain_code:latest", "sha256:2", 100)
    managed = ManagedModels(patterns=frozenset({("explain_code", revision_of(EXPLAIN, GEMMA))}))
    assert plan_sync(DESIRED, [GEMMA, explain], managed) == ()
    other_text = DesiredModels(("gemma2:2b",), (Pattern("explain_code", "Otherwise."),))
    assert len(plan_sync(other_text, [GEMMA, explain], managed)) == 1
    repulled = PresentModel("gemma2:2b", "sha256:9", 100)
    assert len(plan_sync(DESIRED, [repulled, explain], managed)) == 1


def test_only_managed_models_are_removed() -> None:
    foreign = PresentModel("my-own:latest", "sha256:5", 1)
    downloaded = PresentModel("old:1", "sha256:6", 1)
    pattern = PresentModel("translate:latest", "sha256:7", 1)
    managed = ManagedModels(frozenset({"old:1"}), frozenset({("translate", "r")}))
    present = [GEMMA, foreign, downloaded, pattern]
    assert plan_sync(DesiredModels(("gemma2:2b",)), present, managed) == (
        Remove("old:1"),
        Remove("translate:latest"),
    )


def test_the_model_of_a_pattern_that_is_refused_is_not_removed() -> None:
    refused = PatternStatus("translate", ModelState.FAILED, message="no such pattern")
    managed = ManagedModels(patterns=frozenset({("translate", "r")}))
    present = [GEMMA, PresentModel("translate:latest", "sha256:7", 1)]
    assert plan_sync(DesiredModels(("gemma2:2b",), refused=(refused,)), present, managed) == ()


def test_patterns_of_a_former_base_are_removed_first_only_when_space_is_low() -> None:
    desired = DesiredModels(("new:1",), (EXPLAIN,))
    explain = PresentModel("explain_code:latest", "sha256:2", 100)
    managed = ManagedModels(patterns=frozenset({("explain_code", revision_of(EXPLAIN, GEMMA))}))
    pull, remove = Pull("new:1"), Remove("explain_code:latest")
    assert plan_sync(desired, [explain], managed) == (pull,)
    assert plan_sync(desired, [explain], managed, low_space=True) == (pull, remove)
    assert plan_sync(desired, [explain], ManagedModels(), low_space=True) == (pull,), "a person's"
    new = PresentModel("new:1", "sha256:3", 100)
    (action,) = plan_sync(desired, [explain, new], managed, low_space=True)
    assert isinstance(action, Create)


names = st.sampled_from(["a:1", "b:1", "c:1"])


@given(st.lists(names, unique=True), st.sets(names), st.frozensets(names), st.booleans())
def test_executed_plans_reach_the_desired_models(
    models: list[str], present_names: set[str], managed_names: frozenset[str], has_pattern: bool
) -> None:
    desired = DesiredModels(tuple(models), (EXPLAIN,) if has_pattern else ())
    present = {name: PresentModel(name, f"sha256:{name}", 1) for name in present_names}
    managed = ManagedModels(managed_names)
    for _ in range(3):
        for action in plan_sync(desired, present.values(), managed):
            managed = execute(action, present, managed)
    assert plan_sync(desired, present.values(), managed) == ()
    assert set(models) <= set(present)


def execute(
    action: ModelAction, present: dict[str, PresentModel], managed: ManagedModels
) -> ManagedModels:
    if isinstance(action, Remove):
        del present[action.name]
        return managed
    if isinstance(action, Create):
        present[action.pattern.model] = PresentModel(action.pattern.model, "sha256:p", 1)
        revision = (action.pattern.name, action.revision)
        return ManagedModels(managed.models, managed.patterns | {revision})
    present[action.name] = PresentModel(action.name, f"sha256:{action.name}", 1)
    return ManagedModels(managed.models | {action.name}, managed.patterns)


@pytest.mark.parametrize(
    ("completed", "total", "percent"), [(0, 0, 0), (1, 3, 33), (3, 3, 99), (9, 3, 99), (-1, 3, 0)]
)
def test_the_percentage_is_bounded_although_the_servers_sizes_are_wrong(
    completed: int, total: int, percent: int
) -> None:
    assert ModelStatus("m", ModelState.PULLING, completed, total).percent == percent


def test_a_model_that_is_being_removed_is_not_counted() -> None:
    ready = ModelStatus("a:1", ModelState.READY)
    removing = ModelStatus("b:1", ModelState.REMOVING)
    assert models_ready([ready, removing]) == (1, 1)


def test_before_the_first_check_the_recorded_models_are_reported() -> None:
    recorded = [
        ModelStatus("gemma2:2b", ModelState.READY),
        ModelStatus("x:1", ModelState.READY),
        ModelStatus("old:1", ModelState.READY, managed=True),
    ]
    assert [(model.name, model.state) for model in expected(DESIRED, recorded)] == [
        ("gemma2:2b", ModelState.READY),
        ("old:1", ModelState.REMOVING),
    ]


def test_the_summary_names_problems_before_progress() -> None:
    failed = ModelStatus("x:1", ModelState.FAILED, message="no such model")
    pulling = ModelStatus("y:1", ModelState.PULLING, 1, 4)
    assert summary([failed, pulling], []) == "no such model"
    assert summary([pulling], []) == "downloading y:1 25%"
    assert summary([], [PatternStatus("p", ModelState.PENDING)]) == "waiting for p"
    assert summary([ModelStatus("a:1", ModelState.READY)], []).startswith("every model")


def test_progress_is_the_sum_of_all_downloads() -> None:
    def pulling(name: str, completed: int, total: int) -> ModelStatus:
        return ModelStatus(name, ModelState.PULLING, completed, total)

    ready = ModelStatus("a:1", ModelState.READY, 100, 100)
    assert format_progress([ready]) == "1/1"
    assert format_progress([ready, pulling("b:1", 0, 0)]) == "1/2", "its size is not known yet"
    assert format_progress([ready, pulling("b:1", 10, 100), pulling("c:1", 90, 300)]) == "1/3 25%"
    assert format_progress([pulling("b:1", 500, 100)]) == "0/1 99%"
