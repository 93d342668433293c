"""OAuth clients: contract section 8 and the rules 1 to 9 of section 24."""

from typing import Any

import pytest

from support.app import Caller, World, error_of, relationship

PIZZA = {"title": "Pizza Van", "useOAuthClient": True, "credentials": {"oauth2": {}}}


def body(component_id: str, client_id: str = "id", secret: str = "shh", kind: str = "oauth-client") -> dict[str, Any]:
    return {
        "data": {
            "type": kind,
            "attributes": {"client_id": client_id, "client_secret": secret},
            "relationships": {"component": relationship("component", component_id)},
        }
    }


@pytest.fixture
async def component(keyrack: World) -> str:
    return await keyrack.add_component(keyrack.tenants["Acme"], "pizza-van", PIZZA, access="global")


def path(world: World, tenant: str = "Globex") -> str:
    return f"/v2/tenants/{world.tenants[tenant].id}/oauth-clients"


def admin(world: World, tenant: str = "Globex") -> Caller:
    return world.tenants[tenant].admin


async def test_create_answers_201_with_the_secret_in_clear(keyrack: World, component: str) -> None:  # 8.1
    made = await admin(keyrack).post(path(keyrack), body(component))
    assert made.status_code == 201
    data = made.json()["data"]
    assert made.json() == {
        "data": {
            "id": data["id"],
            "type": "oauth-client",
            "attributes": {"client_id": "id", "client_secret": "shh"},
            "relationships": {
                "component": {
                    "data": {"id": component, "type": "component"},
                    "links": {"self": f"/v2/components/{component}"},
                }
            },
        },
        "meta": {},
    }
    assert made.headers["cache-control"] == "no-store"  # 0.18


async def test_second_client_for_a_component_is_409(keyrack: World, component: str) -> None:  # 24.1
    await admin(keyrack).post(path(keyrack), body(component))
    again = await admin(keyrack).post(path(keyrack), body(component))
    assert error_of(again)[:2] == (409, "already_exists")
    other = await admin(keyrack, "Acme").post(path(keyrack, "Acme"), body(component))
    assert other.status_code == 201, "each tenant may have its own"


async def test_all_missing_members_are_reported_together(keyrack: World) -> None:  # 3, 8.2
    answer = await admin(keyrack).post(
        path(keyrack), {"data": {"type": "oauth-client", "attributes": {"client_id": " "}}}
    )
    assert answer.status_code == 400
    assert {error["source"]["pointer"] for error in answer.json()["errors"]} == {
        "/data/attributes/client_id",
        "/data/attributes/client_secret",
        "/data/relationships",
    }


async def test_create_takes_the_documented_wrong_type_but_no_other(keyrack: World, component: str) -> None:  # 8.2
    assert error_of(await admin(keyrack).post(path(keyrack), body(component, kind="credential")))[:2] == (
        409,
        "type_conflict",
    )
    assert (await admin(keyrack).post(path(keyrack), body(component, kind="flow"))).status_code == 201


async def test_invisible_component_is_404(keyrack: World) -> None:  # 8.2
    hidden = await keyrack.add_component(keyrack.tenants["Acme"], "hidden", PIZZA, access="tenant")
    for component_id in (hidden, "0" * 24, "nonsense"):
        answer = await admin(keyrack).post(path(keyrack), body(component_id))
        assert error_of(answer) == (404, "related_not_found", "/data/relationships/component/data/id")


async def test_only_the_tenant_admin_and_not_of_another_tenant(keyrack: World) -> None:  # 8.1
    assert (await keyrack.tenants["Globex"].integrator.get(path(keyrack))).status_code == 403
    assert (await admin(keyrack, "Acme").get(path(keyrack))).status_code == 403
    assert (await admin(keyrack).get(f"/v2/tenants/{'0' * 24}/oauth-clients")).status_code == 404
    assert (await keyrack.support.get(path(keyrack))).status_code == 200


async def test_filter_trailing_slash_and_replacement(keyrack: World, component: str) -> None:  # 8.3, 8.4
    made = (await admin(keyrack).post(path(keyrack) + "/", body(component))).json()["data"]["id"]
    listed = await admin(keyrack).get(f"{path(keyrack)}/?filter[component]={component}")
    assert [entry["id"] for entry in listed.json()["data"]] == [made]
    assert (await admin(keyrack).get(f"{path(keyrack)}?filter%5Bcomponent%5D={'0' * 24}")).json() == {
        "data": [],
        "meta": {},
    }
    changed = await admin(keyrack).patch(f"{path(keyrack)}/{made}", body(component, "new", "other"))
    assert changed.json()["data"]["attributes"] == {"client_id": "new", "client_secret": "other"}
    assert (
        error_of(await admin(keyrack).patch(f"{path(keyrack)}/{made}", body(component, kind="flow")))[1]
        == "type_conflict"
    )
    assert (await admin(keyrack).delete(f"{path(keyrack)}/{made}")).status_code == 204
    assert (await admin(keyrack).get(f"{path(keyrack)}/{made}")).status_code == 404
