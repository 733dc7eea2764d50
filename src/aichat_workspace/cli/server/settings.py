"""What the environment and the configuration file say: contexts, addresses, files."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from aichat_workspace.cli.errors import CliError, usage_error
from aichat_workspace.cli.server.tokens import write_private

SERVER: Final = "AICHAT_SERVER"
TOKEN: Final = "AICHAT_TOKEN"  # noqa: S105  (a variable's name)
CONTEXT: Final = "AICHAT_CONTEXT"
CA_FILE: Final = "AICHAT_CA_FILE"
CONFIG: Final = "AICHAT_CONFIG"
_APPLICATION: Final = "aichatctl"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]{0,99}")


@dataclass(frozen=True, slots=True)
class Context:
    """A server and how to reach it: by its address, or by a kubeconfig's cluster."""

    name: str
    server: str | None = None
    """The API's address; None to reach it through the kubeconfig."""
    ca_file: str | None = None
    """Certificate authorities in addition to the system's."""
    kube_context: str | None = None
    """The kubeconfig's context."""
    service_account: str | None = None
    """`namespace/name` of the service account that tokens are requested for."""

    def document(self) -> dict[str, str]:
        """Return the context as the configuration file has it."""
        fields = {
            "server": self.server,
            "ca-file": self.ca_file,
            "kube-context": self.kube_context,
            "service-account": self.service_account,
        }
        return {key: value for key, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration file."""

    path: Path
    contexts: Mapping[str, Context] = field(default_factory=dict)
    current: str | None = None

    def with_context(self, context: Context) -> Self:
        """Return it with one more context, which becomes the current one."""
        contexts = {**self.contexts, context.name: context}
        return replace(self, contexts=contexts, current=context.name)

    def without(self, name: str) -> Self:
        """Return it without a context."""
        contexts = {key: value for key, value in self.contexts.items() if key != name}
        return replace(
            self, contexts=contexts, current=None if self.current == name else self.current
        )

    def context(self, name: str) -> Context:
        """Return a context. Raises CliError for a name that is not there."""
        if name in self.contexts:
            return self.contexts[name]
        known = ", ".join(sorted(self.contexts)) or "none"
        raise usage_error(f"there is no context {name!r} in {self.path}; there are: {known}")

    def save(self) -> None:
        """Write the file."""
        import yaml

        document = {
            "current-context": self.current,
            "contexts": {name: context.document() for name, context in self.contexts.items()},
        }
        write_private(self.path, yaml.safe_dump(document, sort_keys=False))


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the configuration file is."""
    if environment.get(CONFIG):
        return Path(environment[CONFIG]).expanduser()
    from platformdirs import user_config_path

    return user_config_path(_APPLICATION) / "config.yaml"


def token_path(context: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where a context's token is: beside the configuration file that AICHAT_CONFIG names."""
    if environment.get(CONFIG):
        return config_path(environment).parent / "tokens" / context
    from platformdirs import user_state_path

    return user_state_path(_APPLICATION) / "tokens" / context


def renewal_path(context: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where a context has what renews its token."""
    return token_path(context, environment).parent.parent / "renewals" / context


def check_name(name: str) -> str:
    """Return a context's name. Raises CliError for one that can't name a file, too."""
    if not _NAME.fullmatch(name):
        raise usage_error(
            f"{name!r} can't name a context; use letters, digits, dots, hyphens, underscores",
            "aichatctl login --name NAME …",
        )
    return name


def read_configuration(environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read the configuration file; an absent one is empty. Raises CliError for an invalid one."""
    path = config_path(environment)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Configuration(path)
    except OSError as error:
        raise CliError("the configuration was not read", (str(error),)) from None
    import yaml

    try:
        document = yaml.safe_load(text) or {}
        contexts = {
            check_name(name): _context(name, fields)
            for name, fields in (document.get("contexts") or {}).items()
        }
        return Configuration(path, contexts, document.get("current-context"))
    except (yaml.YAMLError, AttributeError, TypeError) as error:
        reason = str(error).replace("\n", " ")
        raise CliError(
            "the configuration was not read",
            (f"{path}: {reason}",),
            f"correct {path}, or remove it and log in again",
        ) from None


def _context(name: str, fields: Mapping[str, Any]) -> Context:
    known = {
        "server": fields.get("server"),
        "ca_file": fields.get("ca-file"),
        "kube_context": fields.get("kube-context"),
        "service_account": fields.get("service-account"),
    }
    return Context(name, **{key: str(value) for key, value in known.items() if value is not None})
