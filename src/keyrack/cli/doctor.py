"""`keyrack doctor`."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, show_json
from keyrack.visible import visible

if TYPE_CHECKING:
    from keyrack.service.diagnosis.examination import Diagnosis
    from keyrack.service.operator.doctor.findings import Finding

doctor = typer.Typer(invoke_without_command=True)


@doctor.callback()
def examine_installation(context: typer.Context, *, as_json: Json = False) -> None:
    """Find out why something does not work, and what to change; nothing is changed.

    Alone, it examines the installation from this machine, with the settings of the server: settings, files, disk,
    spool, database, clock, key, workers, public address, mail, and the way to providers. Exits with 1 if something does
    not work, or puts grants at risk.
    """
    if context.invoked_subcommand is not None:
        return
    found = _examined()
    if as_json:
        show_json([_found(each) for each in found])
    else:
        for number, each in enumerate(found):
            if number:
                typer.echo()
            _show_finding(each)
    if any(each.level == "error" for each in found):
        sys.exit(1)


def _examined() -> "list[Finding]":
    import asyncio

    from keyrack import clock, logs
    from keyrack.cli.start_report import insecure
    from keyrack.errors import ConfigurationError
    from keyrack.service.operator.doctor.findings import error
    from keyrack.service.operator.doctor.installation_doctor import (
        InstallationDoctor,
        before_opening,
        why_not_opened,
    )
    from keyrack.settings import load_settings
    from keyrack.store import schema_revision
    from keyrack.store.core import engine
    from keyrack.wiring.services import build_services
    from keyrack.wiring.storage import open_store

    try:
        settings = load_settings()
        logs.configure(settings)
        found = before_opening(settings, insecure(settings, "127.0.0.1"))
        closed = why_not_opened(settings)
    except ConfigurationError as fault:
        return [error("settings", f"{told}.", "Correct the setting.") for told in fault.for_operators]
    if closed is not None:
        return [*found, closed]

    async def check_schema() -> None:
        database = engine.create_engine(settings)
        try:
            await schema_revision.check(database)
        finally:
            await database.dispose()

    async def run() -> "list[Finding]":
        store = open_store(settings)
        try:
            made = build_services(store, settings)
            try:
                doing = InstallationDoctor(store, made.provider, settings, check_schema, clock.now)
                return await doing.examine()
            finally:
                await made.close()
        finally:
            await store.close()

    try:
        return [*found, *asyncio.run(run())]
    except ConfigurationError as fault:  # the key's file, the home folder, an address
        return [
            *found,
            *(error("start", f"A server would not start: {told}.", "Do what it says.") for told in fault.for_operators),
        ]


def _found(each: "Finding") -> dict[str, Any]:
    change = {"change": each.change} if each.change else {}
    where = {"where": each.where} if each.where else {}
    return {"check": each.check, "level": each.level.value, "seen": each.seen, **change, **where}


def _show_finding(each: "Finding") -> None:
    typer.echo(visible(f"{each.level.upper()} {each.check}: {each.seen}"))
    if each.change:
        typer.echo(visible(f"  change: {each.change}"))
    if each.where:
        typer.echo(visible(f"  where: {each.where}"))


@doctor.command("client")
def diagnose_client(
    client: Annotated[
        str,
        typer.Argument(
            help="Id of an auth client or OAuth client; with --tenant also the name of an auth client, or"
            " team/component for the tenant's OAuth client."
        ),
    ],
    *,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Id of the tenant; unset: names are those of global clients.")
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Also print the requests that were sent, with *** for secrets.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Diagnose a client at its provider.

    Asks the provider with what is stored, and a code that is made up. Nothing is changed there or here. Exits with 1
    if something was found because of which connecting or refreshing fails.
    """
    found = _diagnosed(client, tenant)
    if as_json:
        show_json(_document(found, trace=trace))
    else:
        _show(found, trace=trace)
    if found.level == "error":
        sys.exit(1)


def _diagnosed(client: str, tenant: str | None) -> "Diagnosis":
    import asyncio

    from keyrack import logs
    from keyrack.service.operator.client_doctor import ClientDoctor
    from keyrack.settings import load_settings
    from keyrack.wiring.services import build_services
    from keyrack.wiring.storage import open_store

    settings = load_settings()
    logs.configure(settings)

    async def run() -> "Diagnosis":
        store = open_store(settings)
        try:
            made = build_services(store, settings)
            insecure = settings.allow_insecure_providers
            try:
                doing = ClientDoctor(store, made.examiner, settings.public_url, allow_insecure=insecure)
                return await doing.diagnose(client, tenant)
            finally:
                await made.close()
        finally:
            await store.close()

    return asyncio.run(run())


def _show(found: "Diagnosis", *, trace: bool) -> None:
    typer.echo(visible(f"{found.kind} {found.id}: {found.level}"))
    for finding in found.findings:
        typer.echo()
        typer.echo(visible(f"{finding.level.upper()} {finding.check}: {finding.seen}"))
        if finding.change:
            typer.echo(visible(f"  change: {finding.change}"))
        if finding.place is not None:
            pointer = "" if finding.place.pointer is None else f" {finding.place.pointer}"
            typer.echo(visible(f"  where: {finding.place.where}{pointer}"))
    for each in found.exchanges if trace else ():
        typer.echo()
        typer.echo(visible(f"--- {each.purpose}"))
        for mark, text in ((">", each.request), ("<", each.answer)):
            for line in text.split("\n"):
                typer.echo(f"{mark} {visible(line)}".rstrip())


def _document(found: "Diagnosis", *, trace: bool) -> dict[str, Any]:
    from keyrack.clock import iso

    document: dict[str, Any] = {
        "type": found.kind,
        "id": found.id,
        "level": found.level.value,
        "diagnosed_at": iso(found.at),
        "findings": [
            {
                "check": finding.check,
                "level": finding.level.value,
                "seen": finding.seen,
                **({"change": finding.change} if finding.change else {}),
                **({} if finding.place is None else {"where": finding.place.where.value}),
                **({"pointer": finding.place.pointer} if finding.place and finding.place.pointer else {}),
            }
            for finding in found.findings
        ],
    }
    if trace:
        document["requests"] = [
            {"purpose": each.purpose, "request": each.request, "answer": each.answer} for each in found.exchanges
        ]
    return document
