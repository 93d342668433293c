"""Fifty equal requests at once: what must be there once is made once, what need not be is made each time."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from argon2 import PasswordHasher

from support.app import Caller, TenantInTest, World, relationship

MANY = 50


def once(world: World, acme: TenantInTest) -> list[tuple[Caller, str, dict[str, Any], int]]:
    """Requests that succeed once, with their status then; all others are 409."""
    contract = f"/v2/contracts/{acme.contract_id}"
    person = {"first_name": "A", "last_name": "B", "email": "same@acme.example", "password": "correct h0rse"}
    tenant = {"name": "Same", "app_domain": "same.example", "code": "", "mandrill_email_from": ""}
    team = {"contract": relationship("contract", acme.contract_id)}
    owner = {"team": relationship("team", acme.team_id)}
    joins = {"type": "contract-member", "id": acme.stranger.id, "attributes": {"roles": ["member"]}}
    invite = {"type": "contract-invite", "attributes": {"email": "new@acme.example", "roles": ["member"]}}
    component = {"type": "component", "attributes": {"name": "same"}, "relationships": owner}
    return [
        (acme.admin, f"{contract}/invites", invite, 200),
        (acme.admin, f"{contract}/members", joins, 200),
        (acme.admin, "/v2/teams", {"type": "team", "attributes": {"name": "same"}, "relationships": team}, 201),
        (acme.admin, "/v2/components", component, 201),
        (acme.admin, "/v2/users", {"type": "user", "attributes": person}, 201),
        (world.support, "/v2/tenants", {"type": "tenant", "attributes": tenant}, 201),
    ]


async def statuses(who: Caller, path: str, data: dict[str, Any]) -> Counter[int]:
    answers = await asyncio.gather(*(who.post(path, {"data": data}) for _ in range(MANY)))
    return Counter(answer.status_code for answer in answers)


async def test_what_must_be_unique_is_made_once(keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash  # fifty passwords are no part of the race
    monkeypatch.setattr(PasswordHasher, "hash", lambda _, password: quick(password))
    for who, path, data, status in once(keyrack_on_each, keyrack_on_each.tenants["Acme"]):
        assert await statuses(who, path, data) == {status: 1, 409: MANY - 1}, path


async def test_what_may_be_alike_is_made_each_time(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    of_contract = {"contract": relationship("contract", acme.contract_id)}
    workspace = {"type": "workspace", "attributes": {"name": "Alike"}, "relationships": of_contract}
    assert await statuses(acme.admin, "/v2/workspaces", workspace) == {200: MANY}
    assert await statuses(acme.admin, "/v2/teams", {"type": "team", "relationships": of_contract}) == {201: MANY}
    listed = (await acme.admin.get(f"/v2/workspaces?contract_id={acme.contract_id}&page[size]=1")).json()
    assert listed["meta"]["total"] == MANY + 1
