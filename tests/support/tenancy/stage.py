"""Two tenants with one of everything, the callers of the table, and what is seen of both: rows and statements."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx2
from litestar.routes import HTTPRoute
from sqlalchemy import update

from keyrack import clock
from keyrack.store.schema import api_keys, metadata
from keyrack.store.teams import TeamRows
from keyrack.store.users import UserRows
from support.app import Caller, World
from support.flows import PLAIN, Place, add_contract, flow_body, step_of
from support.secrets import resource
from support.statements_seen import statements_seen
from support.tenancy.bodies import Ids, body
from support.tenancy.estate import Estate, build_estate
from support.tenancy.table import Row

AUDIT = "audit_events"


class Snapshot:
    """A copy of a world's rows."""

    def __init__(self, world: World) -> None:
        self._path = world.settings.sqlite_path
        self._kept = sqlite3.connect(":memory:")
        with closing(self._connect()) as live:
            live.backup(self._kept)

    def restore(self) -> None:
        """Make the world as it was."""
        with closing(self._connect()) as live:
            self._kept.backup(live)

    def digests(self, *, audit_of: str | None) -> dict[str, str]:
        """Return a digest of each table as it is now; of the audit log only a tenant's part, or nothing."""
        with closing(self._connect()) as live:
            found = {table: _digest(live, table) for table in metadata.tables if table != AUDIT}
            return found | {AUDIT: "" if audit_of is None else _digest(live, AUDIT, audit_of)}

    def close(self) -> None:
        """Forget the copy."""
        self._kept.close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30)


@contextmanager
def snapshot(world: World) -> Iterator[Snapshot]:
    """Keep a copy of a world's rows while the block runs."""
    kept = Snapshot(world)
    try:
        yield kept
    finally:
        kept.close()


def _digest(live: sqlite3.Connection, table: str, tenant_id: str | None = None) -> str:
    query = f'SELECT * FROM "{table}"'
    found = live.execute(query) if tenant_id is None else live.execute(f"{query} WHERE tenant_id = ?", (tenant_id,))
    rows = sorted(repr(row) for row in found)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


@contextmanager
def statements() -> Iterator[list[str]]:
    """Gather the statements of everything that happens in the block; values are parameters, so not in them.

    Without the look at data keys, which whoever comes first in a second takes for all.
    """
    gathered: list[str] = []

    def seen(_connection: Any, text: str, _values: Any) -> None:
        if "FROM data_keys" not in text:
            gathered.append(text)

    with statements_seen(seen):
        yield gathered


class NoKey(Caller):
    """Somebody who sends no credentials."""

    @property
    def headers(self) -> dict[str, str]:
        return {}


async def build_callers(world: World, mine: Estate, other: Estate) -> dict[str, Caller]:
    """Return the callers by the letters of the table's columns.

    Args:
        world: the installation.
        mine: whose resources are asked for.
        other: another tenant's.
    """
    tenant = mine.tenant
    near = await add_contract(world, tenant, "near")
    return {
        "T": mine.people["admin"],
        "D": mine.people["developer"],
        "O": mine.people["owner"],
        "I": tenant.integrator,
        "G": tenant.guest,
        "S": tenant.stranger,
        "N": near.member,
        "s": await step_of(world, mine.ids["flow_id"]),
        "n": await _step_in(world, near, mine),
        "B": other.tenant.admin,
        "b": await step_of(world, other.ids["flow_id"]),
        "V": world.support,
        "v": await world.add_service_account(),
    }


async def _step_in(world: World, place: Place, estate: Estate) -> Caller:
    name = f"{estate.ids['team_name']}-near"
    async with world.store.unit(estate.tenant.id, writes=True) as unit:
        team_id = await TeamRows(unit).add(place.contract_id, name)
    owner = replace(estate.tenant, contract_id=place.contract_id, team_id=team_id)
    await world.add_component(owner, "own", PLAIN)
    flow = flow_body(place.workspace_id, f"{name}/own:due")
    flow_id = resource(await place.member.post("/v2/flows", flow), 201)["id"]
    resource(await place.member.post(f"/v2/flows/{flow_id}/start"), 202)
    return await step_of(world, flow_id)


async def build_locked_out(world: World, estate: Estate) -> dict[str, Caller]:
    """Return callers whose keys are good for nothing, by what is wrong with them."""
    tenant = estate.tenant
    names = ("expired key", "revoked key", "deleted user")
    people = {name: await world.add_user(tenant.id, f"{name.replace(' ', '-')}@locked.example") for name in names}
    past = clock.now() - timedelta(seconds=1)
    async with world.store.installation(writes=True) as unit:
        keys = update(api_keys).where(api_keys.c.user_id == people["expired key"].id)
        await unit.connection.execute(keys.values(expires_at=past))
    leaving = people["revoked key"]
    (key,) = (await leaving.get("/v2/users/me/api-keys")).json()["data"]
    assert (await leaving.delete(f"/v2/users/me/api-keys/{key['id']}")).status_code == 204
    async with world.store.unit(tenant.id, writes=True) as unit:
        await UserRows(unit).remove(people["deleted user"].id)
    good = tenant.admin
    people["wrong key"] = Caller(world.http, good.name, "A" * 43)
    people["another's key"] = Caller(world.http, good.name, tenant.integrator.api_key)
    people["no key"] = NoKey(world.http, "", "")
    return people


@dataclass(frozen=True)
class Stage:
    """What is there.

    Attributes:
        world: the installation.
        mine: the tenant whose resources the table is about.
        other: another tenant.
        callers: by the letters of the table's columns.
        locked_out: callers without a good key, by what is wrong with it.
        snapshot: the rows of the installation as they were at first.
    """

    world: World
    mine: Estate
    other: Estate
    callers: dict[str, Caller]
    locked_out: dict[str, Caller]
    snapshot: Snapshot

    def routes(self) -> set[tuple[str, str]]:
        """Return method and path of all routes, from the application itself: /openapi.json leaves some out."""
        app = self.world.litestar
        return {
            (method, route.path_format)
            for route in app.routes
            if isinstance(route, HTTPRoute)
            for method in route.methods - {"OPTIONS", "HEAD"}
        }


@contextmanager
def _kept(world: World, made: tuple[Estate, Estate, dict[str, Caller], dict[str, Caller]]) -> Iterator[Stage]:
    with snapshot(world) as rows:
        yield Stage(world, *made, rows)


async def build_stage(world: World) -> Any:
    """Fill both tenants of a world; return the stage as a context, which ends it."""
    mine, other = await build_estate(world, "Acme"), await build_estate(world, "Globex")
    callers = await build_callers(world, mine, other)
    return _kept(world, (mine, other, callers, await build_locked_out(world, mine)))


async def ask(who: Caller, row: Row, ids: Ids) -> httpx2.Response:
    """Send the request of a row, about the resources that `ids` name."""
    return await who.call(row.method, row.path.format_map(ids), body(row.method, row.path, ids))
