"""Somebody leaves a contract while being put to use in it, and things are deleted twice at once (contract 9, 10, 12).

Each row is played on both databases, with the first of the two stopped in mid-transaction.
"""

import asyncio
from typing import Any

import pytest

from keyrack.store.components import ComponentRows
from keyrack.store.contracts import ContractMembers
from keyrack.store.flows import FlowRows
from keyrack.store.teams import TeamRows
from keyrack.store.workspaces import WorkspaceMembers
from support.app import Request, TenantInTest, World, error_of, relationship
from support.flows import site
from support.waits_and_faults import Pause, in_turn, is_waiting

JOINING: dict[str, tuple[type, int, int]] = {
    "workspace member": (WorkspaceMembers, 200, 404),
    "workspace": (WorkspaceMembers, 200, 403),
    "team member": (TeamRows, 200, 404),
    "team": (TeamRows, 201, 403),
}
"""By what is joined: what takes part in it, the status of success, and the status after having left."""

LET_IN = {("postgresql", "team"): 201}
"""The status after having left where that is not asked again. Whoever makes a team need not be in the contract, but
have the permission when it is asked for: on SQLite after the wait for the writer before, on PostgreSQL at once."""


def joining(acme: TenantInTest, what: str) -> Request:
    """Make an own place for the integrator, or let the integrator in."""
    who, of_contract = acme.integrator, {"contract": relationship("contract", acme.contract_id)}
    workspace = {"type": "workspace", "attributes": {"name": "New"}, "relationships": of_contract}
    requests: dict[str, tuple[str, dict[str, Any]]] = {
        "workspace member": (
            f"/v2/workspaces/{acme.workspace_id}/members",
            {"type": "member", "id": who.id, "attributes": {"roles": ["guest"]}},
        ),
        "workspace": ("/v2/workspaces", workspace),
        "team member": (f"/v2/teams/{acme.team_id}/relationships/members", {"type": "user", "id": who.id}),
        "team": ("/v2/teams", {"type": "team", "relationships": of_contract}),
    }
    path, data = requests[what]
    return (acme.admin if "member" in what else who).post(path, {"data": data})


async def prepared(world: World) -> TenantInTest:
    """The integrator may create teams and workspaces, and is in no workspace."""
    acme = world.tenants["Acme"]
    async with world.store.unit(acme.id, writes=True) as unit:
        await ContractMembers(unit).change(acme.contract_id, acme.integrator.id, ["admin"])
        await WorkspaceMembers(unit).remove(acme.workspace_id, acme.integrator.id)
    return acme


async def left_behind(world: World, acme: TenantInTest) -> list[str]:
    """Return the workspaces and teams that the integrator is in without being in the contract."""
    async with world.store.unit(acme.id) as unit:
        assert await ContractMembers(unit).roles(acme.contract_id, acme.integrator.id) is None
        joined = list(await WorkspaceMembers(unit).joined(acme.contract_id, acme.integrator.id))
        teams, _ = await TeamRows(unit).page(acme.contract_id)
    return joined + [team.id for team in teams if acme.integrator.id in team.user_ids]


