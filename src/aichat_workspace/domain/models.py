"""Models and patterns: their names, how far they are, and what to do next with them."""

import difflib
import hashlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from aichat_workspace.domain.errors import InvalidModelName

# [host[:port]/][namespace/]name[:tag], as Ollama's types/model/name.go reads it.
_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HOST: Final = r"[A-Za-z0-9][A-Za-z0-9.-]*"
PORT_PATTERN: Final = (
    r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
)
MODEL_NAME_PATTERN: Final = rf"^({_HOST}(:({PORT_PATTERN}))?/)?({_PART}/)?{_PART}(:{_PART})?$"
MODEL_NAME_MAX_LENGTH: Final = 200

_USABLE_SHARE: Final = 0.95

_DEFAULT_HOST: Final = "registry.ollama.ai"
_DEFAULT_NAMESPACE: Final = "library"
_DEFAULT_TAG: Final = "latest"
_PARTS: Final = re.compile(
    rf"(?:(?P<host>{_HOST})(?::(?P<port>{PORT_PATTERN}))?/)??"
    rf"(?:(?P<namespace>{_PART})/)?(?P<name>{_PART})(?::(?P<tag>{_PART}))?"
)


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model's full name; `str` gives it as Ollama lists it, without what is the default."""

    name: str
    tag: str = _DEFAULT_TAG
    namespace: str = _DEFAULT_NAMESPACE
    host: str = _DEFAULT_HOST
    port: int | None = None

    @property
    def registry(self) -> str:
        """Where it comes from, as host or host:port."""
        return f"{self.host}:{self.port}" if self.port else self.host

    def __str__(self) -> str:
        short = f"{self.name}:{self.tag}"
        if self.registry != _DEFAULT_HOST:
            return f"{self.registry}/{self.namespace}/{short}"
        return short if self.namespace == _DEFAULT_NAMESPACE else f"{self.namespace}/{short}"


def parse_model(text: str) -> ModelName:
    """Read a model's name. Raises InvalidModelName, which says how to write one."""
    parts = _PARTS.fullmatch(text) if len(text) <= MODEL_NAME_MAX_LENGTH else None
    if parts is None:
        raise InvalidModelName(
            f"{text[:80]!r} is not a model name; write [host[:port]/][namespace/]name[:tag] with "
            "letters, digits, '.', '_' and '-', as in gemma2:2b"
        )
    return ModelName(
        name=parts["name"],
        tag=parts["tag"] or _DEFAULT_TAG,
        namespace=parts["namespace"] or _DEFAULT_NAMESPACE,
        host=parts["host"] or _DEFAULT_HOST,
        port=int(parts["port"]) if parts["port"] else None,
    )


