"""Users (contract section 11): whole documents and refusals."""

import asyncio
import threading
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from support.app import TenantInTest, World, error_of, settings_for, world
from support.documents import TIME, identifier, paging
from support.waits_and_faults import until

WRONG_EMAILS = [
    "no",
    "a@",
    "@b",
    "a b@c",
    "a:b@c.example",
    "a@b\n",
    "a@b.example\n",
    "\ufb03" * 200 + "@b",
]  # the last: 600 letters


def people(acme: TenantInTest) -> list[str]:
    return [acme.admin.id, acme.integrator.id, acme.guest.id]


async def test_user(acme: TenantInTest) -> None:
    given = {"first_name": "Ada", "last_name": "L", "email": "Ada@acme.example", "company": "Engines"}
    contracts = {"contracts": {"data": [identifier("contract", acme.contract_id)]}}
    data = {"type": "user", "attributes": {**given, "password": "correct h0rse"}, "relationships": contracts}
    made = await acme.admin.post("/v2/users", {"data": data})
    document = made.json()
    user = document["data"]["id"]
    registered = document["data"]["attributes"]["registered"]
    assert made.status_code == 201
    assert TIME.fullmatch(registered)
    attributes = {**given, "registered": registered, "last_login": None}
    resource = {"id": user, "type": "user", "links": {"self": f"/v2/users/{user}"}, "attributes": attributes}
    assert document == {"data": resource, "meta": {}}
    assert (await acme.admin.get(f"/v2/users/{user}")).json() == document
    contract = (await acme.admin.get(f"/v2/contracts/{acme.contract_id}")).json()["data"]
    members = [member["id"] for member in contract["relationships"]["members"]["data"]]
    assert user not in members, "the former relationship is ignored"
    found = (await acme.admin.get("/v2/users?email=ADA@ACME.example")).json()
    assert found == {"data": [resource], "meta": paging(1, 50, 1)}


async def test_user_without_company_has_no_such_member(acme: TenantInTest) -> None:
    document = (await acme.guest.get("/v2/users/me")).json()
    attributes = document["data"]["attributes"]
    assert set(attributes) == {"first_name", "last_name", "email", "registered", "last_login"}
    assert document["data"]["id"] == acme.guest.id
    assert set(document) == {"data", "meta"}


async def test_users_are_of_one_tenant(keyrack: World, acme: TenantInTest) -> None:
    listed = (await acme.admin.get("/v2/users")).json()["data"]
    assert [user["id"] for user in listed] == [acme.admin.id, *people(acme)[1:], acme.stranger.id]
    foreign = keyrack.tenants["Globex"].guest
    assert (await acme.admin.get(f"/v2/users?email={foreign.name}")).json()["data"] == []
    assert error_of(await acme.admin.get(f"/v2/users/{foreign.id}"))[:2] == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("iss=https://id.example&sub=1", 200),
        ("iss=https://id.example", 400),
        ("sub=1", 400),
        ("email=a@b.example&iss=https://id.example&sub=1", 400),
        ("email=a@b.example&sub=1", 400),
    ],
)
async def test_user_filters(acme: TenantInTest, query: str, status: int) -> None:
    answer = await acme.admin.get(f"/v2/users?{query}")
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"data": [], "meta": paging(1, 50, 0)}, "nobody comes from an OpenID provider"


@pytest.mark.parametrize("email", WRONG_EMAILS)
async def test_user_with_a_wrong_email_is_400(acme: TenantInTest, email: str) -> None:
    attributes = {"first_name": "A", "last_name": "B", "email": email, "password": "correct h0rse"}
    answer = await acme.admin.post("/v2/users", {"data": {"type": "user", "attributes": attributes}})
    assert error_of(answer) == (400, "validation_error", "/data/attributes/email")


async def test_others_are_served_while_passwords_are_hashed(
    tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, by_itself = threading.Semaphore(0), threading.Event(), PasswordHasher.hash

    def slow(self: PasswordHasher, password: str) -> str:
        begun.release()
        go_on.wait()
        return by_itself(self, password)

    monkeypatch.setattr(PasswordHasher, "hash", slow)
    connections = 2
    async with world(settings_for(tmp_path, database_url, database_pool_size=str(connections))) as made:
        admin = made.tenants["Acme"].admin
        attributes = {"first_name": "A", "last_name": "B", "email": "one@acme.example", "password": "correct h0rse"}
        body = {"data": {"type": "user", "attributes": attributes}}
        creating = [asyncio.create_task(admin.post("/v2/users", body)) for _ in range(connections)]
        try:
            assert await asyncio.to_thread(begun.acquire, timeout=60)
            waiting = made.services.users._passwords._waiting
            await until(lambda: sum(map(len, waiting.values())) == connections - 1)
            contract = {"data": {"type": "contract", "attributes": {"name": "Meanwhile"}}}
            answer = await asyncio.wait_for(admin.post("/v2/contracts", contract), 60)
        finally:
            go_on.set()
        assert answer.status_code == 201, answer.text
        assert sorted([(await each).status_code for each in creating]) == [201, 409]
