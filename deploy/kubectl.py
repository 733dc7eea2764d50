"""Run kubectl against one context."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from deploy.errors import DeployError, RefusedError

_SECONDS: Final = 120.0


class KubectlError(DeployError):
    """kubectl failed; the message is what it printed."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl with the arguments of all its calls."""

    arguments: Sequence[str] = ()

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Return what it printed.

        Raises:
            KubectlError: it failed, or took more than two minutes.
            RefusedError: there is no kubectl.
        """
        try:
            process = subprocess.run(
                self._command(arguments),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
                process_group=0,  # Ctrl-C ends us, and we end it
            )
        except FileNotFoundError as error:
            raise RefusedError("kubectl is not in PATH: install it") from error
        except subprocess.TimeoutExpired as error:
            call = " ".join(arguments)
            raise KubectlError(f"kubectl {call} took more than {_SECONDS:.0f} s") from error
        if process.returncode:
            raise KubectlError(process.stderr.strip() or process.stdout.strip())
        return process.stdout

    def get(self, *arguments: str) -> Any:
        """Return the object or list, None if the object does not exist.

        Raises:
            KubectlError: it failed.
        """
        text = self.run("get", *arguments, "--ignore-not-found", "-o", "json")
        return json.loads(text) if text.strip() else None

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the objects of a kind; kubectl prints nothing where there are none.

        Raises:
            KubectlError: it failed.
        """
        document = self.get(*arguments) or {}
        objects: list[dict[str, Any]] = document.get("items", [])
        return objects

    def apply(self, manifests: Sequence[dict[str, Any]], *arguments: str) -> None:
        """Apply manifests on the server, in their order; fields of others are taken over.

        Raises:
            KubectlError: one was refused.
        """
        self.run(
            *("apply", "--server-side", "--force-conflicts", "-f", "-", *arguments),
            stdin=as_list(manifests),
        )

    @contextmanager
    def background(self, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
        """Run it until the end of the block."""
        process = subprocess.Popen(
            self._command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return ["kubectl", *self.arguments, *arguments]


def as_list(manifests: Sequence[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
