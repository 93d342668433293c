"""Whoever loses a key or a permission stops reading secrets within a second, in every process."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Executable, delete, select, text, update

from keyrack.ids import new_id
from keyrack.service.authz.permissions import DEFAULT_ROLES
from keyrack.store import schema as t
from keyrack.store.tenants import TenantRows
from keyrack.store.workspaces import WorkspaceMembers
from support.app import Caller, TenantInTest, World
from support.flows import Site, site, step_of
from support.grants import add_auth_client, add_secret
from support.hot import Pair, Seen, hot
from support.keyrack_processes import Server, environment

NOBODY_LISTENS = "http://127.0.0.1:8/token"
WITHIN = 1.0
Taking = Callable[[World, TenantInTest], Awaitable[None]]


async def _run(world: World, statement: Executable) -> None:
    async with world.store.installation(writes=True) as unit:
        await unit.connection.execute(statement)


async def revoke_key(world: World, acme: TenantInTest) -> None:
    await _run(world, delete(t.api_keys).where(t.api_keys.c.user_id == acme.integrator.id))


async def leave_workspace(world: World, acme: TenantInTest) -> None:
    await _run(world, delete(t.workspace_members).where(t.workspace_members.c.user_id == acme.integrator.id))


async def change_roles(world: World, acme: TenantInTest) -> None:
    mine = t.workspace_members.c.user_id == acme.integrator.id
    await _run(world, update(t.workspace_members).where(mine).values(roles=["nothing"]))


async def change_policy(world: World, acme: TenantInTest) -> None:
    mine = (t.roles.c.tenant_id == acme.id, t.roles.c.scope == "workspaces", t.roles.c.role == "integrator")
    await _run(world, update(t.roles).where(*mine).values(permissions=[]))


async def replace_policy(world: World, acme: TenantInTest) -> None:
    path = f"/v2/tenants/{acme.id}/roles"
    shown = (await world.support.get(path)).json()["data"]["attributes"]["roles"]
    roles = [role | ({"permissions": []} if role["role"] == "integrator" else {}) for role in shown]
    body = {"data": {"type": "tenant-policy", "attributes": {"roles": roles}}}
    assert (await world.support.patch(path, body)).status_code == 200


async def remove_user(world: World, acme: TenantInTest) -> None:
    await _run(world, delete(t.users).where(t.users.c.id == acme.integrator.id))


async def delete_user(world: World, acme: TenantInTest) -> None:
    assert (await acme.admin.delete(f"/v2/users/{acme.integrator.id}")).status_code == 204
    del world


async def rename_user(world: World, acme: TenantInTest) -> None:
    mine = t.users.c.id == acme.integrator.id
    await _run(world, update(t.users).where(mine).values(email="x@x.example", email_key="x@x.example"))


async def expire_key(world: World, acme: TenantInTest) -> None:
    mine, now = t.api_keys.c.user_id == acme.integrator.id, world.store.clock()
    await _run(world, update(t.api_keys).where(mine).values(expires_at=now))


async def leave_contract(world: World, acme: TenantInTest) -> None:
    path = f"/v2/contracts/{acme.contract_id}/members/{acme.integrator.id}"
    assert (await acme.admin.delete(path)).status_code == 204
    del world


async def replace_token(world: World, acme: TenantInTest) -> None:
    body = {"data": {"type": "auth-secret", "attributes": {"credentials": {"access_token": "new"}}}}
    assert (await acme.admin.patch(await _path(world, acme), body)).status_code == 200


async def delete_secret(world: World, acme: TenantInTest) -> None:
    assert (await acme.admin.delete(await _path(world, acme))).status_code == 204


async def delete_workspace(world: World, acme: TenantInTest) -> None:
    assert (await acme.admin.delete(f"/v2/workspaces/{acme.workspace_id}")).status_code == 204
    del world


async def delete_contract(world: World, acme: TenantInTest) -> None:
    assert (await acme.admin.delete(f"/v2/contracts/{acme.contract_id}")).status_code == 204
    del world


async def delete_tenant(world: World, acme: TenantInTest) -> None:
    await delete_contract(world, acme)
    assert (await world.support.delete(f"/v2/tenants/{acme.id}")).status_code == 204


async def _path(world: World, acme: TenantInTest) -> str:
    async with world.store.installation() as unit:
        in_it = t.auth_secrets.c.workspace_id == acme.workspace_id
        secret_id = (await unit.connection.execute(select(t.auth_secrets.c.id).where(in_it))).scalar_one()
    return f"/v2/workspaces/{acme.workspace_id}/secrets/{secret_id}"


TAKING = [
    revoke_key,
    leave_workspace,
    leave_contract,
    expire_key,
    change_roles,
    change_policy,
    replace_policy,
    remove_user,
    delete_user,
    rename_user,
]

FOR_ALL = [replace_token, delete_secret, delete_workspace, delete_contract, delete_tenant]
"""What takes the token away from everybody."""

UNKNOWN = {revoke_key, expire_key, remove_user, delete_user, rename_user}
"""After these nobody knows the caller; after the others it may not."""


async def secret_of(world: World, tenant: TenantInTest) -> str:
    client = await add_auth_client(world.store, tenant.id, NOBODY_LISTENS)
    secret = await add_secret(world.store, tenant, client, {"access_token": "at", "refresh_token": "rt"})
    return f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"


class Replicas:
    """Two `keyrack serve` on the world's database."""

    def __init__(self, world: World, servers: list[Server]) -> None:
        self.world = world
        self.servers = servers

    async def reads(self, who: Caller, path: str) -> list[bool]:
        """Tell for each process whether a caller gets the access token."""
        found = []
        for server in self.servers:
            async with httpx2.AsyncClient() as http:
                answer = await http.get(f"{server.base}{path}", headers=who.headers)
            assert answer.status_code in (200, 401, 403, 404), answer.text
            found.append(answer.status_code == 200 and '"access_token":"at' in answer.text)
        return found


