"""Deleting a tenant, and changing its roles, beside what others do in it: one of both orders, never a mixture.

On both databases, with the first of the two stopped in mid-transaction (contract 6.4, 7, 22).
"""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from keyrack.store import schema
from keyrack.store.audit_log import AuditLog
from keyrack.store.tenants import RolePolicy, TenantRows
from support.app import Request, TenantInTest, World, error_of
from support.waits_and_faults import in_turn


class Stage:
    """A tenant without contracts, and what may happen in it."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def build(self) -> None:
        names = {"name": "Empty", "app_domain": "empty.example", "code": "", "mandrill_email_from": ""}
        made = await self.world.support.post("/v2/tenants", {"data": {"type": "tenant", "attributes": names}})
        self.tenant = str(made.json()["data"]["id"])
        self.admin = await self.world.add_user(self.tenant, "admin@empty.example", tenant_roles=["tenant-admin"])
        permissions = ("tenants.webhooks.create", "tenants.tenant.delete", "tenants.tenant.edit")
        self.support = await self.world.add_service_account(*permissions)

    def delete(self) -> Request:
        return self.support.delete(f"/v2/tenants/{self.tenant}")

    def create_contract(self) -> Request:
        body = {"data": {"type": "contract", "attributes": {"name": "New one"}}}
        return self.admin.post("/v2/contracts", body)

    def create_user(self) -> Request:
        person = {"first_name": "A", "last_name": "B", "email": "new@empty.example", "password": "correct h0rse"}
        return self.admin.post("/v2/users", {"data": {"type": "user", "attributes": person}})

    def create_webhook(self) -> Request:
        hook = {"type": "webhook", "attributes": {"url": "https://hooks.example.com/x"}}
        return self.support.post(f"/v2/tenants/{self.tenant}/webhooks", {"data": hook})

    def change(self) -> Request:
        body = {"data": {"attributes": {"app_domain": "other.example"}}}
        return self.support.patch(f"/v2/tenants/{self.tenant}", body)

    async def left(self) -> tuple[bool, int, int]:
        """Tell whether the tenant is there, and how many users and webhooks it has."""
        async with self.world.store.installation() as unit:
            rows = [
                (
                    await unit.connection.execute(select(func.count()).where(table.c.tenant_id == self.tenant))
                ).scalar_one()
                for table in (schema.users, schema.webhooks)
            ]
            found = (await unit.connection.execute(select(schema.tenants.c.id))).column()
        return self.tenant in found, rows[0], rows[1]


@pytest.fixture
async def stage(keyrack_on_each: World) -> Stage:
    built = Stage(keyrack_on_each)
    await built.build()
    return built


MEANWHILE = [Stage.create_contract, Stage.create_user, Stage.create_webhook, Stage.change, Stage.delete]
"""What others do when the tenant has gone: all of them were let in before, and have waited for the deletion."""


@pytest.mark.parametrize("does", MEANWHILE)
async def test_what_comes_after_the_deletion_finds_no_tenant(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, does: Callable[[Stage], Request]
) -> None:
    deleting, answer = await in_turn(monkeypatch, (TenantRows, "remove"), stage.delete(), does(stage))
    assert deleting.status_code == 204
    assert error_of(answer)[:2] == (404, "not_found")
    assert await stage.left() == (False, 0, 0)


async def test_a_contract_that_comes_first_keeps_the_tenant(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    last = (AuditLog, "append")  # what creating it does in the end
    made, refused = await in_turn(monkeypatch, last, stage.create_contract(), stage.delete())
    assert made.status_code == 201, made.text
    assert error_of(refused)[:2] == (409, "in_use")
    assert refused.json()["errors"][0]["meta"]["contract_ids"] == [made.json()["data"]["id"]]


async def test_changes_and_deletions_at_once_end_in_one_of_two_ways(stage: Stage) -> None:
    """Nobody says who comes first: either the contract is made and keeps the tenant, or the tenant goes with all."""
    names = ["user", "webhook", *["change"] * 5, "deletion", "contract", "deletion", "change"]
    asked: dict[str, Callable[[], Request]] = {
        "user": stage.create_user, "webhook": stage.create_webhook, "change": stage.change,
        "deletion": stage.delete, "contract": stage.create_contract,
    }  # fmt: skip
    answers = await asyncio.gather(*(asked[name]() for name in names))
    came: dict[str, list[int]] = {name: [] for name in asked}
    for name, answer in zip(names, answers, strict=True):
        came[name].append(answer.status_code)
    if came["contract"] == [201]:
        assert came == {"user": [201], "webhook": [201], "change": [200] * 6, "deletion": [409] * 2, "contract": [201]}
        assert await stage.left() == (True, 2, 1)
        return
    assert sorted(came["deletion"]) == [204, 404]
    # what came before the deletion was done, and went with the tenant; of what came after it, the tenant's own people
    # are not known any more, unless they were let in before
    assert set(came["contract"]) <= {401, 404}
    assert set(came["user"]) <= {201, 401, 404}
    assert set(came["webhook"]) <= {201, 404}
    assert set(came["change"]) <= {200, 404}
    assert await stage.left() == (False, 0, 0)


async def test_one_of_many_becomes_the_default_tenant(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    tenants = [world.tenants["Acme"].id, world.tenants["Globex"].id, (await world.add_tenant("Third")).id]
    body = {"data": {"attributes": {"is_default": True}}}
    answers = await asyncio.gather(*(world.support.patch(f"/v2/tenants/{each}", body) for each in tenants))
    names = {"name": "N", "code": "", "mandrill_email_from": "", "is_default": True}
    new = [{"data": {"type": "tenant", "attributes": {**names, "app_domain": f"n{n}.example"}}} for n in range(3)]
    answers += await asyncio.gather(*(world.support.post("/v2/tenants", each) for each in new))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    pointers = {error_of(answer)[2] for answer in answers if answer.status_code == 409}
    assert pointers == {"/data/attributes/is_default"}


def drop_workspace_admin(world: World, acme: TenantInTest) -> Request:
    """Replace the policy by one that keeps all that is assigned, and drops `admin` of workspaces."""
    kept = [("contracts", "admin"), ("contracts", "member"), ("workspaces", "integrator"), ("workspaces", "guest")]
    roles = [{"scope": scope, "role": role, "permissions": []} for scope, role in kept]
    body = {"data": {"type": "tenant-policy", "attributes": {"roles": roles}}}
    return world.support.patch(f"/v2/tenants/{acme.id}/roles", body)


def give_role(acme: TenantInTest, role: str) -> Request:
    body = {"data": {"type": "member", "attributes": {"roles": [role]}}}
    return acme.admin.patch(f"/v2/workspaces/{acme.workspace_id}/members/{acme.guest.id}", body)


async def test_a_role_that_is_being_assigned_stays(keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    giving, refused = await in_turn(
        monkeypatch, (AuditLog, "append"), give_role(acme, "admin"), drop_workspace_admin(keyrack_on_each, acme)
    )
    assert giving.status_code == 200
    assert error_of(refused)[:2] == (409, "in_use")
    assert refused.json()["errors"][0]["meta"]["workspace_ids"] == [acme.workspace_id]


@pytest.mark.parametrize(("role", "status"), [("admin", 400), ("integrator", 200)])
async def test_a_role_that_is_being_removed_is_given_to_nobody(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch, role: str, status: int
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    replacing, given = await in_turn(
        monkeypatch, (RolePolicy, "replace"), drop_workspace_admin(keyrack_on_each, acme), give_role(acme, role)
    )
    assert replacing.status_code == 200
    assert given.status_code == status, given.text
