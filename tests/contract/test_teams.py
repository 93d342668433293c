"""Teams (contract section 12): whole documents and refusals."""

from typing import Any

import pytest

from support.app import TenantInTest, World, error_of, relationship
from support.documents import identifier, rel


async def test_team(keyrack: World, acme: TenantInTest) -> None:
    path = f"/v2/teams/{acme.team_id}"
    resource: dict[str, Any] = {
        "id": acme.team_id,
        "type": "team",
        "links": {"self": path},
        "attributes": {"name": "acme"},
        "relationships": {
            "contract": rel("contract", acme.contract_id),
            "users": {"data": [identifier("user", acme.admin.id)]},
        },
    }
    assert (await acme.guest.get(path)).json() == {"data": resource, "meta": {}, "links": {"self": path}}
    query = f"?contract_id={acme.contract_id}"
    assert (await acme.guest.get(f"/v2/teams{query}")).json() == {"data": [resource], "meta": {}}
    component = await keyrack.add_component(acme, "timer")
    resource["relationships"]["components"] = {"data": [identifier("component", component)]}
    assert (await acme.guest.get(path)).json()["data"] == resource, "components only when it owns some"


async def test_team_created(acme: TenantInTest) -> None:
    related = {"contract": relationship("contract", acme.contract_id)}
    data = {"attributes": {"name": "Fresh_team-1"}, "relationships": related}
    made = await acme.admin.post("/v2/teams", {"data": data})
    team = made.json()["data"]["id"]
    assert made.status_code == 201
    assert made.json() == {
        "data": {
            "id": team,
            "type": "team",
            "links": {"self": f"/v2/teams/{team}"},
            "attributes": {"name": "Fresh_team-1"},
            "relationships": {
                "contract": rel("contract", acme.contract_id),
                "users": {"data": [identifier("user", acme.admin.id)]},  # the creator is a member
            },
        },
        "meta": {},
    }
    again = await acme.admin.post("/v2/teams", {"data": data})
    assert error_of(again) == (409, "already_exists", "/data/attributes/name")
    nameless = await acme.admin.post("/v2/teams", {"data": {"type": "team", "relationships": related}})
    assert nameless.json()["data"]["attributes"]["name"], "generated"


async def test_team_names_are_unique_in_the_installation(keyrack: World, acme: TenantInTest) -> None:
    globex = keyrack.tenants["Globex"]
    related = {"contract": relationship("contract", globex.contract_id)}
    data = {"type": "team", "attributes": {"name": "acme"}, "relationships": related}
    answer = await globex.admin.post("/v2/teams", {"data": data})
    assert error_of(answer) == (409, "already_exists", "/data/attributes/name")
    assert acme.id not in answer.text


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ü", "a\n", "a.b"])
async def test_team_with_a_wrong_name_is_400(acme: TenantInTest, name: str) -> None:
    related = {"contract": relationship("contract", acme.contract_id)}
    answer = await acme.admin.post("/v2/teams", {"data": {"attributes": {"name": name}, "relationships": related}})
    assert error_of(answer) == (400, "validation_error", "/data/attributes/name")


async def test_team_member_added(acme: TenantInTest) -> None:
    path = f"/v2/teams/{acme.team_id}/relationships/members"
    for _ in range(2):  # adding again changes nothing (JSON:API 1.1, updating to-many relationships)
        answer = await acme.admin.post(path, {"data": identifier("user", acme.guest.id)})
        assert answer.status_code == 200
        users = answer.json()["data"]["relationships"]["users"]["data"]
        assert users == [identifier("user", each) for each in (acme.admin.id, acme.guest.id)]
    outside = await acme.admin.post(path, {"data": identifier("user", acme.stranger.id)})
    assert error_of(outside) == (404, "related_not_found", "/data/id"), "only members of the contract"