@pytest.mark.parametrize("what", JOINING)
async def test_who_leaves_a_contract_meanwhile_is_left_in_nothing_of_it(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    acme = await prepared(keyrack_on_each)
    owner, status, _ = JOINING[what]
    path = f"/v2/contracts/{acme.contract_id}/members/{acme.integrator.id}"
    first, leaving = await in_turn(
        monkeypatch,
        (owner, "add" if owner is WorkspaceMembers else "add_member"),
        joining(acme, what),
        acme.admin.delete(path),
    )
    assert first.status_code == status
    assert leaving.status_code == 204
    assert await left_behind(keyrack_on_each, acme) == []


@pytest.mark.parametrize("what", JOINING)
async def test_who_has_just_left_a_contract_joins_nothing_of_it(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    acme = await prepared(keyrack_on_each)
    path = f"/v2/contracts/{acme.contract_id}/members/{acme.integrator.id}"
    leaving, answer = await in_turn(
        monkeypatch, (ContractMembers, "remove"), acme.admin.delete(path), joining(acme, what)
    )
    assert leaving.status_code == 204
    async with keyrack_on_each.store.unit(acme.id) as unit:
        teams, _ = await TeamRows(unit).page(acme.contract_id)
        status = LET_IN.get((unit.connection.dialect.name, what), JOINING[what][2])
    assert answer.status_code == status, answer.text
    assert len(teams) == 1 + (status == 201)
    assert await left_behind(keyrack_on_each, acme) == []


@pytest.mark.parametrize("what", ["flow", "component", "workspace member"])
async def test_what_is_deleted_twice_at_once_is_deleted_once(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    owners: dict[str, tuple[type, str]] = {
        "flow": (FlowRows, f"/v2/flows/{(await site(keyrack_on_each, acme, 'own')).flow_id}"),
        "component": (ComponentRows, f"/v2/components/{await keyrack_on_each.add_component(acme, 'spare')}"),
        "workspace member": (WorkspaceMembers, f"/v2/workspaces/{acme.workspace_id}/members/{acme.guest.id}"),
    }
    owner, path = owners[what]
    pause = Pause(monkeypatch, owner, "remove")
    first = asyncio.create_task(acme.admin.delete(path))
    await pause.reached.wait()
    second = asyncio.create_task(acme.admin.delete(path))
    await is_waiting(second)  # or done already, where the row itself settles it
    pause.release()
    answers = sorted([await first, await second], key=lambda answer: answer.status_code)
    assert answers[0].status_code == 204
    assert error_of(answers[1])[:2] == (404, "not_found")
    listed = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?page[size]=1000")).json()["data"]
    actions = [event["attributes"]["action"] for event in listed if event["attributes"]["outcome"] == "allowed"]
    ends = {"flow": "flow.delete", "component": "component.delete", "workspace member": "workspace-member.remove"}
    assert actions.count(ends[what]) == 1


async def test_a_change_of_a_member_who_is_being_removed_finds_none(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    path = f"/v2/workspaces/{acme.workspace_id}/members/{acme.guest.id}"
    body = {"data": {"type": "member", "attributes": {"roles": ["admin"]}}}
    removing, changing = await in_turn(
        monkeypatch, (WorkspaceMembers, "remove"), acme.admin.delete(path), acme.admin.patch(path, body)
    )
    assert removing.status_code == 204
    assert error_of(changing)[:2] == (404, "not_found")


def arriving(acme: TenantInTest, invite_id: str | None) -> Request:
    """Let the stranger become a member of the contract, added or invited."""
    if invite_id is not None:
        return acme.stranger.post(f"/v2/users/me/invites/{invite_id}/accept")
    data = {"type": "contract-member", "id": acme.stranger.id, "attributes": {"roles": ["member"]}}
    return acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", {"data": data})


async def with_one_owner(world: World, how: str) -> tuple[TenantInTest, str, str | None]:
    """Leave nobody but the owner in the contract; return the owner's path and the stranger's invite, if any."""
    acme = world.tenants["Acme"]
    members, invite_id = f"/v2/contracts/{acme.contract_id}/members", None
    for who in (acme.guest, acme.integrator):
        assert (await acme.admin.delete(f"{members}/{who.id}")).status_code == 204
    if how == "invited":
        attributes = {"email": acme.stranger.name, "roles": ["member"]}
        data = {"type": "contract-invite", "attributes": attributes}
        made = await acme.admin.post(f"/v2/contracts/{acme.contract_id}/invites", {"data": data})
        invite_id = made.json()["data"]["id"]
    return acme, f"{members}/{acme.admin.id}", invite_id


@pytest.mark.parametrize("how", ["added", "invited"])
async def test_the_last_owner_stays_with_who_comes_at_that_moment(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    acme, owner, invite_id = await with_one_owner(keyrack_on_each, how)
    coming, leaving = await in_turn(
        monkeypatch, (ContractMembers, "add"), arriving(acme, invite_id), acme.admin.delete(owner)
    )
    assert coming.status_code == 200
    assert error_of(leaving)[:2] == (409, "state_conflict")


@pytest.mark.parametrize("how", ["added", "invited"])
async def test_nobody_comes_into_a_contract_that_its_owner_has_just_left(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    acme, owner, invite_id = await with_one_owner(keyrack_on_each, how)
    leaving, coming = await in_turn(
        monkeypatch, (ContractMembers, "remove"), acme.admin.delete(owner), arriving(acme, invite_id)
    )
    assert leaving.status_code == 204
    assert error_of(coming)[:2] == (409, "state_conflict"), "the first member must be an owner"
