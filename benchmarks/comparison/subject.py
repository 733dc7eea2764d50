"""Describe the measured operator: ours or any other."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml

from aichat_workspace.foundation.resource import Resource
from benchmarks.comparison.standin import MODELS

NAME: Final = "NAME"
"""The placeholder for a resource's name in a template."""
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Condition:
    """A field of the resource and its value, such as `status.phase=Ready`."""

    path: tuple[str, ...]
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a condition.

        Raises:
            ValueError: the text is not a condition.
        """
        path, equals, value = text.partition("=")
        if not path or not equals:
            raise ValueError(f"{text!r} is no condition; write one as status.phase=Ready")
        return cls(tuple(path.split(".")), value)

    def holds(self, resource: Mapping[str, Any]) -> bool:
        value: Any = resource
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value is not None and (value == self.value or json.dumps(value) == self.value)


@dataclass(frozen=True, slots=True)
class Subject:
    """An operator and its use.

    `account` is its service account, namespace/name. `change` is merged into each resource to
    measure how fast a changed spec is observed. `upgrade` is an object, with the path of its list,
    that changes the pods of all resources.
    """

    command: Sequence[str]
    manifests: Sequence[Path]
    account: str
    namespace: str
    resource: Resource
    template: str
    created: Condition
    ready: Condition
    change: Mapping[str, Any]
    upgrade: tuple[str, Mapping[str, Any]] | None = None

    @property
    def is_foreign(self) -> bool:
        """Return whether the benchmark creates its account, with all permissions."""
        return self.account == _FOREIGN_ACCOUNT

    @property
    def user(self) -> str:
        """Return the API server's name for its account."""
        return f"system:serviceaccount:{self.account.replace('/', ':')}"

    def body(self, name: str) -> dict[str, Any]:
        """Return the resource of a name."""
        body: dict[str, Any] = yaml.safe_load(self.template.replace(NAME, name))
        body["metadata"]["namespace"] = self.namespace
        return body

    def changed(self, name: str) -> dict[str, Any]:
        """Return the apply that changes the resource's spec."""
        body = self.body(name)
        return {**{key: body[key] for key in ("apiVersion", "kind", "metadata")}, **self.change}


_TEMPLATE: Final = yaml.safe_dump(
    {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatWorkspace",
        "metadata": {"name": NAME},
        "spec": {"workspaceName": NAME, "models": list(MODELS), "patterns": []},
    }
)
OURS: Final = Subject(
    command=("aichat-workspace-operator",),
    manifests=(_ROOT / "config" / "default", Path(__file__).with_name("ours.yaml")),
    account="aichat-workspace-operator-system/aichat-workspace-operator",
    namespace="aichat-workspace-operator-system",
    resource=Resource(
        "apps.aichatworkspaces.io", "v1alpha1", "AIChatWorkspace", "aichatworkspaces"
    ),
    template=_TEMPLATE,
    created=Condition.parse("status.isCreated=true"),
    ready=Condition.parse("status.phase=Ready"),
    change={"spec": {"quota": {"cpu": "60"}}},
    upgrade=(
        "/apis/apps.aichatworkspaces.io/v1alpha1/aichatplatforms",
        {
            "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
            "kind": "AIChatPlatform",
            "metadata": {"name": "default", "uid": "upgrade", "generation": 1},
            "spec": {"ollama": {"memoryRequest": "1100Mi"}, "upgrades": {"concurrent": 64}},
        },
    ),
)
_FOREIGN_ACCOUNT: Final = "default/bench-subject"


def foreign(
    *,
    command: str,
    manifests: Sequence[Path],
    template: str,
    plural: str,
    ready: str,
    created: str,
    change: str,
) -> Subject:
    """Return another operator from the command line's arguments.

    Raises:
        ValueError: the text says what is wrong and what to write instead.
    """
    example = yaml.safe_load(template)
    if NAME not in template or not isinstance(example, dict) or "kind" not in example:
        raise ValueError(f"a template is one resource in YAML, with {NAME} in place of its name")
    group, _, version = str(example["apiVersion"]).rpartition("/")
    merged = json.loads(change)
    if not isinstance(merged, dict):
        raise ValueError(  # noqa: TRY004  (what is wrong is text from the command line)
            f'{change!r} is no change; write an object as {{"spec": {{}}}}'
        )
    return Subject(
        command=tuple(shlex.split(command)),
        manifests=tuple(manifests),
        account=_FOREIGN_ACCOUNT,
        namespace="default",
        resource=Resource(group, version, example["kind"], plural or _plural(example["kind"])),
        template=template,
        created=Condition.parse(created or ready),
        ready=Condition.parse(ready),
        change=merged,
    )


def _plural(kind: str) -> str:
    """Return the plural by the rule for most kinds; `--plural` is for the others."""
    name = kind.lower()
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch")) else f"{name}s"
