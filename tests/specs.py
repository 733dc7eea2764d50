"""Generated specs and sequences of them, made from the schema of the pydantic models.

Only what a schema can't say is written here: values that must fit each other, the platform's
bounds, or something that exists.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.models.name import parse_model
from aichat_workspace.domain.v1alpha1.crd import structural
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from tests.schemas import Path

Spec = dict[str, Any]
Values = st.SearchStrategy[Any]

SCHEMA: Final = structural(WorkspaceSpec)
SECRETS: Final = ("keys-a", "keys-b")
"""Secrets that serve the workspace and have every key that a reference may ask for."""
VOLUMES: Final = ("ollama", "openWebUI")
KEYS: Final = ("tls.crt", "tls.key", "email", "password", "clientSecret", "apiKey")
ALLOWED: Final = {
    choice: ["*"]
    for choice in (
        "nodeSelectorKeys",
        "tolerationKeys",
        "gpuResources",
        "ingressClasses",
        "issuers",
    )
}
"""What the platform has to allow so that a generated spec may choose by name."""
SIZE_CLASSES: Final = [
    {"name": name, "resources": {"ollama": {"memoryLimit": limit}}}
    for name, limit in (("small", "3Gi"), ("large", "5Gi"))
]
# The first is what the namespace is called, the others act on its end.
APART: Final = frozenset({"workspaceName", "deletionPolicy", "namespaceUID"})
FIELDS: Final = sorted(SCHEMA["properties"].keys() - APART)

_CPU: Final = st.sampled_from(["100m", "0.5", "750m", "1", "2000m", "4"])
_MEMORY: Final = st.sampled_from(["256Mi", "1G", "1.5Gi", "2048Mi", "6Gi"])
_SECRET: Final = st.sampled_from(SECRETS)
_COMPUTE: Final = {
    f"resources.{workload}.{resource}{bound}": values
    for workload in VOLUMES
    for resource, values in (("cpu", _CPU), ("memory", _MEMORY))
    for bound in ("Request", "Limit")
}
_CHOSEN: Final[dict[Path, Values]] = {
    "labels": st.dictionaries(
        st.sampled_from(["purpose", "example.org/stage"]),
        st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
        max_size=2,
    ),
    "className": st.sampled_from(["small", "large"]),
    **_COMPUTE,
    "resources.ollama.gpu.count": st.integers(1, PlatformSpec().ceiling.gpus),
    "storage.ollama.size": st.sampled_from(["21Gi", "22Gi", "23552Mi", "30Gi"]),
    "storage.openWebUI.size": st.sampled_from(["3Gi", "4096Mi", "5Gi"]),
    "quota.cpu": st.sampled_from(["20", "30500m", "64"]),
    "quota.memory": st.sampled_from(["40Gi", "64G", "131072Mi"]),
    "quota.storage": st.sampled_from(["100Gi", "0.5Ti"]),
    "ingress.host": st.sampled_from(["our.chat.localtest.me", "a.b.c.localtest.me"]),
    "ingress.tls.secretName": _SECRET,
    "access.adminSecretName": _SECRET,
    "access.oidc.secretName": _SECRET,
    "connections[].secretName": _SECRET,
    "expiresAfter": st.sampled_from(["600m", "36h", "30d"]),
    "scheduling.nodeSelector": st.dictionaries(
        st.sampled_from(["pool", "example.org/zone", "kubernetes.io/arch"]),
        st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
        max_size=2,
    ),
}


def _has_no_port(model: str) -> bool:
    """Whether the platform need not name the model's registry."""
    return parse_model(model).port is None


_POSSIBLE: Final[dict[Path, Callable[[Any], bool]]] = {
    "models[]": _has_no_port,
    "embeddingModel": _has_no_port,
}


def _ordered(compute: Spec) -> Spec:
    """A request above its limit changes places with it."""
    for resource in ("cpu", "memory"):
        request, limit = compute.get(f"{resource}Request"), compute.get(f"{resource}Limit")
        if request and limit and quantity.parse(request) > quantity.parse(limit):
            compute = {**compute, f"{resource}Request": limit, f"{resource}Limit": request}
    return compute


def _one_certificate(tls: Spec) -> Spec:
    if "secretName" in tls:
        return {"secretName": tls["secretName"]}
    return tls or {"issuer": {"name": "letsencrypt"}}


def _sensible(toleration: Spec) -> Spec:
    """https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"""
    if "key" not in toleration:
        toleration = {**toleration, "operator": "Exists"}
    if toleration.get("operator") == "Exists":
        toleration = {key: value for key, value in toleration.items() if key != "value"}
    if "tolerationSeconds" in toleration:
        toleration = {**toleration, "effect": "NoExecute"}
    return toleration


def _with_own_provider(oidc: Spec) -> Spec:
    """With verified addresses, which SCIM needs, whatever is changed beside it."""
    own = {
        "providerURL": "https://id.example.org/a",
        "clientID": "chat",
        "secretName": SECRETS[0],
        "verifiedEmailClaim": "email",
    }
    return {**own, **oidc, "enabled": True}


