"""Every way into an operation: what is held meanwhile, who is turned away, and what the audit log says of it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from keyrack.errors import ContractSuspended, Forbidden, KeyrackError, NotFound
from keyrack.ids import new_id
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.tenancy import WorkspaceType
from keyrack.service.authz import suspension
from keyrack.service.authz.access import Access
from keyrack.service.authz.scope import Scope, contracts_granting
from keyrack.service.authz.task_users import READ_CONTRACT, READ_FLOWS
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.core.connection import Connection, UnitMode
from keyrack.store.directory import Location
from keyrack.store.flows import FlowRows
from keyrack.store.schema import audit_events, contracts
from keyrack.store.workspaces import WorkspaceRows
from support.app import Caller, TenantInTest, World
from support.statements_seen import statements_seen

Way = AbstractAsyncContextManager[Scope]
SERVICE = Principal(PrincipalKind.service_account, "s" * 24, "service", permissions=frozenset({"x.y"}))


def a_user(tenant: TenantInTest, caller: Caller) -> Principal:
    return Principal(PrincipalKind.user, caller.id, caller.name, tenant.id)


def a_step(tenant: TenantInTest, workspace_id: str | None = None) -> Principal:
    place = workspace_id or tenant.workspace_id
    return Principal(
        PrincipalKind.task_user, "p" * 24, "step", tenant.id, contract_id=tenant.contract_id, workspace_id=place
    )


def place_of(tenant: TenantInTest) -> Location:
    return Location(tenant.id, tenant.contract_id, tenant.workspace_id)


@pytest.fixture
def access(keyrack_on_each: World) -> Access:
    return Access(keyrack_on_each.store)


@pytest.fixture
def acme(keyrack_on_each: World) -> TenantInTest:
    return keyrack_on_each.tenants["Acme"]


@contextmanager
def locks() -> Iterator[dict[str, str]]:
    """Collect which tables' rows are locked, and how; on SQLite whether the whole database is."""
    found: dict[str, str] = {}

    def seen(connection: Connection, statement: str, _: Sequence[Any]) -> None:
        if connection.mode is UnitMode.write and connection.dialect.name == "sqlite":
            found["all"] = "BEGIN IMMEDIATE"
        said = " ".join(statement.split())
        if " FOR " in said:
            table = said.partition(" FROM ")[2].partition(" ")[0]
            found[table] = said.partition(" FOR ")[2].partition(" OF ")[0]

    with statements_seen(seen):
        yield found


async def written(world: World, tenant_id: str, action: str) -> list[tuple[str, str, str | None]]:
    """Return outcome and target of an action's audit events."""
    async with world.store.unit(tenant_id) as unit:
        query = select(audit_events).where(audit_events.c.action == action).order_by(audit_events.c.id)
        rows = (await unit.connection.execute(query)).all()
    return [(row.outcome, row.target_type, row.target_id) for row in rows if row.tenant_id == tenant_id]


async def suspend(world: World, tenant: TenantInTest) -> None:
    async with world.store.unit(tenant.id, writes=True) as unit:
        await unit.connection.execute(
            update(contracts).where(contracts.c.id == tenant.contract_id).values(status=suspension.SUSPENDED)
        )


async def test_what_is_written_in_is_held_and_what_it_is_about_is_held_alone(
    access: Access, acme: TenantInTest, keyrack_on_each: World
) -> None:
    who, use, alone = a_user(acme, acme.admin), "KEY SHARE", "UPDATE"

    def ways(**how: Any) -> dict[str, Way]:
        return {
            "tenants": access.tenant(who, acme.id, "x.do", **how),
            "contracts": access.contract(who, acme.contract_id, "x.do", **how),
            "workspaces": access.workspace(who, acme.workspace_id, "x.do", **how),
        }

    order = ["tenants", "contracts", "workspaces"]
    for exclusive, made in ((False, ways()), (False, ways(exclusive=False)), (True, ways(exclusive=True))):
        for number, (name, way) in enumerate(made.items()):
            with locks() as found:
                async with way as scope:
                    scope.audit_target("x", "1")
            if keyrack_on_each.settings.database_url is None:
                assert found == {} or found["all"] in {"BEGIN", "BEGIN IMMEDIATE"}
                continue
            expected = dict.fromkeys(order[: number + 1], use) | ({name: alone} if exclusive else {})
            assert {table: found.get(table) for table in expected} == expected
            assert set(found) & set(order) == set(expected)


async def test_reading_holds_nothing_and_writes_nothing_down(access: Access, acme: TenantInTest) -> None:
    who = a_user(acme, acme.guest)
    for way in (access.tenant(who, acme.id), access.contract(who, acme.contract_id),
                access.workspace(who, acme.workspace_id), access.at(who, place_of(acme))):  # fmt: skip
        with locks() as found:
            async with way as scope:
                assert scope.place.tenant_id == acme.id
        assert found in ({}, {"all": "BEGIN"})


