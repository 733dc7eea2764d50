"""Gather a release, the images that workspaces run and chosen models into one bundle."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.models.name import DEFAULT_REGISTRY, InvalidModelNameError, parse_model
from aichat_workspace.domain.v1alpha1.platform_spec import Images
from aichat_workspace.foundation import units
from aichat_workspace.foundation.image_names import ImageName, parse_image
from aichat_workspace.oci.address import Address, parse_address
from aichat_workspace.oci.bundle import Kind
from aichat_workspace.oci.client import Registry, connect
from aichat_workspace.oci.credentials import Login, docker_config, read_login
from aichat_workspace.oci.errors import Cause, OciError
from localcluster.progress import Report
from release.bundle.collection import Collected, collect
from release.bundle.sources import ArchiveSource, RegistrySource, Source, read_archives
from release.bundle.writing import write
from release.errors import ReleaseError

ARCHITECTURES: Final = ("amd64", "arm64")
Connect = Callable[[Address], Registry]


@dataclass(frozen=True)
class Options:
    """What goes into a bundle, and where it comes from."""

    version: str
    release: Path
    """The folder of the release of that version."""
    models: Sequence[str]
    """Ollama's names."""
    architectures: Sequence[str] = ARCHITECTURES
    """Of processors, in Go's terms."""
    images: Sequence[str] = ()
    """Folders of OCI archives, and at most one registry with a path that replaces the images' own
    registries."""
    further_images: Sequence[str] = ()
    """Images besides those that the platform's defaults name."""
    model_registry: str = DEFAULT_REGISTRY
    authorities: Path | None = None
    """A PEM file of authorities that the registries' certificates may be by."""


def assemble(options: Options, target: Path, report: Report) -> str:
    """Write a bundle, and return its SHA-256.

    Raises:
        ReleaseError: something that was named can't be had; the message says what to change.
    """
    try:
        with ExitStack() as stack:
            items = [*_collected(options, stack, report)]
            target.parent.mkdir(parents=True, exist_ok=True)
            return write(
                target,
                options.version,
                items,
                _files(options.release),
                lambda done, total: report(
                    "bundle", f"{units.size(done)} of {units.size(total)} written"
                ),
            )
    except OciError as error:
        raise ReleaseError(str(error)) from error
    except InvalidModelNameError as error:
        raise ReleaseError(f"MODELS: {error}") from error


def _files(release: Path) -> dict[str, Path]:
    """Return what of a release is no image: the chart, install.yaml, bills, provenance, …"""
    return {
        path.name: path
        for path in sorted(release.iterdir())
        if path.is_file() and not path.name.endswith(".oci.tar")
    }


def _collected(options: Options, stack: ExitStack, report: Report) -> Iterator[Collected]:
    if not (options.release / "install.yaml").is_file():
        raise ReleaseError(
            f"{options.release} has no release: run `make release VERSION={options.version}` first"
        )
    registries = _registries(options, stack, report)
    released = read_archives([options.release], stack)
    operator = _operator(released, options)
    report("bundle", f"collecting {operator}")
    yield collect(Kind.OPERATOR, operator, released[operator], options.architectures)
    folders = [Path(text) for text in options.images if Path(text).is_dir()]
    archives = read_archives(folders, stack)
    mirror = _mirror(options)
    defaults = Images()
    for text in (defaults.ollama, defaults.open_webui, *options.further_images):
        name = parse_image(text)
        report("bundle", f"collecting {name}")
        source = _image_source(name, archives, mirror, registries, folders)
        yield collect(Kind.IMAGE, str(name), source, options.architectures)
    for text in options.models:
        model = parse_model(text)
        name = ImageName(model.registry, f"{model.namespace}/{model.name}", model.tag)
        report("bundle", f"collecting the model {model}")
        address = parse_address(options.model_registry)
        if model.registry != DEFAULT_REGISTRY:
            address = Address(model.registry)
        place = replace(name, registry=address.registry)
        item = collect(Kind.MODEL, str(name), RegistrySource(registries(address), place), ())
        digest = item.entry.descriptor.digest.removeprefix("sha256:")
        if model.digest not in ("", digest):
            raise ReleaseError(f"{address} has {name} with the digest {digest}, not {model.digest}")
        yield item


def _operator(released: dict[str, ArchiveSource], options: Options) -> str:
    for name in released:
        image = parse_image(name)
        is_version = image.tag == f"v{options.version}"
        if is_version and image.repository.rpartition("/")[2] == names.OPERATOR:
            return name
    raise ReleaseError(
        f"{options.release} has no image {names.OPERATOR}:v{options.version}, but "
        f"{', '.join(released)}: run `make release VERSION={options.version}`, or name its VERSION"
    )


def _mirror(options: Options) -> Address | None:
    addresses = [parse_address(text) for text in options.images if not Path(text).is_dir()]
    if len(addresses) > 1:
        raise ReleaseError(
            f"IMAGES names {len(addresses)} registries ({', '.join(map(str, addresses))}): one at "
            "most, and any number of folders, which have to be there"
        )
    return addresses[0] if addresses else None


def _image_source(
    name: ImageName,
    archives: dict[str, ArchiveSource],
    mirror: Address | None,
    registries: Connect,
    folders: Sequence[Path],
) -> Source:
    """Folders come first, then the registry that replaces the image's own, then that one."""
    if archive := archives.get(str(name)):
        return archive
    if mirror:
        path = f"{mirror.path}/{name.repository}" if mirror.path else name.repository
        place = replace(name, registry=mirror.registry, repository=path)
        return RegistrySource(registries(mirror), place)
    if folders:
        raise ReleaseError(
            f"{', '.join(map(str, folders))}: no archive of {name}, but of "
            f"{', '.join(sorted(archives))}; add it, or name a registry in IMAGES, too"
        )
    return RegistrySource(registries(Address(name.registry)), name)


def _registries(options: Options, stack: ExitStack, report: Report) -> Connect:
    """Return the function that opens a registry once, with the login of `docker login`."""
    opened: dict[Address, Registry] = {}

    def open_registry(address: Address) -> Registry:
        key = replace(address, path="")
        if key not in opened:
            connection = connect(key, _login(address, report), authorities=options.authorities)
            opened[key] = stack.enter_context(connection)
        return opened[key]

    return open_registry


def _login(address: Address, report: Report) -> Login | None:
    """Return the login of `docker login`. None where it can't be read: most images are public."""
    try:
        return read_login(docker_config(os.environ, Path.home()), address.registry)
    except OciError as error:
        if error.cause is not Cause.LOGIN:
            raise
        report("bundle", f"{error}; going on without a login")
        return None
