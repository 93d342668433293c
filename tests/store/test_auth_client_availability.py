"""Which auth clients can be used where (contract 14.1), and the lock that secrets are attached under."""

import asyncio
from dataclasses import dataclass

import pytest

from keyrack import ids
from keyrack.errors import RelatedNotFound
from keyrack.model.clients import AuthClient, ClientFilter
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.authz.access import Access
from keyrack.service.clients.auth_client_availability import (
    available_client,
    available_clients,
    find_available,
    place_of,
)
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.contracts import ContractRows
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.directory import Directory, Location
from support.app import World


@dataclass
class Estate:
    """A client in every scope around Globex' workspace, and some that are elsewhere."""

    around: dict[str, str]
    elsewhere: dict[str, str]
    component_id: str


def client(tenant: str, contract: str | None, workspace: str | None, *components: str) -> AuthClient:
    return AuthClient(ids.new_id(), tenant, contract, workspace, "n", "basic", {"v": 1}, components)


@pytest.fixture
async def estate(keyrack_on_each: World) -> Estate:
    acme, globex = (keyrack_on_each.tenants[name] for name in ("Acme", "Globex"))
    component_id = await keyrack_on_each.add_component(globex, "linked", {"title": "x"})
    async with keyrack_on_each.store.unit(globex.id, writes=True) as unit:
        other_contract = await ContractRows(unit).add("Other", [], {}, None)
    around = {
        "global": client(INSTALLATION, None, None),
        "tenant": client(globex.id, None, None, component_id),
        "contract": client(globex.id, globex.contract_id, None),
        "workspace": client(globex.id, None, globex.workspace_id, component_id),
    }
    elsewhere = {
        "other tenant": client(acme.id, None, None),
        "other contract": client(globex.id, other_contract, None),
        "other workspace": client(acme.id, None, acme.workspace_id),
    }
    for made in (*around.values(), *elsewhere.values()):
        async with keyrack_on_each.store.unit(made.tenant_id, writes=True) as unit:
            await AuthClientRows(unit).add(made, None)
    return Estate({n: c.id for n, c in around.items()}, {n: c.id for n, c in elsewhere.items()}, component_id)


def someone(world: World, tenant: str = "Globex") -> Principal:
    member = world.tenants[tenant].integrator
    return Principal(PrincipalKind.user, member.id, member.name, world.tenants[tenant].id)


async def test_a_workspace_has_its_own_its_contracts_its_tenants_and_global_clients(
    keyrack_on_each: World, estate: Estate
) -> None:
    access, globex = Access(keyrack_on_each.store), keyrack_on_each.tenants["Globex"]
    who = someone(keyrack_on_each)
    async with access.workspace(who, globex.workspace_id) as scope:
        assert [c.id for c in (await available_clients(scope))[0]] == sorted(estate.around.values())
        for name, wanted in estate.around.items():
            found = await available_client(scope, wanted)
            assert found.credentials == {"v": 1}, name
            placed = await Directory(scope.unit).auth_client(wanted)
            assert placed == place_of(found, scope.place), name
        for wanted in (*estate.elsewhere.values(), "0" * 24, "nonsense", ""):
            with pytest.raises(RelatedNotFound) as refused:
                await available_client(scope, wanted)
            assert refused.value.problem.pointer == "/data/relationships/auth_client/data/id"
        linked = (await available_clients(scope, ClientFilter(estate.component_id)))[0]
        assert [c.id for c in linked] == [estate.around["tenant"], estate.around["workspace"]]
        assert all(c.component_ids == (estate.component_id,) for c in linked)


async def test_wider_places_have_fewer_clients(keyrack_on_each: World, estate: Estate) -> None:
    access, globex = Access(keyrack_on_each.store), keyrack_on_each.tenants["Globex"]
    who, around = someone(keyrack_on_each), estate.around
    async with access.contract(who, globex.contract_id) as scope:
        wanted = [around["global"], around["tenant"], around["contract"]]
        assert [c.id for c in (await available_clients(scope))[0]] == wanted
        assert await find_available(scope, around["workspace"]) is None
    async with access.tenant(who, globex.id) as scope:
        assert [c.id for c in (await available_clients(scope))[0]] == [around["global"], around["tenant"]]
        assert await find_available(scope, around["contract"]) is None
    async with access.installation(who) as scope:
        assert [c.id for c in (await available_clients(scope))[0]] == [around["global"]]
        assert await find_available(scope, around["tenant"]) is None
        assert await Directory(scope.unit).auth_client(around["global"]) == Location(INSTALLATION)


@pytest.mark.parametrize("which", ["global", "workspace"])
async def test_a_held_client_cannot_be_deleted_under_its_holder(
    keyrack_on_each: World, estate: Estate, which: str
) -> None:
    """The deletion waits until the holder has committed, whatever scope the client has."""
    store, globex = keyrack_on_each.store, keyrack_on_each.tenants["Globex"]
    wanted = estate.around[which]
    steps = []

    async def delete() -> None:
        async with store.unit(INSTALLATION if which == "global" else globex.id, writes=True) as unit:
            await AuthClientRows(unit).lock_to_delete(wanted)
            steps.append("deleting")

    async with Access(store).workspace(someone(keyrack_on_each), globex.workspace_id, "auth-secret.create") as scope:
        assert (await available_client(scope, wanted, held=True)).id == wanted
        scope.audit_target("auth-secret", None)
        deletion = asyncio.create_task(delete())
        await asyncio.sleep(0.3)
        steps.append("attached")
    await deletion
    assert steps == ["attached", "deleting"]