class ModelState(StrEnum):
    PENDING = "Pending"
    PULLING = "Pulling"
    READY = "Ready"
    FAILED = "Failed"
    REMOVING = "Removing"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """How far a model is. `managed`: the operator downloaded it, so the operator may remove it."""

    name: str
    state: ModelState
    completed_bytes: int = 0
    total_bytes: int = 0
    digest: str = ""
    managed: bool = False
    message: str = ""
    bytes_per_second: int = 0

    @property
    def eta_seconds(self) -> int | None:
        """When it will be there if the speed stays, or None while there is none."""
        if self.state is not ModelState.PULLING or self.bytes_per_second <= 0:
            return None
        return max(self.total_bytes - self.completed_bytes, 0) // self.bytes_per_second

    @property
    def percent(self) -> int:
        """0 to 100, whatever the model server says about sizes."""
        if self.state is ModelState.READY:
            return 100
        if self.total_bytes <= 0:
            return 0
        return max(0, min(99, self.completed_bytes * 100 // self.total_bytes))


def too_large(model: str, needed_bytes: int, present_bytes: int, capacity_bytes: int) -> str:
    """What to say of a model that its volume has no room for, or nothing. Room for the metadata
    and for a model's temporary files is kept free."""
    room = int(capacity_bytes * _USABLE_SHARE) - present_bytes
    if not capacity_bytes or needed_bytes <= room:
        return ""
    return (
        f"{model} needs {_gibibytes(needed_bytes)}, and of the volume's "
        f"{_gibibytes(capacity_bytes)} there are {_gibibytes(max(room, 0))} left; raise "
        "spec.storage.ollama.size, or remove a model"
    )


def _gibibytes(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"


@dataclass(frozen=True, slots=True)
class PatternStatus:
    """How far a pattern's model is. `revision` says what it was made from."""

    name: str
    state: ModelState
    revision: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    name: str
    system: str

    @property
    def model(self) -> str:
        """The name of the pattern's model as Ollama lists it."""
        return f"{self.name}:{_DEFAULT_TAG}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a workspace asks for; `refused` holds patterns that can't be, and why."""

    models: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    refused: tuple[PatternStatus, ...] = ()


def wanted(
    models: Sequence[str],
    patterns: Sequence[str],
    prompts: Mapping[str, str],
    embedding: str | None = None,
) -> Wanted:
    """What a spec asks for, each model once and by its listed name, the embedding model last.
    `prompts` are the patterns there are, by name."""
    listed = tuple(dict.fromkeys(str(parse_model(text)) for text in models))
    accepted: list[Pattern] = []
    refused: list[PatternStatus] = []
    for name in patterns:
        problem = _pattern_problem(name, listed, prompts, embedding)
        if problem:
            refused.append(PatternStatus(name, ModelState.FAILED, message=problem))
        else:
            accepted.append(Pattern(name, prompts[name]))
    every = dict.fromkeys((*listed, *((embedding,) if embedding else ())))
    return Wanted(tuple(every), tuple(accepted), tuple(refused))


def _pattern_problem(
    name: str, models: Sequence[str], prompts: Mapping[str, str], embedding: str | None
) -> str | None:
    if name not in prompts:
        close = difflib.get_close_matches(name, prompts, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        known = ", ".join(sorted(prompts))
        return f"there is no pattern {name!r}; {hint}spec.patterns takes: {known}"
    if Pattern(name, "").model in models:
        return f"pattern {name!r} has the name of a model in spec.models; remove one of the two"
    if Pattern(name, "").model == embedding:
        return (
            f"pattern {name!r} has the name of the embedding model; take it out of spec.patterns, "
            "or choose another spec.embeddingModel"
        )
    if not models:
        return f"pattern {name!r} needs a model to build on: add one to spec.models"
    return None


@dataclass(frozen=True, slots=True)
class PresentModel:
    """A model that the server lists; `weights` is empty where they are not known."""

    name: str
    digest: str
    size_bytes: int
    weights: str = ""


def occupied_bytes(present: Iterable[PresentModel]) -> int:
    """What models take of their volume. Each one's size counts its weights in full, and those made
    of one another have them on the volume once."""
    largest: dict[str, int] = {}
    for model in present:
        of = model.weights or model.name
        largest[of] = max(largest.get(of, 0), model.size_bytes)
    return sum(largest.values())


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the operator remembers to have downloaded, and to have made of which revision."""

    models: frozenset[str] = frozenset()
    patterns: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Pull:
    name: str


@dataclass(frozen=True, slots=True)
class Create:
    """Make a pattern's model from a base model and a system prompt."""

    pattern: Pattern
    base: str
    revision: str


@dataclass(frozen=True, slots=True)
class Remove:
    name: str


ModelAction = Pull | Create | Remove


def decide(
    want: Wanted, present: Iterable[PresentModel], recorded: Recorded, *, cramped: bool = False
) -> tuple[ModelAction, ...]:
    """What the model server lacks or no longer needs; nothing when all is well.

    Only what was recorded as the operator's own is removed: a model that a person made in Open
    WebUI stays, and so does that of a pattern that is refused. When it is `cramped`, what is to be
    made again anyway makes room first.
    """
    there = {model.name: model for model in present}
    made = dict(recorded.patterns)
    refused = (Pattern(each.name, "").model for each in want.refused)
    keep = {*want.models, *(pattern.model for pattern in want.patterns), *refused}
    ours = {*recorded.models, *(Pattern(name, "").model for name in made)}
    return (
        *(Pull(name) for name in want.models if name not in there),
        *_creations(want, there, made),
        *(Remove(name) for name in sorted(ours - keep) if name in there),
        *(Remove(name) for name in sorted(outdated(want, there, recorded)) if cramped),
    )


def outdated(want: Wanted, there: Container[str], recorded: Recorded) -> frozenset[str]:
    """Models of patterns that the operator made of a base that they are not to have any more, as
    far as `there`. They are of use until the new base has come, and keep the weights of the old
    one."""
    if not want.models or want.models[0] in there:
        return frozenset()
    made = {name for name, _ in recorded.patterns}
    return frozenset(
        pattern.model
        for pattern in want.patterns
        if pattern.name in made and pattern.model in there
    )


def unclaimed(want: Wanted, there: Container[str], recorded: Recorded) -> tuple[Pattern, ...]:
    """Patterns whose models are `there` though the operator does not remember to have made them: a
    person did, or it did itself and what it remembered went with a resource."""
    made = {name for name, _ in recorded.patterns}
    return tuple(
        pattern for pattern in want.patterns if pattern.model in there and pattern.name not in made
    )


def without(want: Wanted, persons: Iterable[Pattern]) -> Wanted:
    """What is wanted, less the patterns whose names a person's own models have."""
    taken = frozenset(persons)
    refused = tuple(
        PatternStatus(
            each.name,
            ModelState.FAILED,
            message=f"pattern {each.name!r} is not made, for there is a model {each.model} that "
            "the operator did not make; remove that model in Open WebUI, and the pattern is made "
            "within about ten minutes, or take the pattern out of spec.patterns",
        )
        for each in want.patterns
        if each in taken
    )
    patterns = tuple(each for each in want.patterns if each not in taken)
    return replace(want, patterns=patterns, refused=(*want.refused, *refused))


def _creations(
    want: Wanted, there: Mapping[str, PresentModel], made: Mapping[str, str]
) -> Iterable[Create]:
    base = there.get(want.models[0]) if want.models else None
    if base is None:
        return
    for pattern in want.patterns:
        revision = revision_of(pattern, base)
        if pattern.model not in there or made.get(pattern.name) != revision:
            yield Create(pattern, base.name, revision)


def revision_of(pattern: Pattern, base: PresentModel) -> str:
    """Changes with the prompt and with the base model."""
    text = "\n".join((base.name, base.digest, pattern.system))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def models_ready(models: Iterable[ModelStatus]) -> tuple[int, int]:
    """How many of the wanted models are ready, and how many are wanted."""
    listed = [model for model in models if model.state is not ModelState.REMOVING]
    return sum(model.state is ModelState.READY for model in listed), len(listed)


def models_told(models: Iterable[ModelStatus]) -> str:
    """As in `2/3`, or while something is downloaded `2/3 40%`: how much of that is there."""
    models = tuple(models)
    ready, total = models_ready(models)
    coming = [model for model in models if model.state is ModelState.PULLING and model.total_bytes]
    if not coming:
        return f"{ready}/{total}"
    there = sum(model.completed_bytes for model in coming)
    percent = max(0, min(99, there * 100 // sum(model.total_bytes for model in coming)))
    return f"{ready}/{total} {percent}%"


def summary(models: Iterable[ModelStatus], patterns: Iterable[PatternStatus]) -> str:
    """One sentence: what is wrong first, else what is going on, else that all is there."""
    models = tuple(models)
    every: tuple[ModelStatus | PatternStatus, ...] = (*models, *patterns)
    told = [each.message for each in every if each.message]
    if told:
        return "; ".join(told)
    busy = [_pace(model) for model in models if model.state is ModelState.PULLING]
    if busy:
        return f"downloading {', '.join(busy)}"
    waiting = [each.name for each in every if each.state is not ModelState.READY]
    return f"waiting for {', '.join(waiting)}" if waiting else "every model and pattern is there"


def _pace(model: ModelStatus) -> str:
    """As in `gemma2:2b 40% at 12.5 MB/s, 2 min left`."""
    told = f"{model.name} {model.percent}%"
    if model.bytes_per_second:
        told += f" at {model.bytes_per_second / 1e6:.1f} MB/s"
    if (seconds := model.eta_seconds) is not None:
        told += f", {seconds // 60} min left" if seconds >= 90 else f", {seconds} s left"
    return told


def expected(want: Wanted, recorded: Iterable[ModelStatus]) -> tuple[ModelStatus, ...]:
    """The models to speak of before the server was asked: as recorded, else pending."""
    known = {model.name: model for model in recorded}
    listed = tuple(known.get(name, ModelStatus(name, ModelState.PENDING)) for name in want.models)
    leftover = tuple(
        replace(model, state=ModelState.REMOVING, message="")
        for model in known.values()
        if model.managed and model.name not in want.models
    )
    return (*listed, *leftover)
