"""Generate the CustomResourceDefinitions from the models."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from pydantic.config import JsonDict

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.kinds import PLATFORM, WORKSPACE
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME, PlatformSpec
from aichat_workspace.domain.v1alpha1.platform_status import PlatformStatus
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from aichat_workspace.domain.v1alpha1.workspace_status import Phase, WorkspaceStatus
from aichat_workspace.foundation.resource import Resource

# Keywords of pydantic's schemas that a structural schema may not have.
_DROPPED_KEYWORDS: Final = frozenset({"title", "examples", "$defs", "uniqueItems", "propertyNames"})

_CATEGORY: Final = "aichat"
"""`kubectl get aichat` lists every kind of this group."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of `kubectl get`."""

    name: str
    type: str
    path: str
    description: str
    is_wide: bool = False
    """Only with `-o wide`."""


_AGE: Final = _Column("Age", "date", ".metadata.creationTimestamp", "How long it exists.")
_READY: Final = '.status.conditions[?(@.type=="Ready")]'
_WORKSPACE_COLUMNS: Final = (
    _Column("Phase", "string", ".status.phase", "Where it is, in one word."),
    _Column("Ready", "string", f"{_READY}.status", "Whether people can chat."),
    _Column("Reason", "string", f"{_READY}.reason", "Why it is Ready or not."),
    _Column("Models", "string", ".status.modelsReady", "Ready and desired models."),
    _Column("URL", "string", ".status.url", "Where people open the chat."),
    _Column("Message", "string", f"{_READY}.message", "What to do about it.", is_wide=True),
    _Column(
        "Last used",
        "date",
        ".status.activity.usedAt",
        "When people last used it, as far as that is known.",
        is_wide=True,
    ),
    _AGE,
)
_SELECTABLE: Final = (".spec.workspaceName", ".status.phase")
"""For `kubectl get --field-selector`; an API server before 1.31 ignores them."""


def workspace_crd() -> Manifest:
    return _crd(
        WORKSPACE,
        short_names=["aiws"],
        description="One team's private AI chat: Ollama and Open WebUI in a namespace of its own.",
        columns=_WORKSPACE_COLUMNS,
        selectable=_SELECTABLE,
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
            _Column("Domain", "string", ".spec.ingress.domain", "Below it are the chats' hosts."),
            _Column(
                "Accepted",
                "string",
                '.status.conditions[?(@.type=="Accepted")].status',
                "Whether the settings are in force.",
            ),
            _Column(
                "References",
                "string",
                '.status.conditions[?(@.type=="ReferencesResolved")].status',
                "Whether all that the settings name is there.",
                is_wide=True,
            ),
            _Column("Workspaces", "integer", ".status.workspaces.total", "How many there are."),
            _Column("Waiting", "integer", ".status.workspaces.waiting", "Not yet as they will be."),
            _Column("Failing", "integer", ".status.workspaces.failing", "A person has to act."),
            _AGE,
        ),
        properties={
            "spec": {
                **_describe_defaults(structural(PlatformSpec)),
                "description": "Settings for all workspaces.",
                "nullable": True,  # as server-side apply of an empty spec leaves it
            },
            "status": {
                **structural(PlatformStatus),
                "description": "What the operator reports.",
                "default": {"observedGeneration": 0},  # until the operator writes one
            },
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
    elif isinstance(schema.get("items"), Mapping) and "properties" in schema["items"]:
        described["items"] = _describe_defaults(schema["items"])
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
    columns: tuple[_Column, ...],
    properties: dict[str, Any],
    selectable: tuple[str, ...] = (),
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
    body: dict[str, Any] = {
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [
            {
                "name": column.name,
                "type": column.type,
                "jsonPath": column.path,
                "description": column.description,
                **({"priority": 1} if column.is_wide else {}),
            }
            for column in columns
        ],
        "subresources": {"status": {}},
        **({"selectableFields": [{"jsonPath": path} for path in selectable]} if selectable else {}),
    }
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
                "categories": [_CATEGORY],
            },
            "versions": [
                {**_head(name, kind.version), **deepcopy(body)} for name in names.SERVED_VERSIONS
            ],
            "conversion": {"strategy": "None"},  # the versions have one schema
        },
    }


def _head(version: str, stored: str) -> dict[str, Any]:
    """Return what is a version's own.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-deprecation
    """
    warning = names.DEPRECATED_VERSIONS.get(version)
    return {
        "name": version,
        "served": True,
        "storage": version == stored,
        **({"deprecated": True, "deprecationWarning": warning} if warning else {}),
    }
