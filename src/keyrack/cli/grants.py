"""`keyrack grants`: which grants nobody reads, and which will end."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from keyrack.cli.common import Json, complain, moment, show_list, with_store

if TYPE_CHECKING:
    from keyrack.model.grant_reports import EndingGrant, ReportedGrant, ReportPage
    from keyrack.store.core.store import Store
    from keyrack.store.core.unit import Unit

grants = typer.Typer(no_args_is_help=True)

T = TypeVar("T")
_PART = 500
_IDLE_COLUMNS = ("tenant_id", "id", "workspace_id", "name", "state", "last_used_at", "created_at")
_ENDING_COLUMNS = ("tenant_id", "id", "name", "at", "reason", "basis", "remedy")

TenantId = Annotated[str | None, typer.Option("--tenant", help="Id of a tenant; unset: all.")]


@grants.command("idle")
def idle(
    *,
    tenant: TenantId = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Not read for so many days.")] = 90,
    as_json: Json = False,
) -> None:
    """List auth secrets that nobody has read for some time, by tenant. Nothing is changed."""
    from keyrack.service.secrets.grant_reports import idle_grants

    found = with_store(lambda store: _of_tenants(store, tenant, lambda unit, at: idle_grants(unit, days, at, _PART)))
    show_list(_IDLE_COLUMNS, [_idle_row(tenant_id, each) for tenant_id, each in found], as_json=as_json)
    if not as_json:
        complain(f"{len(found)} grants of {len({tenant_id for tenant_id, _ in found})} tenants")


@grants.command("ending")
def ending(
    *,
    tenant: TenantId = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="End within so many days.")] = 30,
    as_json: Json = False,
) -> None:
    """List auth secrets that will end, when, why and what to do. What is a `guess` may be wrong. Nothing is changed."""
    from keyrack.service.secrets.grant_reports import ending_grants

    found = with_store(lambda store: _of_tenants(store, tenant, lambda unit, at: ending_grants(unit, days, at, _PART)))
    rows = [row for tenant_id, each in found for row in _ending_rows(tenant_id, each)]
    rows.sort(key=lambda row: (str(row["at"]), str(row["id"])))
    show_list(_ENDING_COLUMNS, rows, as_json=as_json)
    if not as_json:
        guessed = sum(row["basis"] == "guess" for row in rows)
        complain(f"{len(found)} grants; {guessed} of {len(rows)} reasons are guesses")


async def _of_tenants(
    store: "Store", tenant_id: str | None, part: "Callable[[Unit, str], Awaitable[ReportPage[T]]]"
) -> "Sequence[tuple[str, T]]":
    """Return all of a report, with whose each row is: a part at a time, each in a unit of work of its own."""
    from keyrack.errors import NotFound
    from keyrack.store.tenants import TenantRows

    async with store.installation() as unit:
        wanted = [each.id for each in await TenantRows(unit).list() if tenant_id in (None, each.id)]
    if tenant_id is not None and not wanted:
        raise NotFound("there is no such tenant")
    found: list[tuple[str, T]] = []
    for each in wanted:
        after: str | None = ""
        while after is not None:
            async with store.unit(each) as unit:
                page = await part(unit, after)
            found += [(each, row) for row in page.rows]
            after = page.after
    return found


def _idle_row(tenant_id: str, grant: "ReportedGrant") -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "id": grant.id,
        "workspace_id": grant.workspace_id,
        "name": grant.name,
        "auth_client_id": grant.auth_client_id,
        "auth_client_name": grant.client_name,
        "state": grant.state,
        "last_used_at": moment(grant.last_used_at),
        "connected_at": moment(grant.connected_at),
        "created_at": moment(grant.created_at),
    }


def _ending_rows(tenant_id: str, each: "EndingGrant") -> list[dict[str, object]]:
    grant = each.grant
    return [
        {
            "tenant_id": tenant_id,
            "id": grant.id,
            "workspace_id": grant.workspace_id,
            "name": grant.name,
            "auth_client_id": grant.auth_client_id,
            "auth_client_name": grant.client_name,
            "at": moment(end.at),
            "reason": end.reason.value,
            "basis": end.basis.value,
            "says": end.says,
            "remedy": end.remedy,
            "documentation": end.documentation,
            "last_used_at": moment(grant.last_used_at),
        }
        for end in each.ends
    ]
