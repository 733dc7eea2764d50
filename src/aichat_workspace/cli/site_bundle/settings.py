"""What to set where a bundle was loaded: the chart's values and the platform's fields."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.oci.address import Address
from aichat_workspace.oci.bundle import Kind
from aichat_workspace.oci.push import Pushed

PULL_SECRET: Final = "registry"  # noqa: S105  (its name)
AUTHORITIES: Final = "registry-authorities"
_LOGIN: Final = '"$HOME/.docker/config.json"'
NO_MODEL: Final = "none"
EMBEDDING_MODEL: Final = "nomic-embed-text"  # the platform's default, by its name without a tag


@dataclass(frozen=True, slots=True)
class Site:
    """A registry, as pods and nodes have to know it."""

    address: Address
    has_login: bool = False
    has_authority: bool = False
    """Whether its certificate is by an authority of the site's own."""
    addresses: Sequence[str] = ()
    """Its private addresses."""


def settings_document(site: Site, loaded: Sequence[Pushed], chat_model: str = "") -> dict[str, Any]:
    """Return the chart's values, the AIChatPlatform, and the names of the models there.

    `helm test` asks ``chat_model``, as the chart's default is of a registry that is not allowed.
    """
    models = [str(pushed.place) for pushed in loaded if pushed.entry.kind is Kind.MODEL]
    spec: dict[str, Any] = {"images": {"mirror": str(site.address)}}
    if site.has_login:
        spec["imagePullSecretNames"] = [PULL_SECRET]
    if site.has_authority:
        spec["trustedAuthorities"] = {"configMapName": AUTHORITIES}
    if site.addresses:
        ranges = [f"{address}/{128 if ':' in address else 32}" for address in site.addresses]
        spec["network"] = {"egressAllow": ranges}
    spec["models"] = {
        "allowedRegistries": [site.address.registry],
        "embeddingModel": _embedding(models),
    }
    if site.address.is_plain:
        spec["models"]["insecureRegistries"] = [site.address.registry]
    platform = {
        "apiVersion": f"{names.GROUP}/{names.SERVED_VERSIONS[0]}",
        "kind": "AIChatPlatform",
        "metadata": {"name": "default"},
        "spec": spec,
    }
    values = _values(site, loaded, chat_model)
    return {"values": values, "platform": platform, "models": models}


def _values(site: Site, loaded: Sequence[Pushed], chat_model: str) -> dict[str, Any]:
    """Return the chart's values; none where the bundle has no operator."""
    place = next((pushed.place for pushed in loaded if pushed.entry.kind is Kind.OPERATOR), None)
    if place is None:
        return {}
    # The digest is that of the architectures in the bundle, and not the release's.
    image = {"repository": f"{place.registry}/{place.repository}", "tag": place.tag}
    values: dict[str, Any] = {"image": {**image, "digest": ""}}
    if site.has_login:
        values["imagePullSecrets"] = [{"name": PULL_SECRET}]
    if chat_model:
        values["smokeTest"] = {"model": chat_model}
    return values


def _embedding(models: Sequence[str]) -> str:
    """Return the platform's default for documents where it was loaded; none else: people choose."""
    end = f"/{EMBEDDING_MODEL}"
    return next((name for name in models if name.rpartition(":")[0].endswith(end)), NO_MODEL)


def commands(site: Site) -> list[str]:
    """Return what makes the objects that the settings name; it comes before `helm install`."""
    system = names.SYSTEM_NAMESPACE
    lines = [
        f"kubectl create namespace {system}",
        f"kubectl label namespace {system} pod-security.kubernetes.io/enforce=restricted",
    ]
    if site.has_login:
        lines += [
            f"kubectl -n {system} create secret generic {PULL_SECRET} \\",
            f"  --type=kubernetes.io/dockerconfigjson --from-file=.dockerconfigjson={_LOGIN}",
        ]
    if site.has_authority:
        lines += [f"kubectl -n {system} create configmap {AUTHORITIES} --from-file=ca.crt=ca.pem"]
    return lines


def next_steps(site: Site, bundle: str, document: dict[str, Any]) -> str:
    """Return the settings as YAML, with the commands that use them."""
    import yaml

    def block(content: Any) -> str:
        return str(yaml.safe_dump(content, sort_keys=False))

    lines = [f"# The chart and install.yaml: tar -xf {bundle} files"]
    lines += ["# Before the install:", *(f"#   {line}" for line in commands(site))]
    lines += ["", "# values.yaml", block(document["values"])]
    if document["values"] and "smokeTest" not in document["values"]:
        lines += ["# For `helm test`, name a chat model of the registry as smokeTest.model.", ""]
    lines += [
        "# platform.yaml; add your domain as spec.ingress.domain",
        block(document["platform"]),
    ]
    if document["platform"]["spec"]["models"]["embeddingModel"] == NO_MODEL:
        lines += ["# For documents, name one of the models below as embeddingModel.", ""]
    lines += ["# What teams may name as models:", *(f"#   {name}" for name in document["models"])]
    return "\n".join(lines) + "\n"
