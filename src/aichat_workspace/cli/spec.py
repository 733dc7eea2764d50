"""Specs from options and files."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aichat_workspace.cli.errors import CliError, usage_error
from aichat_workspace.domain import names

Json = dict[str, Any]
_API_VERSIONS: Final = [f"{names.GROUP}/{version}" for version in names.SERVED_VERSIONS]


def assignments(texts: Iterable[str]) -> list[tuple[str, Any]]:
    """Parse `path=value` texts; a value is YAML. Raises CliError."""
    import yaml

    pairs = []
    for text in texts:
        path, separator, value = text.partition("=")
        if not separator or not all(path.removeprefix("spec.").split(".")):
            raise usage_error(f"--set {text!r} is not PATH=VALUE", "--set storage.ollama.size=40Gi")
        try:
            pairs.append((path.removeprefix("spec."), yaml.safe_load(value)))
        except yaml.YAMLError:
            raise usage_error(f"the value of --set {text!r} is no YAML") from None
    return pairs


def metadata_fields(
    display_name: str | None,
    description: str | None,
    labels: Iterable[str],
    cost_centre: str | None,
) -> Json:
    """Return the fields of a spec that tell people what the workspace is; None for what is left as
    it is. A label is `KEY=VALUE`, or `KEY-` to take it off. Raises CliError."""
    fields = {
        "displayName": display_name,
        "description": description,
        "labels": dict(map(_label, labels)) or None,
        "costCentre": cost_centre,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _label(text: str) -> tuple[str, str | None]:
    key, separator, value = text.partition("=")
    if separator and key:
        return key, value
    if key.endswith("-") and key != "-":
        return key[:-1], None
    raise usage_error(f"--label {text!r} is not KEY=VALUE", "--label stage=prod, or --label stage-")


def with_values(spec: Mapping[str, Any], pairs: Iterable[tuple[str, Any]]) -> Json:
    """Return the spec with values set at dotted paths. Raises CliError."""
    changed = dict(spec)
    for path, value in pairs:
        changed = _with_value(changed, path.split("."), value, path)
    return changed


def _with_value(spec: Json, parts: list[str], value: Any, path: str) -> Json:
    first, *rest = parts
    if not rest:
        return {**spec, first: value}
    inner = spec.get(first) or {}
    if not isinstance(inner, dict):
        raise usage_error(f"--set {path}: {first} has no fields")
    return {**spec, first: _with_value(inner, rest, value, path)}


def manifests(text: str, source: str) -> list[Json]:
    """Return the workspaces of a file: AIChatWorkspaces, or documents of the API's.

    Each has `team`, `name`, `spec` and `unsent`; `team` is None where the file names none. Raises
    CliError.
    """
    import yaml

    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise CliError(f"{source} was not read", (reason,)) from None
    if not documents:
        raise CliError(f"{source} was not applied", ("there is no document in it",))
    return [workspace_of(document, source) for document in documents]


def workspace_of(document: Any, source: str) -> Json:
    """Return team, name, spec and unsent fields of one document. Raises CliError."""
    what = f"{source} was not applied"
    fix = "write an AIChatWorkspace, or what `aichatctl get NAME -o yaml` prints"
    if not isinstance(document, dict) or not isinstance(document.get("spec"), dict):
        raise CliError(what, ("a document has no spec",), fix)
    if document.get("kind", "AIChatWorkspace") != "AIChatWorkspace":
        raise CliError(what, (f"a document's kind is {document['kind']}",), fix)
    version = document.get("apiVersion", _API_VERSIONS[0])
    if version not in _API_VERSIONS:
        reason = f"a document's apiVersion is {version}, which this aichatctl does not know"
        raise CliError(what, (reason,), f"write {_API_VERSIONS[0]}, or get a newer aichatctl")
    spec = document["spec"]
    name = spec.get("workspaceName")
    if not isinstance(name, str) or not name:
        raise CliError(what, ("spec.workspaceName is missing",), fix)
    metadata = document.get("metadata") or {}
    team = document.get("team") or metadata.get("namespace")
    return {"team": team, "name": name, "spec": spec, "unsent": unsent_fields(metadata, name)}


def unsent_fields(metadata: Mapping[str, Any], name: str) -> list[str]:
    """Return what of a manifest's metadata the API takes nothing of: only kubectl sets it."""
    fields = [f"metadata.{key}" for key in ("labels", "annotations") if metadata.get(key)]
    if metadata.get("name", name) != name:
        fields.insert(0, f"metadata.name (the resource is called {name})")
    return fields
