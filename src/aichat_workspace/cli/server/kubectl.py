"""What is asked of `kubectl`: it knows every way to sign in to a cluster, plugins included."""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.render.lines import plain
from aichat_workspace.domain import names

AUDIENCE: Final = names.API
_SECONDS: Final = 30
_FORWARDING: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) -> ")
_ACCOUNT: Final = re.compile(r"system:serviceaccount:([^:]+):([^:]+)")


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Runs kubectl with one context of the kubeconfig.

    Every method raises CliError: with kubectl's own words, or UNREACHABLE where it does not end.
    """

    context: str | None = None

    def run(self, what: str, *arguments: str, stdin: str | None = None) -> str:
        """Run a command, and return what it prints."""
        import subprocess

        try:
            completed = subprocess.run(  # noqa: S603  (a program of the caller's own)
                [*self._command(what), *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CliError(
                what,
                (f"kubectl {arguments[0]} has not ended after {_SECONDS} seconds",),
                code=ExitCode.UNREACHABLE,
            ) from None
        if completed.returncode == 0:
            return completed.stdout
        raise _failure(what, completed.stderr)

    def get(self, what: str, *arguments: str) -> dict[str, Any]:
        """Return what `kubectl get` finds."""
        document: dict[str, Any] = json.loads(self.run(what, "get", *arguments, "-o", "json"))
        return document

    def own_account(self) -> str | None:
        """Return `namespace/name` where the kubeconfig's user is a service account."""
        match = _ACCOUNT.fullmatch(self.username())
        return f"{match[1]}/{match[2]}" if match else None

    def username(self) -> str:
        """Return who the kubeconfig's user is in the cluster."""
        what = "the kubeconfig's user is unknown"
        review = json.loads(self.run(what, "auth", "whoami", "-o", "json"))
        return str(review["status"]["userInfo"]["username"])

    def token(self, account: str, duration: str = "1h") -> str:
        """Request a token for the API's audience (TokenRequest)."""
        namespace, _, name = account.partition("/")
        what = f"no token was made for the service account {account}"
        audience = f"--audience={AUDIENCE}"
        command = ("create", "token", name, "-n", namespace, audience, f"--duration={duration}")
        return self.run(what, *command).strip()

    @contextmanager
    def port_forward(
        self, target: str, port: str, namespace: str, local_port: int = 0
    ) -> Iterator[int]:
        """Forward a local port to a Service's until the block ends, and yield the local port."""
        import subprocess

        what = f"{namespace}/{target} was not reached through the cluster"
        process = subprocess.Popen(  # noqa: S603  (a program of the caller's own)
            self.port_forward_command(what, target, port, namespace, local_port),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None  # noqa: S101  (piped)
            match = _FORWARDING.match(process.stdout.readline())
            if match is None:
                process.terminate()
                raise _failure(what, process.communicate(timeout=_SECONDS)[1])
            yield int(match[1])
        finally:
            process.terminate()
            process.communicate(timeout=_SECONDS)

    def port_forward_command(
        self, what: str, target: str, port: str, namespace: str, local_port: int = 0
    ) -> list[str]:
        """Return the command that forwards a local port, or any free one, to a Service's."""
        ports = f"{local_port or ''}:{port}"
        address = ("--address", "127.0.0.1")
        return [*self._command(what), "port-forward", "-n", namespace, target, ports, *address]

    def _command(self, what: str) -> list[str]:
        program = shutil.which("kubectl")
        if program is None:
            raise CliError(
                what,
                ("kubectl is not installed, or not in PATH",),
                "install kubectl, or give the API's address: aichatctl login https://…",
            )
        return [program, *(("--context", self.context) if self.context else ())]


def _failure(what: str, output: str) -> CliError:
    lines: Sequence[str] = [plain(text) for text in output.strip().splitlines()[-3:]]
    code = ExitCode.FAILED
    if "Forbidden" in output or "Unauthorized" in output:
        code = ExitCode.FORBIDDEN
    elif "NotFound" in output:
        code = ExitCode.NOT_FOUND
    elif "connect" in output.lower():
        code = ExitCode.UNREACHABLE
    return CliError(what, tuple(lines) or ("kubectl has failed",), code=code)
