"""The callers that are the columns of the table."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from keyrack import clock
from keyrack.store.schema import api_keys
from keyrack.store.teams import TeamRows
from keyrack.store.users import UserRows
from support.app import Caller, World
from support.estate import Place, add_contract
from support.flows import flow_body
from support.secrets import resource
from support.task_users import PLAIN, step_of
from support.tenancy.estate import Estate


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
