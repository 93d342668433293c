"""Changing and deleting teams, who leaves them: contract sections 12 and 22."""

from typing import Any

import pytest
from sqlalchemy import select

from keyrack.store.audit_log import AuditLog
from keyrack.store.schema import teams
from keyrack.store.teams import TeamRows
from support.app import Caller, TenantInTest, World, error_of, relationship
from support.documents import identifier
from support.waits_and_faults import in_turn

REGISTRY = {"url": "registry.acme.example", "username": "puller", "password": "canary-registry-password"}


def change(registry: Any, **more: Any) -> dict[str, Any]:
    return {"data": {"type": "team", "attributes": {"docker_registry": registry}, **more}}


async def stored(world: World, acme: TenantInTest) -> Any:
    async with world.store.unit(acme.id) as unit:
        query = select(teams.c.sealed_docker_registry).where(teams.c.id == acme.team_id)
        sealed = (await unit.connection.execute(query)).scalar_one()
        assert sealed is None or REGISTRY["password"].encode() not in sealed
        return None if sealed is None else await unit.open(teams, acme.team_id, "sealed_docker_registry", sealed)


async def test_the_registry_is_sealed_and_never_comes_back(keyrack: World, acme: TenantInTest) -> None:
    path = f"/v2/teams/{acme.team_id}"
    before = (await acme.admin.get(path)).json()["data"]
    answer = await acme.admin.patch(path, change(REGISTRY))
    assert (answer.status_code, answer.json()) == (200, {"data": before, "meta": {}})
    assert await stored(keyrack, acme) == REGISTRY
    assert REGISTRY["password"] not in (await acme.admin.get(path)).text
    unsaid = {"data": {"type": "team", "id": acme.team_id, "attributes": {"name": "other"}}}
    assert (await acme.admin.patch(path, unsaid)).json()["data"] == before, "nothing but the registry changes"
    assert await stored(keyrack, acme) == REGISTRY
    assert (await acme.admin.patch(path, change(None))).status_code == 200
    assert await stored(keyrack, acme) is None


async def test_refused_changes(acme: TenantInTest) -> None:
    path = f"/v2/teams/{acme.team_id}"
    for body, expected in (
        (change("registry.example"), (400, "validation_error", "/data/attributes/docker_registry")),
        ({"data": {"attributes": {}}}, (400, "validation_error", "/data/type")),
        (change({}, id="0" * 24), (409, "id_conflict", "/data/id")),
        ({"data": {"type": "user"}}, (409, "type_conflict", "/data/type")),
    ):
        assert error_of(await acme.admin.patch(path, body)) == expected


# fmt: off
WHO = [
    # caller,      PATCH, DELETE a member, DELETE
    ("admin",      200,   204,             204),
    ("integrator", 403,   403,             403),
    ("stranger",   404,   404,             404),
    ("elsewhere",  404,   404,             404),
    ("service",    200,   204,             204),
]
# fmt: on


@pytest.mark.parametrize(("caller", "changed", "left", "deleted"), WHO)
async def test_who_may(keyrack: World, acme: TenantInTest, caller: str, changed: int, left: int, deleted: int) -> None:
    others: dict[str, Caller] = {"elsewhere": keyrack.tenants["Globex"].admin, "service": keyrack.support}
    who: Caller = others.get(caller) or getattr(acme, caller)
    path = f"/v2/teams/{acme.team_id}"
    member = {"data": identifier("user", acme.admin.id)}
    assert (await who.patch(path, change(REGISTRY))).status_code == changed
    assert (await who.delete(f"{path}/relationships/members", member)).status_code == left
    assert (await who.delete(path)).status_code == deleted
    assert (await acme.admin.get(path)).status_code == (404 if deleted == 204 else 200)


@pytest.mark.parametrize("unknown", ["0" * 24, "nonsense"])
async def test_an_unknown_team_is_404(acme: TenantInTest, unknown: str) -> None:
    path = f"/v2/teams/{unknown}"
    assert error_of(await acme.admin.patch(path, {"data": {}}))[:2] == (404, "not_found")
    assert error_of(await acme.admin.delete(path))[:2] == (404, "not_found")
    assert error_of(await acme.admin.delete(f"{path}/relationships/members", {"data": {}}))[:2] == (404, "not_found")


async def test_the_body_says_who_leaves(acme: TenantInTest) -> None:
    path = f"/v2/teams/{acme.team_id}/relationships/members"
    assert (await acme.admin.post(path, {"data": identifier("user", acme.guest.id)})).status_code == 200
    for _ in range(2):  # one who is not in it stays out (JSON:API 1.1, updating to-many relationships)
        answer = await acme.admin.delete(path, {"data": identifier("user", acme.admin.id)})
        assert (answer.status_code, answer.content) == (204, b"")
        team = (await acme.admin.get(f"/v2/teams/{acme.team_id}")).json()["data"]
        assert team["relationships"]["users"]["data"] == [identifier("user", acme.guest.id)]
    assert error_of(await acme.admin.delete(path))[:2] == (400, "bad_request"), "significant, so it must be there"
    for body, expected in (
        ({"data": {"type": "team", "id": acme.guest.id}}, (409, "type_conflict", "/data/type")),
        ({"data": {"type": "user"}}, (400, "validation_error", "/data/id")),
    ):
        assert error_of(await acme.admin.delete(path, body)) == expected


async def test_a_team_with_components_stays(keyrack: World, acme: TenantInTest) -> None:  # 22
    component = await keyrack.add_component(acme, "timer")
    path = f"/v2/teams/{acme.team_id}"
    answer = await acme.admin.delete(path)
    assert error_of(answer)[:2] == (409, "in_use")
    assert answer.json()["errors"][0]["meta"] == {"component_ids": [component]}
    assert (await acme.admin.delete(f"/v2/components/{component}")).status_code == 204
    assert (await acme.admin.delete(path)).status_code == 204
    assert (await acme.admin.get(path)).status_code == 404
    again = {"attributes": {"name": "acme"}, "relationships": {"contract": relationship("contract", acme.contract_id)}}
    assert (await acme.admin.post("/v2/teams", {"data": again})).status_code == 201, "its name is free"


def new_component(acme: TenantInTest) -> Any:
    relationships = {"team": relationship("team", acme.team_id), "contract": relationship("contract", acme.contract_id)}
    data = {"type": "component", "attributes": {"name": "fresh"}, "relationships": relationships}
    return acme.admin.post("/v2/components", {"data": data})


async def test_a_component_made_while_its_team_goes_finds_none(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    deleting, making = await in_turn(
        monkeypatch, (TeamRows, "remove"), acme.admin.delete(f"/v2/teams/{acme.team_id}"), new_component(acme)
    )
    assert deleting.status_code == 204
    assert error_of(making)[:2] == (404, "related_not_found")


async def test_a_team_is_not_deleted_over_a_component_that_is_being_made(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:

    acme = keyrack_on_each.tenants["Acme"]
    making, deleting = await in_turn(
        monkeypatch, (AuditLog, "append"), new_component(acme), acme.admin.delete(f"/v2/teams/{acme.team_id}")
    )
    assert making.status_code == 201
    assert error_of(deleting)[:2] == (409, "in_use")
