"""Load a bundle: push all of it, then try what Ollama will do."""

from collections.abc import Sequence
from pathlib import Path

from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.site_bundle.progress import Show
from aichat_workspace.oci.address import Address
from aichat_workspace.oci.bundle import Bundle, Kind
from aichat_workspace.oci.client import Registry, connect
from aichat_workspace.oci.model_access import model_access_problem
from aichat_workspace.oci.push import Pushed, place_of, push


def load(bundle: Bundle, registry: Registry, address: Address, show: Show) -> list[Pushed]:
    """Push all images and models. Raises OciError."""
    registry.check()
    loaded = []
    for entry in bundle.entries:
        place = place_of(entry, address)
        show.begin(str(place), sum(blob.size for blob in bundle.blobs(entry).values()))
        pushed = push(bundle, entry, registry, place, show.advance)
        show.end(pushed.sent_bytes)
        loaded.append(pushed)
    return loaded


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
