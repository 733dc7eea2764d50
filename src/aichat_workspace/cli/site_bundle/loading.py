"""Load a bundle: push all of it, then try what Ollama will do."""

from collections.abc import Sequence
from pathlib import Path

from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.site_bundle.progress import Show
from aichat_workspace.oci.address import Address
from aichat_workspace.oci.bundle import Bundle, Kind
from aichat_workspace.oci.client import Registry, connect
from aichat_workspace.oci.documents import MODEL_TEMPLATE
from aichat_workspace.oci.model_access import model_access_problem
from aichat_workspace.oci.push import Pushed, occupied, places_of, push


def load(
    bundle: Bundle, registry: Registry, address: Address, show: Show, *, replace: bool = False
) -> list[Pushed]:
    """Push all images and models.

    Raises:
        CliError: the registry has other content under a name, which only ``replace`` overwrites.
        OciError: see its messages.
    """
    places = places_of(bundle.entries, address)
    registry.check()
    others = [] if replace else occupied(registry, places)
    if others:
        raise CliError(
            f"nothing was pushed: {registry.address} has other content under names of the bundle",
            tuple(str(place) for place in others),
            "if the bundle's shall replace it, add --replace",
        )
    loaded = []
    for place, entry in places.items():
        show.begin(str(place), sum(blob.size for blob in bundle.blobs(entry).values()))
        pushed = push(bundle, entry, registry, place, show.advance)
        show.end(pushed.sent_bytes)
        loaded.append(pushed)
    return loaded


def chat_model(bundle: Bundle, loaded: Sequence[Pushed]) -> str:
    """Return the smallest model that people can talk to; empty where there is none."""
    sizes = {
        str(pushed.place): sum(blob.size for blob in blobs)
        for pushed in loaded
        if pushed.entry.kind is Kind.MODEL
        and (blobs := bundle.blobs(pushed.entry).values())
        and any(blob.media_type == MODEL_TEMPLATE for blob in blobs)
    }
    return min(sizes, key=lambda name: sizes[name], default="")


def try_models(
    bundle: Bundle, address: Address, authorities: Path | None, loaded: Sequence[Pushed]
) -> None:
    """Ask for each model as Ollama will. Raises CliError where it can't pull one, and OciError."""
    with connect(address, authorities=authorities) as registry:
        for pushed in loaded:
            if pushed.entry.kind is not Kind.MODEL:
                continue
            parts = bundle.manifest(pushed.entry, pushed.entry.descriptor).parts
            smallest = min(parts, key=lambda part: part.size)
            problem = model_access_problem(registry, pushed.place, smallest.digest)
            if problem:
                raise CliError(
                    f"all was pushed, but Ollama can't pull {pushed.place}",
                    (problem.why,),
                    problem.fix,
                )
