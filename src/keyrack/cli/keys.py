"""`keyrack keys`."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from keyrack.cli.common import Json, complain, moment, show, show_json, show_list
from keyrack.errors import ConfigurationError
from keyrack.visible import visible

if TYPE_CHECKING:
    from keyrack.service.operator.key_retirement import Need
    from keyrack.service.operator.key_rotation import Exchanged
    from keyrack.service.operator.key_status import KeyReport
    from keyrack.wiring.keys import KeyCommands

keys = typer.Typer(no_args_is_help=True)

T = TypeVar("T")

LeastAge = Annotated[
    int, typer.Option("--min-age", min=0, help="Seconds for which a data key must have been superseded.")
]
_LEAST_AGE = 3600


@keys.command("status")
def status(*, as_json: Json = False) -> None:
    """Show key sources, and what is wrapped with which key.

    With what still needs old keys.
    """
    report = _with_keys(lambda commands: commands.report())
    if as_json:
        show_json(_report(report))
        return
    sources = [
        {"source": each.name, "wraps": each.wraps, "usable": each.fault is None, "fault": each.fault or "-"}
        for each in report.sources
    ]
    show_list(("source", "wraps", "usable", "fault"), sources, as_json=False)
    typer.echo("")
    versions = [
        {"key": each.id, "data_keys": each.data_keys, "in_front": each.id == report.current} for each in report.versions
    ]
    show_list(("key", "data_keys", "in_front"), versions, as_json=False)
    typer.echo("")
    plain = {
        "data_keys": report.ages.data_keys,
        "oldest_data_key": moment(report.ages.oldest),
        "superseded_data_keys": report.superseded,
        "values_left": sum(report.values_left.values()),
        "rotation_under_way_since": None if report.rotation is None else moment(report.rotation.started_at),
    }
    show(plain, as_json=False)
    _show_needs(report.needs)


@keys.command("rotate")
def rotate(
    *,
    data_keys_only: Annotated[
        bool, typer.Option("--data-keys-only", help="Leave the key-encryption key as it is.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Exchange keys on both layers.

    A new key-encryption key, then new data keys, and values encrypted anew.

    Everything goes on meanwhile. A run that was interrupted is carried on by the next.
    """
    from keyrack.cli.progress import Steps

    with Steps() as steps:
        done = _with_keys(lambda commands: commands.rotation.rotate(steps, data_keys_only=data_keys_only))
    _show_exchanged(done, as_json=as_json)
    if not as_json:
        typer.echo("The old keys are still there; `keyrack keys retire` removes what nothing needs any more.")


@keys.command("rewrap")
def rewrap(*, as_json: Json = False) -> None:
    """Wrap all data keys with the key that is in front.

    After it was exchanged where it is kept.
    """
    from keyrack.cli.progress import Steps

    with Steps() as steps:
        done = _with_keys(lambda commands: commands.rotation.rewrap(steps))
    _show_exchanged(done, as_json=as_json)


