"""Deleting a tenant, and changing its roles, beside what others do in it: one of both orders, never a mixture.

On both databases, with the first of the two stopped in mid-transaction (contract 6.4, 7, 22).
"""

import asyncio
from collections.abc import Callable

import pytest

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


@pytest.fixture
async def stage(keyrack_on_each: World) -> Stage:
    built = Stage(keyrack_on_each)
    await built.build()
    return built


CREATE: list[tuple[Callable[[Stage], Request], tuple[int, ...]]] = [
    (Stage.create_contract, (401, 403, 404)),
    (Stage.create_user, (401, 403, 404)),
    (Stage.create_webhook, (404,)),
    (Stage.change, (404,)),
    (Stage.delete, (404,)),
]
"""What others do, and how they may be refused when the tenant has gone meanwhile."""


@pytest.mark.parametrize(("create", "refused"), CREATE, ids=lambda value: getattr(value, "__name__", ""))
async def test_what_comes_after_the_deletion_finds_no_tenant(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, create: Callable[[Stage], Request], refused: tuple[int, ...]
) -> None:
    deleting, answer = await in_turn(monkeypatch, (TenantRows, "remove"), stage.delete(), create(stage))
    assert deleting.status_code == 204
    assert answer.status_code in refused, answer.text


async def test_a_contract_that_comes_first_keeps_the_tenant(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    last = (AuditLog, "append")  # what creating it does in the end
    made, refused = await in_turn(monkeypatch, last, stage.create_contract(), stage.delete())
    assert made.status_code == 201, made.text
    assert error_of(refused)[:2] == (409, "in_use")
    assert refused.json()["errors"][0]["meta"]["contract_ids"] == [made.json()["data"]["id"]]


async def test_changes_and_deletions_at_once_never_fail(stage: Stage) -> None:
    everything = [stage.create_user(), stage.create_webhook(), *(stage.change() for _ in range(5)), stage.delete()]
    everything += [stage.create_contract(), stage.delete(), stage.change()]
    answers = await asyncio.gather(*everything)
    assert all(answer.status_code < 500 for answer in answers), [answer.text for answer in answers]


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
