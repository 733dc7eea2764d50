"""Run the registry in the foreground: ``python -m localcluster.registry``."""

import logging
import ssl
import sys
from pathlib import Path
from typing import Annotated

import typer
from aiohttp import web

from localcluster.registry.catalog import report
from localcluster.registry.server import application
from localcluster.registry.store import Store
from localcluster.registry.upstream import PUBLIC

_LOG = logging.getLogger("localcluster.registry")
_REQUEST = '%a "%r" %s %b bytes %Tf s range=%{Range}i host=%{Host}i'


def serve(
    listen: Annotated[str, typer.Option(help="ADDRESS:PORT to listen on")],
    data: Annotated[Path, typer.Option(help="folder of pushed models")],
    models: Annotated[Path, typer.Option(help="folder of the models, as Ollama keeps them")],
    certificate: Annotated[Path | None, typer.Option(help="PEM; without it, plain http")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM, the certificate's key")] = None,
    blob_host: Annotated[
        str, typer.Option(help="the other name of this server, from which blobs are fetched")
    ] = "blobs.registry.localcluster.test",
    upstream: Annotated[str, typer.Option(help="the registry of all other models")] = PUBLIC,
) -> None:
    """Serve models to Ollama, and log each request to stderr."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    for entry in report():
        _LOG.info("%(name)s is answered by %(weights)s (%(model)s)", entry)
    _LOG.info("other models are fetched from %s; listening on %s", upstream, listen)
    address, _, port = listen.rpartition(":")
    web.run_app(
        application(Store(data, models), blob_host, upstream),
        host=address,
        port=int(port),
        ssl_context=_tls(certificate, key),
        access_log=_LOG,
        access_log_format=_REQUEST,
        print=lambda *_: None,
        shutdown_timeout=1,
        handler_cancellation=True,
    )


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


if __name__ == "__main__":
    typer.run(serve)
