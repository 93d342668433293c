"""Tenants with people, documents and events, put into a database without going over the API."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text

from bench.secrets_stored import Stored, series
from keyrack.model.events import DeliveryState, EventType
from keyrack.model.identity import PrincipalKind
from keyrack.model.tenancy import WorkspaceType
from keyrack.service.authz.permissions import DEFAULT_ROLES, TENANT_ADMIN
from keyrack.service.identity.authentication import key_hash, new_api_key
from keyrack.service.tenancy.tenants import first_attributes
from keyrack.store.accounts import ApiKeys
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.core.store import Store
from keyrack.store.deliveries import Deliveries
from keyrack.store.outbox import Outbox
from keyrack.store.schema import api_keys, auth_secrets, contracts, deliveries, tenants, users, workspaces
from keyrack.store.teams import TeamRows
from keyrack.store.tenants import TenantRows
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows

LATER = timedelta(days=1)
"""How far ahead work is stored that `make_due` lets fall due."""


async def add_tenant(store: Store, stored: Stored, name: str) -> Stored:
    """Store a tenant as `keyrack bootstrap` makes the first: a contract, a workspace, a team, and their admin."""
    key, email = new_api_key(), f"admin@{name}.example"
    async with store.installation(writes=True) as unit:
        tenant = await TenantRows(unit).add(name, f"{name}.example", first_attributes(), DEFAULT_ROLES)
    async with store.unit(tenant.id, writes=True) as unit:
        contract_id = await ContractRows(unit).add(name, [], {}, None)
        workspace = await WorkspaceRows(unit).add(contract_id, name, WorkspaceType.full, {})
        team_id = await TeamRows(unit).add(contract_id, name)
        user = await UserRows(unit).add(email, "First", "Admin", tenant_roles=[TENANT_ADMIN])
        await ApiKeys(unit).add(PrincipalKind.user, user.id, "bench", key_hash(key), None)
        await ContractMembers(unit).add(contract_id, user.id, ["owner", "admin"])
        await WorkspaceMembers(unit).add(workspace.id, user.id, ["owner"])
    admin = {"user_id": user.id, "email": email, "api_key": key.reveal()}
    ids = {"tenant_id": tenant.id, "contract_id": contract_id, "workspace_id": workspace.id, "team_id": team_id}
    return replace(stored, first={**ids, "admin": admin})


async def multiply_tenants(store: Store, stored: Stored, count: int) -> None:
    """Copy a tenant `count` times: it, its contracts, workspaces, people and API keys, which nobody knows."""
    copied = {
        tenants: {"app_domain": "'t' || {n} || '.example'", "is_default": "NULL"},
        contracts: {},
        workspaces: {"contract_id": "'f' || {n}"},
        users: {"email": "'u' || {n} || '@t.example'", "email_key": "'u' || {n} || '@t.example'"},
        api_keys: {"user_id": "'f' || {n}", "key_hash": "'k' || {n}"},
    }
    async with store.installation(writes=True) as unit:
        numbers, hexadecimal = series(unit)
        for table, changed in copied.items():
            values = {"id": "'f' || {n}", "tenant_id": "'f' || {n}", **changed}
            columns = ", ".join(column.name for column in table.c)
            chosen = ", ".join(values.get(column.name, column.name) for column in table.c).format(n=hexadecimal)
            which = (
                "user_id IS NOT NULL"
                if table is api_keys
                else ("id" if table is tenants else "tenant_id") + " = :tenant"
            )
            await unit.connection.execute(
                text(
                    f"INSERT INTO {table.name} ({columns})"
                    f" SELECT {chosen} FROM {numbers}, (SELECT * FROM {table.name} WHERE {which} LIMIT 1) AS made"
                ),
                {"least": 0, "most": count - 1, "tenant": stored.first["tenant_id"]},
            )
        await unit.connection.execute(text("ANALYZE"))


async def add_contracts(store: Store, tenant: Stored, count: int, custom_bytes: int) -> None:
    """Store contracts with custom data of a size, whose owner is the tenant's admin."""
    async with store.unit(tenant.first["tenant_id"], writes=True) as unit:
        for number in range(count):
            custom = {"notes": "x" * custom_bytes}
            contract_id = await ContractRows(unit).add(f"Contract {number}", [], {}, custom)
            await ContractMembers(unit).add(contract_id, tenant.first["admin"]["user_id"], ["owner"])


async def add_events(store: Store, tenant: Stored, webhook_id: str, due: Sequence[datetime]) -> list[str]:
    """Store events on their way to a webhook, to be delivered at these times; return their ids."""
    made = []
    async with store.unit(tenant.first["tenant_id"], writes=True) as unit:
        for moment in due:
            event_id = await Outbox(unit).record(EventType.secret_failed, {"secret_id": "0" * 24})
            values = {"webhook_id": webhook_id, "event_id": event_id, "state": DeliveryState.pending.value}
            more = {"attempts": 0, "due_at": moment, "created_at": datetime.now(UTC)}
            await Deliveries(unit).insert(values | more)
            made.append(event_id)
    return made


async def make_due(store: Store, tenants: Sequence[Stored], sooner: timedelta) -> None:
    """Move what tenants have due after half of `LATER` towards now."""
    values = {"sooner": sooner // timedelta(milliseconds=1)}
    values["after"] = int((datetime.now(UTC) + LATER / 2).timestamp() * 1000)
    for tenant in tenants:
        async with store.unit(tenant.first["tenant_id"], writes=True) as unit:
            for table in (auth_secrets, deliveries):
                moved = (
                    f"UPDATE {table.name} SET due_at = due_at - :sooner WHERE due_at > :after AND tenant_id = :tenant"
                )
                await unit.connection.execute(text(moved), values | {"tenant": tenant.first["tenant_id"]})


async def refreshed(store: Store, tenant: Stored, secret_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when secrets were refreshed that have been."""
    s = auth_secrets.c
    query = select(s.id, s.refreshed_at).where(s.id.in_(secret_ids), s.refreshed_at.is_not(None))
    async with store.unit(tenant.first["tenant_id"]) as unit:
        return {row.id: row.refreshed_at for row in (await unit.connection.execute(query)).all()}


async def delivered(store: Store, tenant: Stored, event_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when events were delivered that have been."""
    d = deliveries.c
    query = select(d.event_id, d.finished_at).where(d.event_id.in_(event_ids), d.state == DeliveryState.delivered.value)
    async with store.unit(tenant.first["tenant_id"]) as unit:
        return {row.event_id: row.finished_at for row in (await unit.connection.execute(query)).all()}


async def remove_tenants(store: Store, but: Stored) -> None:
    """Delete every tenant but one, with all it has."""
    async with store.installation(writes=True) as unit:
        await unit.connection.execute(text("DELETE FROM tenants WHERE id <> :id"), {"id": but.first["tenant_id"]})
