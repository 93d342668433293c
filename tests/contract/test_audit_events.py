"""The audit log: contract 0.16."""

from typing import Any

import pytest

from support.app import World, error_of
from support.documents import ID, TIME, faults, ids, paging


def path(world: World) -> str:
    return f"/v2/tenants/{world.tenants['Acme'].id}/audit-events"


@pytest.fixture(scope="module")
async def eventful(keyrack_to_read: World) -> World:
    """Acme's admin made a contract and a key, an integrator tried to make a contract; Globex was busy too."""
    acme, globex = keyrack_to_read.tenants["Acme"], keyrack_to_read.tenants["Globex"]
    contract = {"data": {"type": "contract", "attributes": {"name": "Fresh"}}}
    headers = {"x-request-id": "f:1;s:2;m:3"}
    assert (await acme.admin.post("/v2/contracts", contract, headers=headers)).status_code == 201
    key = {"data": {"type": "api-key", "attributes": {"name": "laptop"}}}
    assert (await acme.admin.post("/v2/users/me/api-keys", key)).status_code == 201
    assert (await acme.integrator.post("/v2/contracts", contract)).status_code == 403
    assert (await globex.admin.post("/v2/contracts", contract)).status_code == 201
    return keyrack_to_read


async def test_an_event_says_who_did_what_to_what(eventful: World) -> None:
    acme = eventful.tenants["Acme"]
    answer = await acme.admin.get(f"{path(eventful)}?action=contract.create&page[size]=1")
    document = answer.json()
    (event,) = document["data"]
    made = (await acme.admin.get("/v2/contracts")).json()["data"][-1]["id"]
    at = event["attributes"]["at"]
    attributes = {
        "at": at,
        "actor": acme.admin.name,
        "action": "contract.create",
        "target": {"type": "contract", "id": made},
        "outcome": "allowed",
        "address": "127.0.0.1",
        "request_id": "f:1;s:2;m:3",
    }
    assert ID.fullmatch(event["id"])
    assert TIME.fullmatch(at)
    expected = {"data": [{"id": event["id"], "type": "audit-event", "attributes": attributes}]}
    assert document == expected | {"meta": paging(1, 1, 2)}


async def test_refused_attempts_are_in_it_and_other_tenants_are_not(eventful: World) -> None:
    acme = eventful.tenants["Acme"]
    events = (await acme.admin.get(path(eventful))).json()["data"]
    shown = [(event["attributes"]["actor"], event["attributes"]["outcome"]) for event in events]
    assert shown == [(acme.admin.name, "allowed"), (acme.admin.name, "allowed"), (acme.integrator.name, "denied")]


async def test_it_is_paged_oldest_first(eventful: World) -> None:
    admin = eventful.tenants["Acme"].admin
    whole = await admin.get(path(eventful))
    assert whole.json()["meta"] == paging(1, 50, 3)
    assert ids(whole) == sorted(ids(whole))
    assert ids(await admin.get(f"{path(eventful)}?page[size]=2&page[number]=2")) == ids(whole)[2:]


FILTERS: list[tuple[str, str, int]] = [
    ("actor", "{admin}", 2),
    ("actor", "{integrator}", 1),
    ("actor", "nobody", 0),
    ("action", "api-key.create", 1),
    ("target", "{acme}", 1),
    ("from", "2020-01-01T00:00:00Z", 3),
    ("from", "2090-01-01T00:00:00Z", 0),
    ("to", "2090-01-01T00:00:00Z", 3),
    ("to", "2020-01-01T00:00:00Z", 0),
    ("actor", "", 3),
]


@pytest.mark.parametrize("spelling", ["{}", "filter[{}]", "filter%5B{}%5D"])
@pytest.mark.parametrize(("name", "value", "count"), FILTERS)
async def test_filters(eventful: World, spelling: str, name: str, value: str, count: int) -> None:
    acme = eventful.tenants["Acme"]
    filled = value.format(admin=acme.admin.name, integrator=acme.integrator.name, acme=acme.id)
    answer = await acme.admin.get(f"{path(eventful)}?{spelling.format(name)}={filled}")
    assert len(ids(answer)) == count
    assert answer.json()["meta"]["total"] == count


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize("value", ["yesterday", "2026-01-31", "2026-01-31T12:00:00", "1e9", "0001-01-01T00:00:00Z"])
async def test_a_wrong_time_is_400(eventful: World, name: str, value: str) -> None:
    answer = await eventful.tenants["Acme"].admin.get(f"{path(eventful)}?{name}={value}")
    assert answer.status_code == 400
    assert faults(answer) == {name}


async def test_it_takes_a_permission_that_a_tenant_admin_holds(eventful: World) -> None:
    assert error_of(await eventful.tenants["Acme"].integrator.get(path(eventful)))[:2] == (403, "forbidden")
    for permissions, status in ((["tenants.audit.get"], 200), (["tenants.tenant.get"], 403)):
        account: Any = await eventful.add_service_account(*permissions)
        assert (await account.get(path(eventful))).status_code == status
