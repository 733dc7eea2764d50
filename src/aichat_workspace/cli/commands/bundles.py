"""Commands for sites without internet: bundle load, bundle list."""

from pathlib import Path
from typing import Annotated, Any

import typer

from aichat_workspace.cli.command import Output, command
from aichat_workspace.cli.output import Format, print_document, print_result
from aichat_workspace.cli.session import Session

BundleFile = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The file that `make bundle` wrote.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Bring images and models to a site without internet.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    command(group, "list")(list_bundle)
    command(group, "load")(load)
    app.add_typer(group, name="bundle")


def list_bundle(session: Session, bundle: BundleFile, output: Output = Format.TABLE) -> None:
    """List what is in a bundle."""
    from aichat_workspace.cli.render.bundles import bundle_table
    from aichat_workspace.cli.site_bundle.target import cli_error
    from aichat_workspace.oci.bundle import Bundle, open_bundle
    from aichat_workspace.oci.errors import OciError

    def document_of(opened: Bundle) -> dict[str, Any]:
        return {
            "version": opened.version,
            "items": [
                {
                    "kind": str(entry.kind),
                    "name": entry.name,
                    "digest": entry.descriptor.digest,
                    "sizeBytes": sum(blob.size for blob in opened.blobs(entry).values()),
                    "platforms": list(opened.platforms(entry)),
                }
                for entry in opened.entries
            ],
            "files": [
                {"name": name, "sizeBytes": size} for name, size in sorted(opened.files.items())
            ],
        }

    try:
        with open_bundle(bundle) as opened:
            document = document_of(opened)
    except OciError as error:
        raise cli_error(error) from error
    names = [str(item["name"]) for item in document["items"]]
    print_result(session.out, output, document, bundle_table(document, session.out.width), names)


def load(
    session: Session,
    bundle: BundleFile,
    registry: Annotated[
        str,
        typer.Argument(metavar="REGISTRY", help="HOST[:PORT][/PATH], or http://HOST without TLS."),
    ],
    username: Annotated[
        str | None,
        typer.Option("--username", metavar="USER", help="Who logs in; else as `docker login` did."),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    authorities: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", help="The registry's certificate authority, in PEM."),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace other content that the registry has by the names."),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Push a bundle's images and models into a registry.

    It sends what the registry lacks, so an interrupted load goes on when it is run again. Where a
    name of the bundle has other content there, it pushes nothing without --replace. Then it prints
    the values of the chart and the fields of the AIChatPlatform to use.
    """
    from aichat_workspace.cli.site_bundle import loading
    from aichat_workspace.cli.site_bundle.progress import progress
    from aichat_workspace.cli.site_bundle.settings import Site, next_steps, settings_document
    from aichat_workspace.cli.site_bundle.target import (
        choose_login,
        cli_error,
        private_addresses,
    )
    from aichat_workspace.oci.address import parse_address
    from aichat_workspace.oci.bundle import open_bundle
    from aichat_workspace.oci.client import connect
    from aichat_workspace.oci.errors import OciError

    try:
        address = parse_address(registry)
        login = choose_login(
            address.registry,
            username,
            password_stdin=password_stdin,
            environment=session.environment,
        )
        with (
            open_bundle(bundle) as opened,
            connect(address, login, authorities=authorities) as client,
        ):
            with progress(session.notes) as show:
                loaded = loading.load(opened, client, address, show, replace=replace)
            site = Site(
                address,
                has_login=login is not None,
                has_authority=authorities is not None,
                addresses=private_addresses(address.registry),
            )
            document = settings_document(site, loaded, loading.chat_model(opened, loaded))
            if output.is_document:
                print_document(session.out, output, document)
            else:
                session.out.write(next_steps(site, str(bundle), document))
            loading.try_models(opened, address, authorities, loaded)
    except OciError as error:
        raise cli_error(error) from error
