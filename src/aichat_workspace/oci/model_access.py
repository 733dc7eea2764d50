"""Whether Ollama can pull models from a registry: it asks for more than container runtimes do.

Its downloader (server/download.go, as of 0.34) sends no password that a registry gives out, asks
for the manifest as Docker's, and takes the place of a blob from the header ``Location`` of the
answer: from a redirect with status 307 to another host, or from an answer 200 that has one. A
registry that keeps blobs on a disk answers 200 without it, and Ollama ends with "no Location header
in response".
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx2

from aichat_workspace.foundation.image_names import ImageName
from aichat_workspace.oci.client import Registry
from aichat_workspace.oci.documents import DOCKER_MANIFEST

_SAME_HOST_REDIRECTS: Final = 10
ANONYMOUS: Final = "let everyone in the cluster read {place} without a login"
LOCATION: Final = (
    "let the registry add the header `Location: ?` to its answers: docs/airgapped.md has it for "
    "the distribution registry and nginx; storage that redirects with 307 needs nothing"
)


@dataclass(frozen=True, slots=True)
class AccessProblem:
    """Why Ollama can't pull a model, and what to do."""

    why: str
    fix: str


def model_access_problem(registry: Registry, model: ImageName, blob: str) -> AccessProblem | None:
    """Ask for a model as Ollama does; ``registry`` has no login, ``blob`` is a small one's digest.

    Raises:
        OciError: the registry can't be reached.
    """
    base = f"/v2/{model.repository}"
    answer = registry.get_once(f"{base}/manifests/{model.reference}", {"Accept": DOCKER_MANIFEST})
    if answer.status_code != 200:
        return _refused(answer, model, "its manifest")
    url = f"{base}/blobs/{blob}"
    answer = registry.get_once(url, {})
    for _ in range(_SAME_HOST_REDIRECTS):
        place = urljoin(str(answer.request.url), answer.headers.get("Location", ""))
        is_redirect = answer.is_redirect and "Location" in answer.headers
        if not is_redirect or urlsplit(place).hostname != registry.http.base_url.host:
            break
        answer = registry.get_once(place, {})
    if answer.status_code not in (200, 307):
        return _refused(answer, model, "a blob")
    if not answer.headers.get("Location"):
        return AccessProblem(
            "a blob comes without the header Location, which Ollama needs", LOCATION
        )
    return None


def _refused(answer: httpx2.Response, model: ImageName, part: str) -> AccessProblem:
    why = f"{part} comes with status {answer.status_code}"
    if answer.status_code in (401, 403):
        return AccessProblem(
            f"{why}: Ollama has no login",
            ANONYMOUS.format(place=f"{model.registry}/{model.repository}"),
        )
    if answer.is_redirect:
        return AccessProblem(f"{why}, and Ollama follows 307 only", LOCATION)
    return AccessProblem(why, "look into the registry's log")