async def test_what_was_done_is_written_down_for_each_target(
    access: Access, acme: TenantInTest, keyrack_on_each: World
) -> None:
    async with access.workspace(a_user(acme, acme.admin), acme.workspace_id, "x.do") as scope:
        scope.audit_target("one", "1")
        scope.audit_target("two", None)
    assert await written(keyrack_on_each, acme.id, "x.do") == [("allowed", "one", "1"), ("allowed", "two", None)]
    with pytest.raises(KeyrackError, match="did not say what it acted on"):
        async with access.workspace(a_user(acme, acme.admin), acme.workspace_id, "x.silent"):
            pass
    assert await written(keyrack_on_each, acme.id, "x.silent") == []


async def test_a_refused_attempt_is_written_down_in_the_callers_log(
    access: Access, acme: TenantInTest, keyrack_on_each: World
) -> None:
    globex = keyrack_on_each.tenants["Globex"]
    with pytest.raises(Forbidden):
        async with access.workspace(a_user(acme, acme.guest), acme.workspace_id, "x.own") as scope:
            scope.require("none.such")
    assert await written(keyrack_on_each, acme.id, "x.own") == [("denied", "tenant", acme.id)]
    who = a_user(globex, globex.admin)
    for way in (access.tenant(who, acme.id, "x.other"), access.contract(who, acme.contract_id, "x.other"),
                access.workspace(who, acme.workspace_id, "x.other")):  # fmt: skip
        with pytest.raises(Forbidden):
            async with way:
                pass
    assert await written(keyrack_on_each, acme.id, "x.other") == []
    assert await written(keyrack_on_each, globex.id, "x.other") == [
        ("denied", "tenant", acme.id),
        ("denied", "contract", acme.contract_id),
        ("denied", "workspace", acme.workspace_id),
    ]
    with pytest.raises(Forbidden):
        async with access.tenant(who, acme.id):
            pass
    with pytest.raises(Forbidden):
        async with access.installation(SERVICE, "x.all") as scope:
            scope.require("none.such")
    assert await written(keyrack_on_each, "", "x.all") == [("denied", "tenant", None)]


async def test_a_failed_operation_is_written_down(access: Access, acme: TenantInTest, keyrack_on_each: World) -> None:
    await access.record(a_user(acme, acme.admin), place_of(acme), "x.fail", ("thing", "1"))
    assert await written(keyrack_on_each, acme.id, "x.fail") == [("failed", "thing", "1")]


async def test_the_installation_is_closed_to_steps_without_a_door(
    access: Access, acme: TenantInTest, keyrack_on_each: World
) -> None:
    with pytest.raises(Forbidden, match="a running step may not do this"):
        async with access.installation(a_step(acme)):
            pass
    async with access.installation(a_step(acme), door=READ_FLOWS) as scope:
        assert (scope.place, scope.permissions) == (Location(""), frozenset())
    with locks() as found:
        async with access.installation(SERVICE, "x.do") as scope:
            assert scope.permissions == {"x.y"}
            scope.audit_target("x", "1")
    assert await written(keyrack_on_each, "", "x.do") == [("allowed", "x", "1")]
    if keyrack_on_each.settings.database_url is None:
        assert found == {"all": "BEGIN IMMEDIATE"}


async def test_a_step_gets_into_its_own_places_through_a_door(access: Access, acme: TenantInTest) -> None:
    async with access.contract(a_step(acme), acme.contract_id, door=READ_CONTRACT) as scope:
        assert scope.in_contract
    async with access.workspace(a_step(acme), acme.workspace_id, door=READ_FLOWS) as scope:
        assert scope.in_workspace
    stranger = a_step(acme, new_id())
    for way in (access.contract(a_step(acme), acme.contract_id), access.tenant(a_step(acme), acme.id),
                access.workspace(stranger, acme.workspace_id, door=READ_FLOWS)):  # fmt: skip
        with pytest.raises(Forbidden, match="a running step may not do this"):
            async with way:
                pass
    async with access.at(a_step(acme), place_of(acme), door=READ_FLOWS) as scope:
        assert scope.in_workspace
    async with access.at(a_step(acme), place_of(acme)) as scope:
        assert not scope.in_workspace


