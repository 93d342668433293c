"""`keyrack restored`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, moment, show_json, show_list, with_store
from keyrack.errors import ConfigurationError

if TYPE_CHECKING:
    from keyrack.service.operator.restored import RestoredGrant, RestoredReport

_COLUMNS = ("id", "tenant_id", "workspace_id", "name", "auth_client", "look", "due_at")


def restored(
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", help="When the backup was taken; unset: the newest moment that the database knows."),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="When the database was lost; unset: now.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing down.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many grants are listed.")] = 1000,
    as_json: Json = False,
) -> None:
    """Say which grants need a look after a restore.

    Run it before anything is started on the restored database: what was due before it was lost is written down as in
    doubt, so that a refusal later tells when and why. No provider is asked. Run it again, later, to see what is left.
    """
    from keyrack.service.operator.restored import Restored

    begin, end = _time("--since", since), _time("--until", until)
    report = with_store(lambda store: Restored(store).report(begin, end, limit=limit, changes=not dry_run))
    rows = [_row(grant) for grant in report.listed]
    told = _told(report)
    if as_json:
        show_json(told | {"listed": rows})
        return
    typer.echo(
        f"Restored is what was there at {told['since']}; lost is what was done until {told['until']}.\n"
        f"{report.grants} grants are refreshed; {sum(report.looks.values())} of them need a look:\n"
        f"  {told['renewed']} were due meanwhile, so that their refresh token was probably used (renewed);"
        f" {report.doubted} were marked now\n"
        f"  {told['over']} were tried and refused since: their users have to connect again (over)\n"
        f"{report.reusable} more were due, at providers whose refresh tokens can be used again.\n"
        "Whatever else was done meanwhile is undone: keys that were revoked, people who were removed, grants that were"
        " made or deleted."
    )
    if rows:
        typer.echo("")
        show_list(_COLUMNS, rows, as_json=False)


def _told(report: "RestoredReport") -> dict[str, Any]:
    return {
        "since": moment(report.since),
        "until": moment(report.until),
        "grants": report.grants,
        "reusable": report.reusable,
        **{look.value: number for look, number in report.looks.items()},
        "marked": report.doubted,
    }


def _row(grant: "RestoredGrant") -> dict[str, Any]:
    secret = grant.secret
    return {
        "id": secret.id,
        "tenant_id": secret.tenant_id,
        "workspace_id": secret.workspace_id,
        "user_id": secret.user_id,
        "name": secret.name,
        "auth_client_id": secret.auth_client_id,
        "auth_client": grant.client_name,
        "look": grant.look.value,
        "due_at": moment(secret.due_at),
        "expires_at": moment(secret.expires_at),
        "last_refreshed_at": moment(secret.refreshed_at),
    }


def _time(option: str, text: str | None) -> datetime | None:
    from keyrack.validation.times import NOT_A_TIME, parse_time

    if text is None:
        return None
    at = parse_time(text)
    if at is None:
        raise ConfigurationError(f"{option} {NOT_A_TIME}")
    return at
