"""Generate the CustomResourceDefinitions from the models."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic.config import JsonDict

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.kinds import PLATFORM, WORKSPACE
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME, PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from aichat_workspace.domain.v1alpha1.workspace_status import Phase, WorkspaceStatus
from aichat_workspace.foundation.resource import Resource

# Keywords of pydantic's schemas that a structural schema may not have.
_DROPPED_KEYWORDS: Final = frozenset({"title", "examples", "$defs", "uniqueItems", "propertyNames"})

_WORKSPACE_COLUMNS: Final = (
    ("Phase", "string", ".status.phase", 0),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 0),
    ("Models", "string", ".status.modelsReady", 0),
    ("URL", "string", ".status.url", 0),
    ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def workspace_crd() -> Manifest:
    return _crd(
        WORKSPACE,
        short_names=["aiws"],
        description="One team's private AI chat: Ollama and Open WebUI in a namespace of its own.",
        columns=_WORKSPACE_COLUMNS,
        properties={
            "spec": {**structural(WorkspaceSpec), "description": "What the team asks for."},
            "status": {
                **structural(WorkspaceStatus),
                "description": "What the operator reports.",
                "default": {"phase": Phase.PENDING.value},  # until the operator writes one
            },
        },
        required=["spec"],
    )


def platform_crd() -> Manifest:
    only_one = rule(
        f"self.metadata.name == '{PLATFORM_NAME}'",
        f"there is one AIChatPlatform and its name is {PLATFORM_NAME!r}",
    )
    return _crd(
        PLATFORM,
        short_names=["aiplatform"],
        description="Settings of the platform team for all workspaces. Deleting it keeps the last "
        "ones in force; for the defaults, empty its spec.",
        columns=(
            ("Domain", "string", ".spec.ingress.domain", 0),
            ("Age", "date", ".metadata.creationTimestamp", 0),
        ),
        properties={
            "spec": {
                **_describe_defaults(structural(PlatformSpec)),
                "description": "Settings for all workspaces.",
                "nullable": True,  # as server-side apply of an empty spec leaves it
            }
        },
        rules=[only_one],
    )


def structural(model: type[Schema]) -> dict[str, Any]:
    """Return the model as a structural schema: without references and refused keywords.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
    """
    schema = model.model_json_schema(by_alias=True)
    resolved: dict[str, Any] = _resolve(schema, schema.get("$defs", {}))
    return resolved


def _resolve(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_resolve(item, definitions) for item in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        return _resolve({**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions)
    if "patternProperties" in node:  # structural schemas bound values of maps, not their keys
        ((_, values),) = node["patternProperties"].items()
        rest = {key: value for key, value in node.items() if key != "patternProperties"}
        return _resolve({**rest, "additionalProperties": values}, definitions)
    if "anyOf" in node:
        return _resolve(_optional(node), definitions)
    return {
        key: {name: _resolve(child, definitions) for name, child in value.items()}
        if key == "properties"
        else _resolve(value, definitions)
        for key, value in node.items()
        if key not in _DROPPED_KEYWORDS and value is not None and value is not False
    }


def _describe_defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Move the defaults into the descriptions.

    The API server stores defaults in the resource. A newer release's defaults, as a repaired image,
    would then never reach a platform that has settings already.
    """
    described = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in schema:
        fields = schema["properties"].items()
        described["properties"] = {name: _describe_defaults(field) for name, field in fields}
    elif schema.get("default") not in (None, "", []):
        default = _format_default(schema["default"])
        described["description"] = f"{schema['description']} Default: {default}."
    return described


def _format_default(default: object) -> str:
    if isinstance(default, list):
        return ", ".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def _optional(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema X of `X or None`: an optional field may be left out, not null."""
    (schema,) = (schema for schema in node["anyOf"] if schema.get("type") != "null")
    return {**schema, **{key: value for key, value in node.items() if key != "anyOf"}}


def _crd(
    kind: Resource,
    *,
    short_names: list[str],
    description: str,
    columns: tuple[tuple[str, str, str, int], ...],
    properties: dict[str, Any],
    required: list[str] | None = None,
    rules: list[JsonDict] | None = None,
) -> Manifest:
    schema: dict[str, Any] = {
        "type": "object",
        "description": description,
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **properties,
        },
        **({"required": required} if required else {}),
        **({"x-kubernetes-validations": rules} if rules else {}),
    }
    version: dict[str, Any] = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [
            {"name": name, "type": type_, "jsonPath": path, **({"priority": wide} if wide else {})}
            for name, type_, path, wide in columns
        ],
    }
    if "status" in properties:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "labels": {
                "app.kubernetes.io/name": names.OPERATOR,
                "app.kubernetes.io/component": "crd",
            },
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": short_names,
            },
            "versions": [version],
        },
    }
