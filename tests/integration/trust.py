"""Make the API server trust an identity provider, by the configuration of docs/signing-in.md."""

import re
from pathlib import Path
from typing import Any, Final, Protocol

import yaml

from tests.integration.api_process import ApiProcess
from tests.integration.conftest import ROOT, Cluster
from tests.waiting import eventually

TEAM: Final[dict[str, Any]] = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "team-a", "labels": {"aichatworkspaces.io/team": "true"}},
}


class TrustedProvider(Protocol):
    """What the API server has to know of a provider, and a token to try it with."""

    @property
    def issuer(self) -> str: ...
    @property
    def ca_file(self) -> Path: ...
    def fresh_token(self) -> str:
        """An ID token that nobody has judged before."""


_PAGE = (ROOT / "docs" / "signing-in.md").read_text()


def blocks(language: str) -> list[str]:
    """The page's examples in one language."""
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", _PAGE, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in blocks]


def trust(cluster: Cluster, provider: TrustedProvider, api: ApiProcess, *audiences: str) -> None:
    """Write the configuration, with further audiences, and wait until the API accepts the
    provider's tokens."""
    (written,) = blocks("yaml")
    document = yaml.safe_load(written)
    (entry,) = document["jwt"]
    entry["issuer"]["url"] = provider.issuer
    entry["issuer"]["audiences"] += audiences
    entry["issuer"]["audienceMatchPolicy"] = "MatchAny"
    entry["issuer"]["certificateAuthority"] = provider.ca_file.read_text()
    whole = cluster.authentication_config.with_suffix(".new")
    whole.write_text(yaml.safe_dump(document))
    whole.replace(cluster.authentication_config)  # at once: each event is one more reload

    def accepted() -> bool:
        headers = {"Authorization": f"Bearer {provider.fresh_token()}"}
        with api.browser() as client:
            return client.get("/api/v1/workspaces/none", headers=headers).status_code == 404

    eventually(accepted, "the API server trusts the provider", seconds=120)