async def test_a_resource_without_a_parent_is_there_for_those_alone_who_reach_its_workspace(
    access: Access, acme: TenantInTest, keyrack_on_each: World
) -> None:
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        added = await FlowRows(unit).add(acme.workspace_id, acme.admin.id, "F", "ordinary", {"nodes": []}, {})
    flow_id = added.id
    keyholder = replace(SERVICE, permissions=frozenset({"the.key"}))
    member = replace(SERVICE, permissions=frozenset({"workspaces.flow.get"}))
    reaching: list[tuple[Principal, dict[str, Any]]] = [
        (a_user(acme, acme.guest), {}),
        (member, {}),
        (keyholder, {"key": "the.key"}),
        (a_step(acme), {"door": READ_FLOWS}),
    ]
    for who, more in reaching:
        async with access.by_resource(who, "flow", flow_id, **more) as scope:
            assert scope.place == place_of(acme)
    globex = keyrack_on_each.tenants["Globex"]
    hidden: list[tuple[Principal, str, dict[str, Any]]] = [
        (a_user(acme, acme.stranger), flow_id, {}), (a_user(globex, globex.admin), flow_id, {}), (SERVICE, flow_id, {}),
        (keyholder, flow_id, {}), (a_step(acme, new_id()), flow_id, {"door": READ_FLOWS}), (member, new_id(), {}),
        (a_step(globex), flow_id, {"door": READ_FLOWS}),
    ]  # fmt: skip
    for who, wanted, more in hidden:
        with pytest.raises(NotFound):
            async with access.by_resource(who, "flow", wanted, **more):
                pass
    with pytest.raises(Forbidden, match="a running step may not do this"):
        async with access.by_resource(a_step(acme), "flow", flow_id):
            pass


async def test_what_is_not_there_is_not_found(access: Access, acme: TenantInTest, keyrack_on_each: World) -> None:
    globex, nothing = keyrack_on_each.tenants["Globex"], new_id()
    who = a_user(acme, acme.admin)
    for kind in ("tenant", "contract", "workspace"):
        with pytest.raises(NotFound, match=f"there is no such {kind}"):
            await access.locate(kind, nothing)
        assert await access.find(kind, nothing) is None
    found = Location(globex.id, globex.contract_id, globex.workspace_id)
    assert await access.locate("workspace", globex.workspace_id) == found
    with pytest.raises(NotFound, match="there is no such workspace"):
        await access.locate_for(who, "workspace", globex.workspace_id)
    assert await access.locate_for(SERVICE, "workspace", globex.workspace_id) == found
    assert await access.locate_for(who, "workspace", acme.workspace_id) == place_of(acme)


async def test_what_vanishes_after_it_was_located_is_not_found(access: Access, acme: TenantInTest) -> None:
    gone = (
        (Location(new_id()), "there is no such tenant"),
        (Location(acme.id, new_id()), "there is no such contract"),
        (Location(acme.id, acme.contract_id, new_id()), "there is no such workspace"),
    )
    for place, said in gone:
        with pytest.raises(NotFound, match=said):
            async with access.at(SERVICE, place, "x.do") as scope:
                scope.audit_target("x", "1")


async def test_a_suspended_contract_is_closed_to_what_writes_and_to_what_prepares_it(
    access: Access, acme: TenantInTest, keyrack_on_each: World
) -> None:
    await suspend(keyrack_on_each, acme)
    who, place = a_user(acme, acme.admin), place_of(acme)
    for action, precheck, closed in (
        ("x.do", None, True), ("flow.delete", None, False), (None, None, False), (None, "x.do", True),
        (None, "flow.delete", False),
    ):  # fmt: skip
        refused = False
        try:
            async with access.at(who, place, action, precheck=precheck) as scope:
                assert scope.closed is closed
                scope.audit_target("x", "1")
        except ContractSuspended:
            refused = True
        assert refused is closed
    async with access.tenant(who, acme.id, "x.tenant") as scope:
        scope.audit_target("x", "1")
    async with keyrack_on_each.store.unit(acme.id) as unit:
        assert await suspension.is_suspended(unit, place)
        assert not await suspension.is_suspended(unit, Location(acme.id))
        assert not await suspension.is_suspended(unit, Location(acme.id, new_id()))
    globex = keyrack_on_each.tenants["Globex"]
    async with keyrack_on_each.store.unit(globex.id) as unit:
        assert not await suspension.is_suspended(unit, place_of(globex))


async def test_contracts_that_grant_a_permission_are_those_where_a_role_holds_it(
    access: Access, acme: TenantInTest, keyrack_on_each: World
) -> None:
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        plain = await ContractRows(unit).add("Second", [], {}, None)
        other = await ContractRows(unit).add("Third", [], {}, None)
        await ContractMembers(unit).add(plain, acme.integrator.id, ["member"])
        await ContractMembers(unit).add(other, acme.integrator.id, ["owner", "admin"])
        await WorkspaceRows(unit).add(plain, "W", WorkspaceType.full, {})
    held = "contracts.contract.edit"
    who = a_user(acme, acme.integrator)
    async with access.tenant(who, acme.id) as scope:
        assert await contracts_granting(scope, held) == {other}
        assert await contracts_granting(scope, "contracts.none.such") == frozenset()
        scope.permissions = frozenset({held})
        assert await contracts_granting(scope, held) == {acme.contract_id, plain, other}