@keys.command("retire")
def retire(
    *,
    min_age: LeastAge = _LEAST_AGE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove old keys that nothing needs any more.

    It says what still needs the others.

    Data keys are deleted from the database, key-encryption keys from the key file. A backup that was made before needs
    the key-encryption key of its time: keep a copy of the key file as long as such backups are kept.
    """
    _confirm("Old keys that nothing needs are removed. Backups made before need the old key file. Go on?", yes=yes)
    done = _with_keys(lambda commands: commands.retirement.retire(timedelta(seconds=min_age)))
    if as_json:
        show_json(
            {
                "data_keys": list(done.data_keys),
                "key_encryption_keys": list(done.key_encryption_keys),
                "unused": list(done.unused),
                "needed_by": [asdict(need) for need in done.needs],
            }
        )
        return
    show(
        {
            "data_keys_removed": len(done.data_keys),
            "key_encryption_keys_removed": ", ".join(done.key_encryption_keys) or None,
            "unused_elsewhere": ", ".join(done.unused) or None,
        },
        as_json=False,
    )
    _show_needs(done.needs)


@keys.command("shred")
def shred(
    tenant: Annotated[str, typer.Option("--tenant", help="Id of the tenant.")],
    *,
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="The tenant's id once more, instead of being asked for it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Destroy a tenant's data keys for good.

    Nothing of it that is encrypted can be read again. There is no way back.
    """

    async def use(commands: "KeyCommands") -> Any:
        name = await commands.shredding.about(tenant)
        if _typed(confirm, tenant, name) != tenant:
            raise ConfigurationError("the tenant's id was not confirmed; nothing was destroyed")
        return await commands.shredding.shred(tenant)

    done = _with_keys(use)
    show(asdict(done), as_json=as_json)
    complain(
        "Backups of the database that were made before still hold the keys, wrapped: delete them, or the"
        " key-encryption key of their time. Tokens stay valid at their providers until they are revoked there."
    )


def _typed(confirm: str | None, tenant: str, name: str) -> str:
    if confirm is not None:
        return confirm
    if not sys.stdin.isatty():
        raise ConfigurationError(f"say --confirm {tenant} to shred it without being asked")
    typer.echo(f"All secrets, clients and settings of {visible(name)} that are encrypted will be lost.", err=True)
    return str(typer.prompt("Type the tenant's id", err=True)).strip()


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("say --yes to do this without being asked")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def _with_keys(use: "Callable[[KeyCommands], Awaitable[T]]") -> T:
    """Open the store of the settings, do something with its keys, and close it.

    Raises:
        KeyrackError: whatever the settings or the use raise.
    """
    import asyncio

    from keyrack import logs
    from keyrack.settings import load_settings
    from keyrack.wiring.keys import build_key_commands
    from keyrack.wiring.storage import open_store

    settings = load_settings()
    logs.configure(settings)

    async def run() -> T:
        store = open_store(settings)
        try:
            return await use(build_key_commands(store, settings))
        finally:
            await store.close()

    return asyncio.run(run())


def _show_exchanged(done: "Exchanged", *, as_json: bool) -> None:
    left = sum(done.left.values())
    result = {
        "key": done.kek_id,
        "rewrapped_data_keys": done.rewrapped,
        "data_keys_not_unwrapped": done.not_unwrapped,
        "new_data_keys": done.new_data_keys,
        "values_encrypted_anew": done.resealed,
        "values_unreadable": done.unreadable,
        "values_left": done.left if as_json else left,
    }
    show(result, as_json=as_json)
    if left or done.not_unwrapped:
        raise typer.Exit(1)


def _show_needs(needs: "Sequence[Need]") -> None:
    if not needs:
        return
    typer.echo("\nWhat still needs old keys:\n")
    rows = [
        {
            "key": need.key,
            "tenant": need.tenant_id or "-",
            "needed_by": need.what,
            "where": need.where,
            "count": need.count,
        }
        for need in needs
    ]
    show_list(("key", "tenant", "needed_by", "where", "count"), rows, as_json=False)


def _report(report: "KeyReport") -> Mapping[str, Any]:
    rotation = report.rotation
    return {
        "sources": [asdict(each) for each in report.sources],
        "current": report.current,
        "key_encryption_keys": [
            {
                "id": each.id,
                "data_keys": each.data_keys,
                "current": each.id == report.current,
                "first_data_key_at": moment(each.first),
                "last_data_key_at": moment(each.last),
            }
            for each in report.versions
        ],
        "current_since": moment(report.ages.current_since),
        "data_keys": report.ages.data_keys,
        "oldest_data_key_at": moment(report.ages.oldest),
        "superseded_data_keys": report.superseded,
        "values_left": dict(report.values_left),
        "rotation": None
        if rotation is None
        else {"id": rotation.id, "key": rotation.kek_id, "started_at": moment(rotation.started_at)},
        "needed_by": [asdict(need) for need in report.needs],
        "processes": [
            {
                "id": each.id,
                "host": each.host,
                "pid": each.pid,
                "wraps_with": each.state.wraps_with,
                "unwraps_with_current": report.can_unwrap(each),
            }
            for each in report.processes
        ],
    }
