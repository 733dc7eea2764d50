"""The operator that is measured: ours, or any other one."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml

from aichat_workspace.foundation.resource import Resource
from benchmarks.standin import MODELS

NAME: Final = "NAME"
"""What stands for a resource's name in a template."""
_ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Condition:
    """A field of the resource with a value, as `status.phase=Ready`."""

    path: tuple[str, ...]
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for what is none."""
        path, equals, value = text.partition("=")
        if not path or not equals:
            raise ValueError(f"{text!r} is no condition; write one as status.phase=Ready")
        return cls(tuple(path.split(".")), value)

    def holds(self, resource: Mapping[str, Any]) -> bool:
        found: Any = resource
        for key in self.path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found is not None and (found == self.value or json.dumps(found) == self.value)


@dataclass(frozen=True, slots=True)
class Subject:
    """An operator, and how to use it.

    `account` is the service account that it runs as, namespace/name. `change` is merged into every
    resource to see how fast a changed spec is observed.
    """

    command: Sequence[str]
    manifests: Sequence[Path]
    account: str
    namespace: str
    resource: Resource
    template: str
    made: Condition
    ready: Condition
    change: Mapping[str, Any]

    @property
    def is_foreign(self) -> bool:
        """Whether its account is ours to make, with all permissions."""
        return self.account == _FOREIGN_ACCOUNT

    @property
    def user(self) -> str:
        """As the API server calls it."""
        return f"system:serviceaccount:{self.account.replace('/', ':')}"

    def body(self, name: str) -> dict[str, Any]:
        """The resource of a name."""
        body: dict[str, Any] = yaml.safe_load(self.template.replace(NAME, name))
        body["metadata"]["namespace"] = self.namespace
        return body

    def changed(self, name: str) -> dict[str, Any]:
        """What is applied to change the resource's spec."""
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
    made=Condition.parse("status.isCreated=true"),
    ready=Condition.parse("status.phase=Ready"),
    change={"spec": {"quota": {"cpu": "60"}}},
)
_FOREIGN_ACCOUNT: Final = "default/bench-subject"


def foreign(
    *,
    command: str,
    manifests: Sequence[Path],
    template: str,
    plural: str,
    ready: str,
    made: str,
    change: str,
) -> Subject:
    """Another operator, by what the command line says of it.

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
        made=Condition.parse(made or ready),
        ready=Condition.parse(ready),
        change=merged,
    )


def _plural(kind: str) -> str:
    """By the rule that most kinds follow; `--plural` is for the others."""
    name = kind.lower()
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch")) else f"{name}s"
