"""Changes of one entry of a spec's lists: models, patterns, connections.

They are computed from the newest spec, and again when it has changed meanwhile, so no other change
is lost.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.logs.reader import Workload
from aichat_workspace.domain.models.name import InvalidModelNameError, model_key, parse_model

Spec = dict[str, Any]
Change = Callable[[Spec], Spec]


@dataclass(frozen=True, slots=True)
class SpecList:
    """A list of the spec whose entries have a name."""

    field: str
    """The spec's field."""
    what: str
    """An entry, as problems call it."""
    key: Callable[[Any], str]
    """What two entries with the same name have in common."""


def _model_key(model: str) -> str:
    try:
        return model_key(str(parse_model(model)))
    except InvalidModelNameError:
        return model


def _connection_key(connection: Any) -> str:
    return str(connection["name"] if isinstance(connection, Mapping) else connection)


MODELS: Final = SpecList("models", "model", _model_key)
PATTERNS: Final = SpecList("patterns", "pattern", str)
_RESTART_FIELDS: Final = {Workload.OLLAMA: "ollama", Workload.OPENWEBUI: "openWebUI"}
CONNECTIONS: Final = SpecList("connections", "connection", _connection_key)


def add(spec_list: SpecList, entry: Any) -> Change:
    """Return the change that adds an entry at the end, or replaces the one of that name."""
    key = spec_list.key(entry)

    def change(spec: Spec) -> Spec:
        entries = spec.get(spec_list.field, [])
        keys = [spec_list.key(known) for known in entries]
        if key not in keys:
            return {**spec, spec_list.field: [*entries, entry]}
        if spec_list is MODELS and "@" not in entry:
            return spec  # a digest that was asked for stays
        replaced = [*entries]
        replaced[keys.index(key)] = entry
        return {**spec, spec_list.field: replaced}

    return change


def remove(spec_list: SpecList, name: str) -> Change:
    """Return the change that removes an entry. It raises ProblemError (404) without one."""
    key = spec_list.key(name)

    def change(spec: Spec) -> Spec:
        entries = spec.get(spec_list.field, [])
        rest = [entry for entry in entries if spec_list.key(entry) != key]
        if len(rest) == len(entries):
            raise _no_entry(spec_list, name)
        return {**spec, spec_list.field: rest}

    return change


def of_class(change: Change, models_of: Callable[[Spec], tuple[str, ...] | None]) -> Change:
    """Return the change of a spec's models, made to those of its size class where it names none:
    one more is added to them, not put in their place. It raises ProblemError (409) where the class
    would give its models again, and where it is missing, so that nobody knows what it gives."""

    def current_models(spec: Spec) -> tuple[str, ...]:
        models = models_of(spec)
        if models is None:
            raise ProblemError(
                409,
                "size-class-missing",
                f"The platform has no size class {spec['className']!r}, which gives the models of "
                "a workspace that names none. Change spec.className, or ask the platform team for "
                "the class.",
            )
        return models

    def change_models(spec: Spec) -> Spec:
        models = [*current_models(spec)]
        changed = change({**spec, MODELS.field: models} if models else spec)
        if changed.get(MODELS.field) == models:
            return spec
        if again := current_models(changed) if not changed[MODELS.field] else ():
            raise ProblemError(
                409,
                "models-of-class",
                f"A workspace of size class {spec['className']!r} that names no model has "
                f"{', '.join(again)}. Add the model that it is to have first, or change "
                "spec.className.",
            )
        return changed

    return change_models


def reset_password(now: datetime) -> Change:
    """Return the change that has a new password generated. It raises ProblemError (409) where the
    platform team sets the password."""

    def change(spec: Spec) -> Spec:
        access = spec.get("access", {})
        if secret := access.get("adminSecretName"):
            raise ProblemError(
                409,
                "password-in-secret",
                f"The first administrator's password is that of Secret {secret!r} "
                "(spec.access.adminSecretName). Change it there.",
            )
        return {**spec, "access": {**access, "passwordReset": now.isoformat()}}

    return change


def restart(workloads: Iterable[Workload], now: datetime) -> Change:
    """Return the change that replaces the pods of workloads. It raises ProblemError (409) for a
    suspended workspace."""
    texts = {_RESTART_FIELDS[workload]: now.isoformat() for workload in workloads}

    def change(spec: Spec) -> Spec:
        if spec.get("suspended"):
            raise nothing_to_restart()
        return {**spec, "restart": {**spec.get("restart", {}), **texts}}

    return change


def nothing_to_restart() -> ProblemError:
    """Return the problem for a restart of a suspended workspace."""
    return ProblemError(
        409,
        "suspended",
        "The workspace is suspended, so there is nothing to restart. Resume it: its workloads "
        "start anew.",
    )


def model_progress(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the status of one model. Raises ProblemError (404) for one that is not asked for.

    A model that the operator has not reported yet is pending.
    """
    key = _model_key(name)
    for entry in document["status"].get("models", ()):
        if _model_key(entry["name"]) == key:
            return dict(entry)
    for model in document["spec"].get("models", ()):
        if _model_key(model) == key:
            return {"name": str(model), "state": "Pending"}
    raise _no_entry(MODELS, name)


def _no_entry(spec_list: SpecList, name: str) -> ProblemError:
    return ProblemError(
        404,
        f"no-such-{spec_list.what}",
        f"spec.{spec_list.field} has no {spec_list.what} {name!r}. Read the workspace for those it "
        "has.",
    )
