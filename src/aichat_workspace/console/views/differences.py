"""What a change of a workspace's spec changes, and what restarts for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

# Fields that are part of a workload's pod template, so that its pod is made again.
_MODEL_SERVER: Final = ("className", "resources.ollama", "restart.ollama", "scheduling", "ollama")
_CHAT: Final = (
    *("access", "className", "connections", "embeddingModel", "ingress.host", "ingress.tls"),
    *("resources.openWebUI", "restart.openWebUI", "restore", "scheduling", "workspaceENV"),
)
_ONCE: Final = ("restart.", "restore.")
_Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that changes."""

    path: str
    """Dotted, within the spec."""
    before: str
    """Empty where it was left out."""
    after: str
    """Empty where it is left out."""


@dataclass(frozen=True, slots=True)
class Restarts:
    """Which workloads get a new pod."""

    model_server: bool
    chat: bool


def differences(before: _Spec, after: _Spec) -> tuple[Difference, ...]:
    """Return each field that differs, in the order of their paths."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    return tuple(
        Difference(path, _text(old.get(path)), _text(new.get(path)))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def restarts(before: _Spec, after: _Spec) -> Restarts:
    """Return what restarts. A stopped workspace has nothing that could."""
    if before.get("suspended") or after.get("suspended"):
        return Restarts(model_server=False, chat=False)
    paths = [
        difference.path
        for difference in differences(before, after)
        if difference.after or not difference.path.startswith(_ONCE)  # taken out: no restart
    ]
    return Restarts(
        model_server=any(_is_within(path, _MODEL_SERVER) for path in paths),
        chat=any(_is_within(path, _CHAT) for path in paths) or _first(before) != _first(after),
    )


def removed_models(before: _Spec, after: _Spec) -> tuple[str, ...]:
    """Return the models that the operator takes from the volume."""
    remaining = set(after.get("models") or ())
    return tuple(model for model in before.get("models") or () if model not in remaining)


def _first(spec: _Spec) -> Any:
    """Return the model with which new chats begin."""
    return next(iter(spec.get("models") or ()), None)


def _is_within(path: str, names: tuple[str, ...]) -> bool:
    return any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in names)


def _leaves(value: _Spec, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in value.items():
        path = f"{above}{name}"
        if isinstance(field, Mapping):
            yield from _leaves(field, f"{path}.")
        elif isinstance(field, list | tuple) and any(isinstance(entry, Mapping) for entry in field):
            for place, entry in enumerate(field):
                yield from _leaves({f"{name}[{place}]": entry}, above)
        elif field not in (None, [], ()):
            yield path, field


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