@pytest.fixture
def replicas(keyrack_on_each: World, tmp_path: Path) -> Iterator[Replicas]:
    env = environment(keyrack_on_each.settings, log_level="error")
    servers = [Server(env, tmp_path / f"server{number}.log", "--no-worker") for number in (1, 2)]
    try:
        for server in servers:
            server.wait_until_ready()
        yield Replicas(keyrack_on_each, servers)
    finally:
        for server in servers:
            server.stop()


@pytest.mark.parametrize("told", [True, False])
async def test_two_processes_learn_within_a_second(replicas: Replicas, *, told: bool) -> None:
    """Remembered, used, then taken away by a third process; every way at once, with a tenant for each."""
    async with nullcontext() if told else nobody_listens(replicas.world):
        await asyncio.gather(
            *(_is_learnt(replicas, take) for take in TAKING + FOR_ALL),
            *(_ends_with_its_flow(replicas, name, *how) for name, how in STEP_ENDS.items()),
        )


@asynccontextmanager
async def nobody_listens(world: World) -> AsyncIterator[None]:
    """End every connection that listens, again and again; on SQLite nobody does anyway."""
    ended = 0

    async def end_them() -> None:
        nonlocal ended
        listening = text(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND (query ILIKE 'LISTEN%' OR query LIKE 'SELECT 1%')"
        )
        while True:
            async with world.store.installation() as unit:
                ended += (await unit.connection.execute(listening)).scalar_one()
            await asyncio.sleep(0.02)

    if world.settings.database_url is None:
        yield
        return
    ending = asyncio.create_task(end_them())
    try:
        yield
    finally:
        ending.cancel()
        with suppress(asyncio.CancelledError):
            await ending
    assert ended >= len(("the first", "the second")), "each process had one"


STEP_ENDS = {
    "flow stopped": ("POST", "/v2/flows/{flow_id}/stop", 202),
    "contract suspended": ("POST", "/v2/contracts/{contract_id}/suspend", 202),
}


async def _ends_with_its_flow(replicas: Replicas, name: str, *how: Any) -> None:
    world = replicas.world
    tenant = await world.add_tenant(name.replace(" ", "-"))
    place = await site(world, tenant, tenant.id)
    step = await step_of(world, place.flow_id)
    path = f"/v2/workspaces/{place.workspace_id}/secrets/{place.secret_id}"
    await _is_gone(replicas, step, path, partial(_end, tenant.admin, place, *how))


async def _end(admin: Caller, place: Site, method: str, path: str, status: int) -> None:
    assert (await admin.call(method, path.format(**place.ids))).status_code == status


async def _is_learnt(replicas: Replicas, take: Taking) -> None:
    world = replicas.world
    tenant = await world.add_tenant(f"T{new_id()}")
    path = await secret_of(world, tenant)
    await _is_gone(replicas, tenant.integrator, path, lambda: take(world, tenant))
    if take not in FOR_ALL:
        assert await replicas.reads(tenant.admin, path) == [True, True], "a bystander goes on"


