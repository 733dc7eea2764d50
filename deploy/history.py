"""What was deployed to a cluster, as a Secret there keeps it.

One document is written in one step, so that an interruption leaves the former or the new one.
A pull secret may be among the manifests, so it is a Secret.
"""

import base64
import gzip
import json
from dataclasses import dataclass, replace
from typing import Any, Final

from aichat_workspace.domain import names
from deploy.errors import RefusedError
from deploy.kubectl import Kubectl
from deploy.manifests import Identity, Release

SECRET: Final = "aichat-workspace-deployments"  # noqa: S105  (a name)
_KEY: Final = "history.json.gz"


@dataclass(frozen=True)
class History:
    """What runs in a cluster, as far as this program has deployed it."""

    current: Release | None = None
    """The last release that has passed the smoke test."""
    candidate: Release | None = None
    """The release that a run has begun to apply, and which has not passed yet."""
    applied: frozenset[Identity] = frozenset()
    """The objects that exist: of the current release, and of all that were tried since."""
    version: str = ""
    """The Secret's resourceVersion; empty if there is no Secret yet."""

    def begin(self, candidate: Release) -> "History":
        applied = self.applied | candidate.identities
        return replace(self, candidate=candidate, applied=applied)

    def finish(self, running: Release) -> "History":
        """The release has passed its smoke test, and nothing of others remains."""
        return replace(self, current=running, candidate=None, applied=running.identities)


def encode(history: History) -> str:
    document = {
        "current": _release(history.current),
        "candidate": _release(history.candidate),
        "applied": sorted(history.applied),
    }
    packed = gzip.compress(json.dumps(document, sort_keys=True).encode(), mtime=0)
    return base64.b64encode(packed).decode()


def decode(text: str, version: str = "") -> History:
    document = json.loads(gzip.decompress(base64.b64decode(text)))
    return History(
        _parse(document["current"]),
        _parse(document["candidate"]),
        frozenset(Identity(*item) for item in document["applied"]),
        version,
    )


def _release(release: Release | None) -> Any:
    return release and {"name": release.name, "manifests": release.manifests}


def _parse(document: Any) -> Release | None:
    return Release(document["name"], tuple(document["manifests"])) if document else None


def read(kubectl: Kubectl) -> History:
    """Read the cluster's history.

    Raises:
        KubectlError: kubectl failed.
        RefusedError: the Secret holds something else.
    """
    secret = kubectl.get("secret", SECRET, "-n", names.SYSTEM_NAMESPACE)
    if secret is None:
        return History()
    try:
        return decode(secret["data"][_KEY], secret["metadata"]["resourceVersion"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise RefusedError(
            f"the Secret {SECRET} in {names.SYSTEM_NAMESPACE} can't be read ({error!r}), so the "
            "release before is not known. Deploy what runs now once more, after "
            f"kubectl -n {names.SYSTEM_NAMESPACE} delete secret {SECRET}"
        ) from error


def write(kubectl: Kubectl, history: History) -> History:
    """Write it, and return it with its new version.

    Raises:
        KubectlError: kubectl failed, or another run has written since this history was read.
    """
    metadata = {"name": SECRET, "namespace": names.SYSTEM_NAMESPACE}
    if history.version:
        metadata["resourceVersion"] = history.version
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "data": {_KEY: encode(history)},
    }
    verb = "replace" if history.version else "create"
    text = kubectl.run(verb, "-f", "-", "-o", "json", stdin=json.dumps(secret))
    return replace(history, version=json.loads(text)["metadata"]["resourceVersion"])
