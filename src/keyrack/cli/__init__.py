"""The command line. `main` is the entry point of the command `keyrack`.

A command imports what it needs when it runs, so that others start at once.
"""

import io
import os
import sys
import traceback
from typing import Annotated

import typer

from keyrack import __version__
from keyrack.cli import (
    accounts,
    audit_chain,
    clients,
    components,
    containment,
    cutover,
    database,
    demo,
    doctor,
    grants,
    keys,
    migrate,
    other_systems,
    permissions,
    providers,
    quotas,
    restored,
    secrets,
    service_accounts,
    serving,
    tenants,
    transfer,
)
from keyrack.cli.common import complain
from keyrack.errors import KeyrackError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)  # help in plain text
app.add_typer(database.db, name="db", help="The database schema.")
app.add_typer(accounts.users, name="users", help="Users.")
app.add_typer(accounts.api_keys, name="api-keys", help="API keys of users and service accounts.")
app.add_typer(service_accounts.service_accounts, name="service-accounts", help="Installation-wide identities.")
app.add_typer(tenants.tenants, name="tenants", help="Tenants.")
app.add_typer(permissions.permissions, name="permissions", help="What roles and service accounts may do.")
app.add_typer(secrets.secrets, name="secrets", help="Auth secrets and their refresh.")
app.add_typer(audit_chain.audit, name="audit", help="The audit log.")
app.add_typer(clients.clients, name="clients", help="OAuth clients and auth clients, and their secrets.")
app.add_typer(grants.grants, name="grants", help="Reports on grants: unread ones, and those that will end.")
app.add_typer(keys.keys, name="keys", help="Keys that everything is encrypted with.")
app.add_typer(components.components, name="components", help="Components and their component.json.")
app.add_typer(providers.providers, name="providers", help="Provider profiles.")
app.add_typer(doctor.doctor, name="doctor", help="Why something does not work, and what to change.")
app.add_typer(cutover.cutover, name="cutover", help="Which imported grants Keyrack renews.")
app.add_typer(transfer.imports, name="import", help="Import data.")
transfer.imports.command("nango")(other_systems.import_nango)
transfer.imports.command("n8n")(other_systems.import_n8n)
transfer.imports.command("vault-oauthapp")(other_systems.import_oauthapp)
transfer.imports.command("undo")(other_systems.undo_import)
app.add_typer(migrate.migrate, name="migrate", help="From earlier ways of keeping clients.")
app.add_typer(transfer.exports, name="export", help="Export data.")
app.command()(database.bootstrap)
app.command()(quotas.quotas)
app.command()(restored.restored)
app.command()(containment.contain)
app.command()(containment.frozen)
app.command()(containment.unfreeze)
app.command()(serving.serve)
app.command()(serving.worker)
app.command()(serving.simulator)
app.command()(serving.settings)
app.command()(demo.demo)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the library calls it
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Keep the OAuth clients and user tokens of an integration platform.

    `keyrack COMMAND --help` says more of a command.
    """
    del version  # it was printed before


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; an expected error is one line on standard error and exit 1."""
    os.umask(0o077)  # what a command or a server writes is its owner's
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # what a terminal's character set lacks, as standard error does
    try:
        app(prog_name="keyrack")
    except KeyrackError as error:
        for told in error.for_operators:
            complain(f"keyrack: {told}")
        sys.exit(1)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "keyrack":
            raise
        complain(f"keyrack: the package {missing.name} is not installed; run: pip install keyrack")
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that cannot be made
        complain(f"keyrack: {error.strerror or 'input or output failed'}: {error.filename or ''}")
        sys.exit(1)
    except Exception as fault:  # noqa: BLE001 - the interpreter would print its text as it is
        for line in "".join(traceback.format_exception(fault)).splitlines():
            complain(line)
        sys.exit(1)
