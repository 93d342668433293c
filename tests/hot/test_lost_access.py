"""Whoever loses a key or a permission stops reading secrets within a second, in every process."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Executable, delete, update

from keyrack.service.authz.permissions import DEFAULT_ROLES
from keyrack.store import schema as t
from keyrack.store.tenants import TenantRows
from keyrack.store.workspaces import WorkspaceMembers
from support.app import Caller, TenantInTest, World
from support.flows import site, step_of
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


TAKING = [
    revoke_key,
    leave_workspace,
    change_roles,
    change_policy,
    replace_policy,
    remove_user,
    delete_user,
    rename_user,
]

UNKNOWN = {revoke_key, remove_user, delete_user, rename_user}
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
            found.append(answer.status_code == 200 and "access_token" in answer.text)
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


async def test_two_processes_learn_within_a_second(replicas: Replicas) -> None:
    """Remembered, used, then taken away by a third process; every way after the other, with a user for each."""
    world = replicas.world
    for number, take in enumerate(TAKING):
        tenant = await world.add_tenant(f"T{number}")
        path = await secret_of(world, tenant)
        bystander = tenant.admin
        for _ in range(3):
            assert await replicas.reads(tenant.integrator, path) == [True, True]
        await take(world, tenant)
        taken = asked = time.monotonic()
        # read on without a pause: what is used all the time must not live on
        while any(await replicas.reads(tenant.integrator, path)):
            assert asked - taken <= WITHIN, f"{take.__name__}: read {asked - taken:.2f} s after"
            asked = time.monotonic()
        assert await replicas.reads(bystander, path) == [True, True]


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
