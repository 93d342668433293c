"""`keyrack import` and `keyrack export`: moving an installation (docs/import.md)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from keyrack.cli.common import Json, complain, show_json

if TYPE_CHECKING:
    from keyrack.errors import Problem
    from keyrack.service.importers.platform.importing import Imported
    from keyrack.service.importers.platform.sections import OpenFile
    from keyrack.settings import Settings

imports = typer.Typer(no_args_is_help=True)
exports = typer.Typer(no_args_is_help=True)


@imports.callback()
def _several() -> None:
    """Import data."""


@imports.command("platform")
def import_platform(
    file: Annotated[Path, typer.Argument(help="File from `keyrack export platform`, or written by hand.")],
    *,
    identity: Annotated[
        Path | None, typer.Option("--identity", help="File with the age identity that decrypts the file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import complete tenants. Or report everything that is wrong with the file, and write nothing."""
    import asyncio

    from keyrack import logs
    from keyrack.crypto import age
    from keyrack.errors import ConfigurationError
    from keyrack.settings import load_settings

    settings = load_settings()
    logs.configure(settings)
    with file.open("rb") as opened:
        encrypted = age.is_encrypted(opened.read(age.LONGEST_BEGINNING))
    if encrypted and identity is None:
        raise ConfigurationError("the file is encrypted; name the file of an identity with --identity")
    known = None if not encrypted or identity is None else identity.read_text(errors="replace")
    done = asyncio.run(_import(settings, lambda: _opened(file, known)))
    _tell("problem", done.problems)
    _tell("warning", done.warnings)
    if as_json:
        result = {
            "imported": not done.problems,
            "records": done.counts,
            "problems": _listed(done.problems),
            "warnings": _listed(done.warnings),
        }
        show_json(result)
    elif not done.problems:
        for name, counts in done.counts.items():
            if any(counts.values()):
                typer.echo(f"{name}: {', '.join(f'{count} {fate}' for fate, count in counts.items() if count)}")
    if done.problems:
        count = len(done.problems)
        complain(f"keyrack: nothing was imported: {count} problem{'s' if count > 1 else ''}")
        raise typer.Exit(1)


@exports.callback()
def _several_exports() -> None:
    """Export data."""


@exports.command("platform")
def export_platform(
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist yet.")],
    *,
    tenant: Annotated[list[str] | None, typer.Option("--tenant", help="Id of a tenant; unset: all.")] = None,
    with_secrets: Annotated[bool, typer.Option("--with-secrets", help="Include secret values, encrypted.")] = False,
    recipient: Annotated[
        list[str] | None, typer.Option("--recipient", help="An age recipient (age1...) who can read the file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Export complete tenants, to be imported elsewhere. Secret values only with --with-secrets."""
    import asyncio
    import os

    from keyrack import logs
    from keyrack.cli.common import show
    from keyrack.crypto import age
    from keyrack.settings import load_settings

    settings = load_settings()
    logs.configure(settings)
    recipients = recipient or []
    if with_secrets or recipients:
        age.require_recipients(recipients)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        try:
            with age.sealing(target, recipients) if recipients else nullcontext(target) as clear:
                counts = asyncio.run(_export(settings, clear, tenant or [], secrets=with_secrets))
            target.flush()  # here, not when it is closed: it is whole, or it is not there
            os.fsync(target.fileno())
        except BaseException:
            file.unlink()
            raise
    show(counts, as_json=as_json)


async def _export(settings: "Settings", target: BinaryIO, tenants: "Sequence[str]", *, secrets: bool) -> dict[str, int]:
    from keyrack.cli.progress import Steps
    from keyrack.clock import now
    from keyrack.service.importers.platform.exporting import Exporter
    from keyrack.service.operator.installation import InstallationSetup
    from keyrack.wiring.storage import open_store

    async def write(part: bytes) -> None:
        target.write(part)

    await _require_schema(settings)
    store = open_store(settings)
    try:
        await InstallationSetup(store, now).verify_key()
        with Steps() as steps:
            counts = await Exporter(store).run(write, tenants, steps, secrets=secrets)
        return dict(counts)
    finally:
        await store.close()


@contextmanager
def _opened(file: Path, identity: str | None) -> Iterator[BinaryIO]:
    """Yield a file in clear; with an identity it is encrypted."""
    from keyrack.crypto import age

    with file.open("rb") as opened:
        if identity is None:
            yield opened
            return
        with age.opening(opened, identity) as clear:
            yield clear


async def _import(settings: "Settings", open_file: "OpenFile") -> "Imported":
    from keyrack.cli.progress import Steps
    from keyrack.clock import now
    from keyrack.errors import ValidationFailed
    from keyrack.service.authz.quotas import over
    from keyrack.service.clients.auth_client_credentials import CredentialRules
    from keyrack.service.importers.platform.importing import Imported, Importer
    from keyrack.service.operator.installation import InstallationSetup
    from keyrack.wiring.configuration import quota_limits, schedule
    from keyrack.wiring.storage import open_store

    await _require_schema(settings)
    store = open_store(settings)
    try:
        await InstallationSetup(store, now).verify_key()
        rules = CredentialRules(settings.allow_insecure_providers)
        with Steps() as steps:
            try:
                done = await Importer(store, rules, schedule(settings)).run(open_file, steps)
            except ValidationFailed as wrong:
                return Imported(wrong.problems, ())
        for tenant_id in done.tenants:
            for text in await over(store, quota_limits(settings), tenant_id):
                complain(f"warning: {text}")
        return done
    finally:
        await store.close()


async def _require_schema(settings: "Settings") -> None:
    from keyrack.store import schema_revision
    from keyrack.store.core import engine

    database = engine.create_engine(settings)
    try:
        await schema_revision.check(database)
    finally:
        await database.dispose()


def _tell(what: str, problems: "Sequence[Problem]") -> None:
    for problem in problems:
        complain(f"{what}: {problem.pointer or '/'}: {problem.detail}")


def _listed(problems: "Sequence[Problem]") -> list[dict[str, Any]]:
    return [{"pointer": problem.pointer or "", "detail": problem.detail} for problem in problems]