def _with_a_way_in(access: Spec) -> Spec:
    """Without a provider, what needs one is left out."""
    if "oidc" in access:
        return access
    return {name: value for name, value in access.items() if name not in ("passwordForm", "scim")}


def _with_a_schedule(backup: Spec) -> Spec:
    """The API server takes an empty object that is applied again for null (docs/backup.md)."""
    return {"schedule": "", **backup}


def _of_a_backup(restore: Spec) -> Spec:
    return {"backup": "20261201T023000Z-0f3b9c2d", **restore}


_MENDED: Final[dict[Path, Callable[[Spec], Spec]]] = {
    "resources.ollama": _ordered,
    "resources.openWebUI": _ordered,
    "ingress.tls": _one_certificate,
    "access": _with_a_way_in,
    "backup": _with_a_schedule,
    "restore": _of_a_backup,
    "access.oidc": _with_own_provider,
    "scheduling.tolerations[]": _sensible,
}
_FEW: Final = 3


def values_of(schema: Mapping[str, Any], path: Path = "") -> Values:
    """Whatever the schema allows, by the rules above."""
    strategy = _CHOSEN[path] if path in _CHOSEN else _by_type(schema, path)
    if path in _POSSIBLE:
        strategy = strategy.filter(_POSSIBLE[path])
    return strategy.map(_MENDED[path]) if path in _MENDED else strategy


def _by_type(schema: Mapping[str, Any], path: Path) -> Values:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _BY_TYPE[schema["type"]](schema, path)


def _text(schema: Mapping[str, Any], _: Path) -> Values:
    least, most = schema.get("minLength", 0), schema["maxLength"]
    if "pattern" not in schema:
        printable = st.characters(codec="utf-8", exclude_categories=("C", "Z"))
        return st.text(printable, min_size=least, max_size=min(most, 12))
    matching = st.from_regex(schema["pattern"].removesuffix("$") + r"\Z")
    return matching.filter(lambda text: least <= len(text) <= most)


def _number(schema: Mapping[str, Any], _: Path) -> Values:
    return st.integers(schema["minimum"], schema.get("maximum", 2**31))


def _list(schema: Mapping[str, Any], path: Path) -> Values:
    entries = values_of(schema["items"], f"{path}[]")
    if keys := schema.get("x-kubernetes-list-map-keys"):
        return st.lists(entries, max_size=_FEW, unique_by=lambda entry: entry[keys[0]])
    return st.lists(entries, max_size=_FEW, unique=schema.get("x-kubernetes-list-type") == "set")


def _object(schema: Mapping[str, Any], path: Path) -> Values:
    above = f"{path}." if path else ""
    fields = {
        name: values_of(field, f"{above}{name}") for name, field in schema["properties"].items()
    }
    required = {name: fields.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(required, optional=fields)


_BY_TYPE: Final[dict[str, Callable[[Mapping[str, Any], Path], Values]]] = {
    "string": _text,
    "integer": _number,
    "boolean": lambda *_: st.booleans(),
    "array": _list,
    "object": _object,
}
_VALUES: Final = {name: values_of(SCHEMA["properties"][name], name) for name in FIELDS}
_EMPTY: Final[dict[str, Any]] = {"array": [], "object": {}}
_NEVER_EMPTY: Final = frozenset(
    {"backup", *(name for name in FIELDS if SCHEMA["properties"][name].get("required"))}
)


@st.composite
def edits(draw: st.DrawFn, spec: Spec) -> Spec:
    """The spec with some of its fields set or changed, partly changed, emptied or removed."""
    for name in draw(st.sets(st.sampled_from(FIELDS), min_size=1, max_size=4)):
        kind = SCHEMA["properties"][name]["type"]
        how = draw(st.sampled_from(["set", "partly", "emptied", "removed"]))
        rest = {key: value for key, value in spec.items() if key != name}
        if how == "removed":
            spec = rest
        elif how == "emptied" and kind in _EMPTY and name not in _NEVER_EMPTY:
            spec = {**rest, name: _EMPTY[kind]}
        else:
            value = draw(_VALUES[name])
            former = spec.get(name, {}) if how == "partly" and kind == "object" else {}
            spec = {**rest, name: {**former, **value} if former else value}
    return spec


@st.composite
def histories(draw: st.DrawFn, steps: int) -> list[Spec]:
    """Specs as they follow each other: each an edit of the one before, or one that was before."""
    history: list[Spec] = [{}]
    for _ in range(draw(st.integers(2, steps))):
        history.append(
            draw(st.one_of(edits(history[-1]), edits(history[-1]), st.sampled_from(history)))
        )
    return history


def growing(specs: Sequence[Spec], at_first: Mapping[str, str]) -> Iterator[Spec]:
    """The specs with volumes that never shrink: an API server refuses that."""
    sizes = dict(at_first)
    for spec in specs:
        storage = spec.get("storage", {})
        for name in VOLUMES:
            size = storage.get(name, {}).get("size", sizes[name])
            sizes[name] = max(sizes[name], size, key=quantity.parse)
        grown = {name: {**storage.get(name, {}), "size": sizes[name]} for name in VOLUMES}
        yield {**spec, "storage": grown}