async def _is_gone(replicas: Replicas, who: Caller, path: str, end: Callable[[], Awaitable[None]]) -> None:
    for _ in range(3):
        assert await replicas.reads(who, path) == [True, True]
    await end()
    taken = asked = time.monotonic()
    # read on without a pause: what is used all the time must not live on
    while any(await replicas.reads(who, path)):
        assert asked - taken <= WITHIN, f"read {asked - taken:.2f} s after"
        asked = time.monotonic()


@pytest.fixture
async def pair(keyrack_on_each: World) -> AsyncIterator[Pair]:
    async with hot(keyrack_on_each) as made:
        yield made


async def last_seen(pair: Pair, who: Caller, path: str, status: int) -> Seen:
    """Ask until something else than a status comes; what was asked more than a second after now must be it."""
    taken = asked = time.monotonic()
    while (seen := await pair.seen(who, path)).status == status:
        assert asked - taken <= WITHIN
        asked = time.monotonic()
    return seen


@pytest.mark.parametrize("take", TAKING)
async def test_what_is_remembered_is_forgotten_when_it_is_taken_away(pair: Pair, take: Taking) -> None:
    world, acme = pair.world, pair.world.tenants["Acme"]
    path = await secret_of(world, acme)
    await pair.seen(acme.integrator, path)
    assert not (await pair.seen(acme.integrator, path)).by_framework
    await take(world, acme)
    seen = await last_seen(pair, acme.integrator, path, 200)
    assert seen.status == (401 if take in UNKNOWN else 403)
    assert b"access_token" not in seen.body


async def test_a_refusal_is_never_remembered(pair: Pair) -> None:
    world, acme = pair.world, pair.world.tenants["Acme"]
    path = await secret_of(world, acme)
    await leave_workspace(world, acme)
    assert (await pair.seen(acme.integrator, path)).status == 403
    async with world.store.unit(acme.id, writes=True) as unit:
        await WorkspaceMembers(unit).add(acme.workspace_id, acme.integrator.id, ["integrator"])
    assert (await pair.seen(acme.integrator, path)).status == 200


ENDS = {
    "flow stopped": ("POST", "/v2/flows/{flow_id}/stop", 202),
    "flow deleted": ("DELETE", "/v2/flows/{flow_id}", 204),
    "contract suspended": ("POST", "/v2/contracts/{contract_id}/suspend", 202),
    "workspace deleted": ("DELETE", "/v2/workspaces/{workspace_id}", 204),
    "contract deleted": ("DELETE", "/v2/contracts/{contract_id}", 204),
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_running_step_is_remembered_until_its_flow_ends(pair: Pair, end: str) -> None:  # 0.16, 9, 22
    world, acme = pair.world, pair.world.tenants["Acme"]
    place = await site(world, acme, "steps")
    step = await step_of(world, place.flow_id)
    path = f"/v2/workspaces/{place.workspace_id}/secrets/{place.secret_id}"
    await pair.seen(step, path)
    assert not (await pair.seen(step, path)).by_framework
    method, how, status = ENDS[end]
    assert (await acme.admin.call(method, how.format(**place.ids))).status_code == status
    seen = await last_seen(pair, step, path, 200)
    assert b"access_token" not in seen.body
    seen = await last_seen(pair, step, path, seen.status if seen.status != 401 else 200)
    assert seen.status == 401, "the secret may be gone before the key is forgotten"


@pytest.mark.parametrize("what", ["workspace", "contract"])
async def test_a_secret_that_went_with_its_place_is_not_read_again(pair: Pair, what: str) -> None:  # 22
    world, acme = pair.world, pair.world.tenants["Acme"]
    path = await secret_of(world, acme)
    await pair.seen(acme.integrator, path)
    assert not (await pair.seen(acme.integrator, path)).by_framework
    identifier = acme.workspace_id if what == "workspace" else acme.contract_id
    assert (await acme.admin.delete(f"/v2/{what}s/{identifier}")).status_code == 204
    assert (await pair.seen(acme.integrator, path)).status == 404


async def test_a_deleted_tenants_people_are_forgotten(pair: Pair) -> None:  # section 7
    world, acme = pair.world, pair.world.tenants["Acme"]
    async with world.store.installation(writes=True) as unit:
        made = await TenantRows(unit).add("Empty", "empty.example", {}, DEFAULT_ROLES)
    person, path = await world.add_user(made.id, "p@empty.example"), await secret_of(world, acme)
    for _ in range(2):
        assert (await pair.seen(person, path)).status == 403, "known, and not allowed"
    assert (await world.support.delete(f"/v2/tenants/{made.id}")).status_code == 204
    assert (await last_seen(pair, person, path, 403)).status == 401
