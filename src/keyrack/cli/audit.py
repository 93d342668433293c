"""`keyrack audit`."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, moment, show_json, show_list, table_of, with_store
from keyrack.clock import iso, now
from keyrack.errors import ConfigurationError
from keyrack.validation.times import parse_time

if TYPE_CHECKING:
    from keyrack.model.audit import AuditEvent
    from keyrack.service.operator.audit_reader import AuditReader
    from keyrack.store.core.store import Store

audit = typer.Typer(no_args_is_help=True)

_SOME, _MANY = 10, 1000
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_COLUMNS = ("at", "actor", "action", "outcome", "target_type", "target_id", "times", "address", "request_id")
_TYPICAL = {
    **dict.fromkeys(_COLUMNS, ""),
    "at": "2026-01-31T12:00:00.000Z",
    "actor": "somebody@acme.example",
    "action": "oauth-client.create",
    "outcome": "allowed",
    "target_type": "service-account",
    "target_id": "0" * 24,
    "address": "203.0.113.255",
    "request_id": "0" * 24,
}
"""As wide as most entries: columns of a list that is not known yet begin so."""


@audit.command("list")
def list_events(  # noqa: PLR0913 - one parameter for each option
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Id of the tenant; unset: the installation.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this user or service account did.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Only this action, such as user.create.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Only what was done to what has this id.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="Only allowed, denied or failed ones.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="A duration such as 2h or 7d, or a time such as 2026-01-31T12:00:00Z.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Most entries; unset: 1000, with --follow 10 to begin with.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the newest last, then new entries as they come, until Ctrl-C.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List audit events, newest first. With --follow and --json every entry is a line of its own."""
    asked = {"actor": actor, "action": action, "target_id": target, "outcome": outcome}
    equal = {name: value for name, value in asked.items() if value is not None}
    begin, most = _time(since), limit or (_SOME if follow else _MANY)

    def reader(store: "Store") -> "AuditReader":
        from keyrack.service.operator.audit_reader import AuditReader

        return AuditReader(store, tenant, equal)

    if not follow:
        found = with_store(lambda store: reader(store).newest(begin, most))
        show_list(_COLUMNS, [_row(event) for event in found], as_json=as_json)
        return
    try:
        with_store(lambda store: _follow(reader(store), begin, most, as_json=as_json))
    except KeyboardInterrupt:  # how it ends
        raise typer.Exit from None


async def _follow(reader: "AuditReader", since: datetime | None, limit: int, *, as_json: bool) -> None:
    table = table_of(_COLUMNS)
    table.fit([_TYPICAL])
    begun = as_json
    async for events in reader.follow(since, limit):
        rows = [_row(event) for event in events]
        table.fit(rows)
        for line in [] if begun else table.header():
            typer.echo(line)
        begun = True
        for row in rows:
            if as_json:
                show_json(row)
            else:
                typer.echo("\n".join(table.row(row)))


def _row(event: "AuditEvent") -> Mapping[str, Any]:
    return {
        "at": iso(event.at),
        "actor": event.actor,
        "action": event.action,
        "target_type": event.target_type,
        "target_id": event.target_id,
        "outcome": event.outcome,
        "times": event.times,
        "first_at": moment(event.first_at),
        "address": event.address,
        "request_id": event.request_id,
    }


def _time(text: str | None) -> datetime | None:
    """Read a duration before now, or a time.

    Raises:
        ConfigurationError: it is neither.
    """
    if text is None:
        return None
    if duration := _DURATION.fullmatch(text):
        try:
            return now() - timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        except OverflowError:
            return None  # before there were times
    at = parse_time(text)
    if at is None:
        raise ConfigurationError("--since must be a duration such as 2h or 7d, or a time such as 2026-01-31T12:00:00Z")
    return at
