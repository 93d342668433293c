"""Keys of running steps: who makes them, what they open, when they end. Contract 0.16, 2, 14.1, 18.3, 24.21."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from keyrack.crypto.secret import Secret
from keyrack.model.flows import FlowStatus
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.tenancy import Role
from keyrack.service.authz.access import Access
from keyrack.service.identity.authentication import key_hash
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.flows import FlowRows
from keyrack.store.identities import Identities
from keyrack.store.schema import api_keys, contracts, flows
from keyrack.store.tenants import RolePolicy
from keyrack.store.users import UserRows
from support.app import Caller, World, error_of
from support.flows import Site, site, step_of
from support.grants import connect
from support.secrets import add_client


@pytest.fixture
async def own(keyrack: World) -> Site:
    return await site(keyrack, keyrack.tenants["Globex"], "own")


@pytest.fixture
async def own_on_each(keyrack_on_each: World) -> Site:
    return await site(keyrack_on_each, keyrack_on_each.tenants["Globex"], "own")


async def signed_in(step: Caller) -> int:
    return (await step.get(f"/v2/flows/{step.id}")).status_code


async def keys_of(world: World, flow_id: str) -> int:
    async with world.store.installation() as unit:
        query = select(func.count()).select_from(api_keys).where(api_keys.c.flow_id == flow_id)
        return int((await unit.connection.execute(query)).scalar_one())


async def test_a_key_is_shown_once(keyrack: World, own: Site) -> None:  # 0.16, 0.18
    made = await keyrack.support.post(f"/v2/flows/{own.flow_id}/task-keys")
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    document = made.json()
    api_key = document["data"]["attributes"].pop("api_key")
    assert document == {
        "data": {"type": "task-key", "attributes": {"username": f"task-{own.flow_id}"}},
        "meta": {},
    }
    async with keyrack.store.installation() as unit:
        row = (await unit.connection.execute(select(api_keys).where(api_keys.c.flow_id == own.flow_id))).one()
    assert row.key_hash == key_hash(Secret(api_key))
    assert api_key not in str(row)


async def test_several_keys_of_a_flow_are_good_side_by_side(keyrack: World, own: Site) -> None:  # 0.16
    steps = [await step_of(keyrack, own.flow_id) for _ in range(3)]
    assert len({step.api_key for step in steps}) == 3
    assert [await signed_in(step) for step in steps] == [200, 200, 200]


async def test_who_makes_keys(keyrack: World, own: Site) -> None:  # 0.16, section 3
    globex, path = keyrack.tenants["Globex"], f"/v2/flows/{own.flow_id}/task-keys"
    role = Role("workspaces", "runner", frozenset({"global.task_keys.create"}), {"en": "Runner"})
    tenant_role = Role("tenants", "runner", frozenset({"global.task_keys.create"}), {"en": "Runner"})
    holder = await keyrack.add_user(globex.id, "holder@globex.example", tenant_roles=["runner"])
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        await RolePolicy(unit).replace([*await RolePolicy(unit).list(), role, tenant_role])
        await UserRows(unit).set_tenant_roles(globex.admin.id, ["tenant-admin", "runner"])
    expected = {
        await keyrack.add_service_account("global.task_keys.create"): 201,
        await keyrack.add_service_account("workspaces.flow.edit", "global.runtime_env.get"): 403,
        await keyrack.add_service_account("global.runtime_env.get"): 404,  # it does not see flows
        globex.admin: 403,
        globex.integrator: 403,
        globex.guest: 403,
        holder: 404,
        globex.stranger: 404,
        keyrack.tenants["Acme"].admin: 404,
        await step_of(keyrack, own.flow_id): 403,
    }
    for who, status in expected.items():
        assert (await who.post(path)).status_code == status, who.name
    assert (await keyrack.support.post(f"/v2/flows/{'0' * 24}/task-keys")).status_code == 404


@pytest.mark.parametrize(("content", "status"), [(b"", 201), (b"{}", 201), (b"[]", 400), (b"{", 400)])
async def test_body_is_that_of_an_action(keyrack: World, own: Site, content: bytes, status: int) -> None:  # section 1
    answer = await keyrack.support.call("POST", f"/v2/flows/{own.flow_id}/task-keys", content=content)
    assert answer.status_code == status


async def test_a_flow_that_does_not_run_gets_no_key(keyrack: World, own: Site) -> None:  # 0.16
    await own.user.post(f"/v2/flows/{own.flow_id}/stop")
    answer = await keyrack.support.post(f"/v2/flows/{own.flow_id}/task-keys")
    assert error_of(answer)[:2] == (409, "state_conflict")
    assert await keys_of(keyrack, own.flow_id) == 0


async def test_a_suspended_contract_gets_no_key(keyrack: World, own: Site) -> None:  # section 9, 17
    async with keyrack.store.installation(writes=True) as unit:
        suspended = update(contracts).where(contracts.c.id == own.contract_id).values(status="suspended")
        await unit.connection.execute(suspended)
    answer = await keyrack.support.post(f"/v2/flows/{own.flow_id}/task-keys")
    assert error_of(answer)[:2] == (403, "contract_suspended")


async def test_stopping_revokes_in_the_same_transaction(keyrack_on_each: World, own_on_each: Site) -> None:  # 0.16
    world, flow_id = keyrack_on_each, own_on_each.flow_id
    steps = [await step_of(world, flow_id) for _ in range(2)]
    hashed = key_hash(Secret(steps[0].api_key))
    async with world.store.unit(own_on_each.tenant_id, writes=True) as unit:
        assert await Identities(unit).by_key(hashed, unit.clock()) is not None
        await FlowRows(unit).set_status(flow_id, FlowStatus.inactive)
        assert await Identities(unit).by_key(hashed, unit.clock()) is None
    assert [await signed_in(step) for step in steps] == [401, 401]
    assert await keys_of(world, flow_id) == 0


async def test_a_key_does_not_come_back_with_its_flow(keyrack_on_each: World, own_on_each: Site) -> None:  # 0.16
    flow_id, user = own_on_each.flow_id, own_on_each.user
    step = await step_of(keyrack_on_each, flow_id)
    assert (await user.post(f"/v2/flows/{flow_id}/stop")).status_code == 202
    assert await signed_in(step) == 401
    assert (await user.post(f"/v2/flows/{flow_id}/start")).status_code == 202
    assert await signed_in(step) == 401
    assert await signed_in(await step_of(keyrack_on_each, flow_id)) == 200


async def test_starting_an_active_flow_again_revokes_nothing(keyrack: World, own: Site) -> None:  # 17
    step = await step_of(keyrack, own.flow_id)
    await own.user.post(f"/v2/flows/{own.flow_id}/start")
    assert await signed_in(step) == 200


async def test_deleting_revokes(keyrack_on_each: World, own_on_each: Site) -> None:  # 0.16
    step = await step_of(keyrack_on_each, own_on_each.flow_id)
    assert (await own_on_each.user.delete(f"/v2/flows/{own_on_each.flow_id}")).status_code == 204
    assert await signed_in(step) == 401
    assert await keys_of(keyrack_on_each, own_on_each.flow_id) == 0


async def test_stopping_one_flow_leaves_another_alone(keyrack: World, own: Site) -> None:  # 0.16
    other = await site(keyrack, keyrack.tenants["Acme"], "other")
    step = await step_of(keyrack, other.flow_id)
    await own.user.post(f"/v2/flows/{own.flow_id}/stop")
    assert await signed_in(step) == 200


@pytest.mark.parametrize("status", ["inactive", "suspended"])
async def test_a_key_is_dead_however_its_flow_came_to_rest(
    keyrack_on_each: World, own_on_each: Site, status: str
) -> None:  # 0.16: also where flows are stopped in bulk
    step = await step_of(keyrack_on_each, own_on_each.flow_id)
    async with keyrack_on_each.store.installation(writes=True) as unit:
        await unit.connection.execute(update(flows).where(flows.c.id == own_on_each.flow_id).values(status=status))
    assert await signed_in(step) == 401


async def test_an_expired_key_is_nobodys(keyrack: World, own: Site) -> None:  # section 2
    step = await step_of(keyrack, own.flow_id)
    for seconds, status in ((60, 200), (-1, 401)):
        ends = keyrack.store.clock() + timedelta(seconds=seconds)
        async with keyrack.store.installation(writes=True) as unit:
            await unit.connection.execute(
                update(api_keys).where(api_keys.c.flow_id == own.flow_id).values(expires_at=ends)
            )
        assert await signed_in(step) == status


async def test_name_and_key_belong_together(keyrack: World, own: Site) -> None:  # section 2
    step, other = await step_of(keyrack, own.flow_id), await site(keyrack, keyrack.tenants["Acme"], "other")
    for name in (f"task-{other.flow_id}", own.flow_id, own.user.name, keyrack.support.name):
        assert (await Caller(keyrack.http, name, step.api_key).get(f"/v2/flows/{own.flow_id}")).status_code == 401
    assert (await Caller(keyrack.http, step.name, own.user.api_key).get("/v2/users/me")).status_code == 401


async def test_no_key_survives_a_stop_that_meets_it(keyrack_on_each: World, own_on_each: Site) -> None:  # 0.16
    world, flow_id = keyrack_on_each, own_on_each.flow_id
    path = f"/v2/flows/{flow_id}"
    for _ in range(3):
        await own_on_each.user.post(f"{path}/start")
        making = [world.support.post(f"{path}/task-keys") for _ in range(4)]
        *made, stopped = await asyncio.gather(*making, own_on_each.user.post(f"{path}/stop"))
        assert stopped.status_code == 202
        assert {answer.status_code for answer in made} <= {201, 409}
        assert await keys_of(world, flow_id) == 0


async def test_audit_names_the_maker_and_the_step(keyrack: World, own: Site) -> None:  # 0.16
    step = await step_of(keyrack, own.flow_id)
    keys = {"keys": {"key": "handed back"}}
    assert (await step.put(f"/v1/accounts/{own.credential_id}", keys)).status_code == 200
    assert (await step.delete(f"/v2/flows/{own.flow_id}")).status_code == 403
    events = (await keyrack.tenants["Globex"].admin.get(f"/v2/tenants/{own.tenant_id}/audit-events")).json()["data"]
    told = [{name: each["attributes"][name] for name in ("actor", "action", "outcome")} for each in events]
    assert {"actor": keyrack.support.name, "action": "task-key.create", "outcome": "allowed"} in told
    assert {"actor": step.name, "action": "credential.update-keys", "outcome": "allowed"} in told
    assert {"actor": step.name, "action": "flow.delete", "outcome": "denied"} in told
    assert step.api_key not in str(events)


async def test_keys_are_handed_back(keyrack: World, own: Site) -> None:  # 18.3
    step = await step_of(keyrack, own.flow_id)
    await step.put(f"/v1/accounts/{own.credential_id}", {"keys": {"more": 1}})
    keys = (await step.get(f"/v2/credentials/{own.credential_id}")).json()["data"]["attributes"]["keys"]
    assert keys == {"key": "own-key", "more": 1}


async def test_a_step_refreshes_a_secret_and_reads_the_new_token(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 15.3, section 2
    acme = keyrack.tenants["Acme"]
    step = await step_of(keyrack, (await site(keyrack, acme, "own")).flow_id)
    connected = await connect(keyrack, simulator)
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{connected.secret.id}"
    refreshed = await step.post(f"{path}/refresh")
    assert refreshed.status_code == 200, refreshed.text
    token = refreshed.json()["data"]["attributes"]["credentials"]["access_token"]
    assert token != connected.secret.credentials["access_token"]
    assert (await step.get(path)).json()["data"]["attributes"]["credentials"]["access_token"] == token


async def test_auth_clients_of_every_scope_and_none_of_their_keys(keyrack: World, own: Site) -> None:  # 14.1, 24.21
    globex, acme = keyrack.tenants["Globex"], keyrack.tenants["Acme"]
    step = await step_of(keyrack, own.flow_id)
    makers: dict[str, Any] = dict.fromkeys(("tenant", "contract", "workspace"), globex) | {"global": None}
    made = {
        scope: await add_client(keyrack, owner, components=(own.second_id,), scope=scope)
        for scope, owner in makers.items()
    }
    here = f"?workspace_id={own.workspace_id}"
    listed = (await step.get(f"/v2/auth-clients{here}")).json()["data"]
    assert {each["id"] for each in listed} == {*made.values(), own.auth_client_id}
    assert [each["id"] for each in (await step.get("/v2/auth-clients")).json()["data"]] == [made["global"]]
    for scope, auth_client_id in made.items():
        for query in ("", here):
            found = await step.get(f"/v2/auth-clients/{auth_client_id}{query}")
            assert found.status_code == 200, scope
            assert "credentials" not in found.json()["data"]["attributes"], scope
        assert (await step.patch(f"/v2/auth-clients/{auth_client_id}", {})).status_code == 403, scope
    assert "client-shh" not in str(listed)
    for query in (
        f"?tenant_id={globex.id}",
        f"?contract_id={globex.contract_id}",
        f"?workspace_id={acme.workspace_id}",
    ):
        assert (await step.get(f"/v2/auth-clients{query}")).status_code == 403
        assert (await step.get(f"/v2/auth-clients/{made['workspace']}{query}")).status_code == 403
    foreign = await add_client(keyrack, acme)
    assert (await step.get(f"/v2/auth-clients/{foreign}")).status_code == 404


async def test_its_workspace_permissions(keyrack: World, own: Site) -> None:  # section 2
    """An operation that asks for a permission gets these and no others, also one that is written later."""
    globex, access = keyrack.tenants["Globex"], Access(keyrack.store)
    who = Principal(
        PrincipalKind.task_user,
        own.flow_id,
        f"task-{own.flow_id}",
        globex.id,
        contract_id=globex.contract_id,
        workspace_id=globex.workspace_id,
    )
    async with access.workspace(who, globex.workspace_id) as scope:
        secrets = {f"workspaces.auth_secret.{action}" for action in ("get", "get_credentials", "refresh")}
        assert scope.permissions == secrets | {"workspaces.auth_clients.get"}
        assert (scope.in_workspace, scope.in_contract, scope.is_tenant_admin) == (False, False, False)
