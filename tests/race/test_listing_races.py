"""A list that is read while something in it is deleted is a list without it (contract sections 4, 9 and 10)."""

import asyncio

import pytest

from keyrack.store.contracts import ContractMembers
from keyrack.store.directory import Directory
from keyrack.store.role_assignments import RoleAssignments
from support.app import World
from support.flows import add_contract
from support.waits_and_faults import Pause


@pytest.mark.parametrize("kind", ["contract", "workspace"])
async def test_a_service_accounts_list_outlives_what_is_in_it(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    place = await add_contract(world, acme, "brief")
    gone = {"contract": place.contract_id, "workspace": place.workspace_id}[kind]
    path = f"/v2/{kind}s?page[size]=1000"
    before = [each["id"] for each in (await world.support.get(path)).json()["data"]]
    pause = Pause(monkeypatch, Directory, "place")  # which finds each one that was listed
    listing = asyncio.create_task(world.support.get(path))
    await pause.reached.wait()
    deleted = await (acme.admin if kind == "contract" else place.member).delete(f"/v2/{kind}s/{gone}")
    assert deleted.status_code == 204
    pause.release()
    answer = await listing
    assert answer.status_code == 200, answer.text
    assert [each["id"] for each in answer.json()["data"]] == [each for each in before if each != gone]


async def test_a_users_list_of_workspaces_outlives_a_contract_of_the_user(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    place = await add_contract(world, acme, "brief")
    async with world.store.unit(acme.id, writes=True) as unit:
        await ContractMembers(unit).add(place.contract_id, acme.integrator.id, ["admin"])
    pause = Pause(
        monkeypatch, RoleAssignments, "everywhere"
    )  # which finds the contracts whose workspaces are all listed
    listing = asyncio.create_task(acme.integrator.get("/v2/workspaces?page[size]=1000"))
    await pause.reached.wait()
    assert (await acme.admin.delete(f"/v2/contracts/{place.contract_id}")).status_code == 204
    pause.release()
    answer = await listing
    assert answer.status_code == 200, answer.text
    listed = {each["id"] for each in answer.json()["data"]}
    assert listed - {place.workspace_id} == {acme.workspace_id}, "SQLite may still see what was there at the start"
    after = await acme.integrator.get("/v2/workspaces?page[size]=1000")
    assert [each["id"] for each in after.json()["data"]] == [acme.workspace_id]
