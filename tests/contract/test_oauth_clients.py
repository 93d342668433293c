"""OAuth clients: contract section 8, rules 8.1 to 8.6, and rules 24.1 to 24.9.

What blocks a deletion is in `test_in_use.py`, what a component finds at run time in `test_runtime_environment.py`.
"""

from collections.abc import Callable
from typing import Any

import pytest

from support.app import Caller, World, error_of, relationship
from support.documents import faults, ids, rel

PIZZA = {"title": "Pizza Van", "useOAuthClient": True, "credentials": {"oauth2": {}}}
NO_ID = "0" * 24
COMPONENT_ID = "/data/relationships/component/data/id"
COMPONENT_TYPE = "/data/relationships/component/data/type"


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


async def made(world: World, component_id: str, tenant: str = "Globex") -> str:
    answer = await admin(world, tenant).post(path(world, tenant), body(component_id))
    assert answer.status_code == 201, answer.text
    identifier: str = answer.json()["data"]["id"]
    return identifier


def resource(client: str, component_id: str | None, client_id: str = "id", secret: str = "shh") -> dict[str, Any]:
    """The skeleton of section 8: no links, no tenant, `relationships` absent as a whole without a component."""
    attributes = {"client_id": client_id, "client_secret": secret}
    found: dict[str, Any] = {"id": client, "type": "oauth-client", "attributes": attributes}
    if component_id is not None:
        found["relationships"] = {"component": rel("component", component_id)}
    return found


async def test_every_route_answers_the_resource(keyrack: World, component: str) -> None:  # 8.1, 24.7: secret in clear
    created = await admin(keyrack).post(path(keyrack), body(component))
    client = created.json()["data"]["id"]
    document = {"data": resource(client, component), "meta": {}}
    assert (created.status_code, created.json()) == (201, document)
    assert created.headers["cache-control"] == "no-store"  # 0.18
    one = f"{path(keyrack)}/{client}"
    read = await admin(keyrack).get(one)
    assert (read.status_code, read.json()) == (200, document)
    listed = await admin(keyrack).get(path(keyrack))
    assert (listed.status_code, listed.json()) == (200, {"data": [document["data"]], "meta": {}})
    changed = await admin(keyrack).patch(one, body(component, "new", "other"))
    document["data"] = resource(client, component, "new", "other")
    assert (changed.status_code, changed.json()) == (200, document)
    deleted = await admin(keyrack).delete(one)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert error_of(await admin(keyrack).get(one))[:2] == (404, "not_found")


# fmt: off
ROUTES: dict[str, str] = {
    "tenants.oauth_clients.create": "POST {clients}",
    "tenants.oauth_clients.get":    "GET {clients}",
    "tenants.oauth_clients.edit":   "PATCH {clients}/{client}",
    "tenants.oauth_clients.delete": "DELETE {clients}/{client}",
}
"""8.1: each route and the only permission that it needs."""
# fmt: on


@pytest.mark.parametrize("held", ROUTES)
async def test_each_route_checks_exactly_one_permission(keyrack: World, component: str, held: str) -> None:  # 8.1, 24.7
    other = await keyrack.add_component(keyrack.tenants["Acme"], "other", PIZZA, access="global")
    client = await made(keyrack, component)
    who = await keyrack.add_service_account(held)
    for route, line in ROUTES.items():
        method, target = line.format(clients=path(keyrack), client=client).split()
        answer = await who.call(method, target, body(other) if method == "POST" else body(component))
        assert answer.is_success is (held == route), (route, answer.text)
        assert answer.is_success or error_of(answer)[:2] == (403, "forbidden")
        if route.endswith(".get"):
            assert (await who.get(f"{target}/{client}")).is_success is (held == route)
            assert (await who.get(f"{target}/{client}/usage")).is_success is (held == route)


async def test_the_four_permissions_are_not_listed(keyrack: World) -> None:  # 24.7, 6.1
    assert "oauth_clients" not in (await admin(keyrack).get("/v2/permissions")).text


CALLERS: dict[str, Callable[[World], Caller]] = {
    "integrator of the tenant": lambda world: world.tenants["Globex"].integrator,
    "guest of the tenant": lambda world: world.tenants["Globex"].guest,
    "another tenant's admin": lambda world: world.tenants["Acme"].admin,
}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_only_the_tenants_own_admin(keyrack_to_read: World, caller: str, method: str) -> None:  # 8.1: 403
    answer = await CALLERS[caller](keyrack_to_read).call(method, path(keyrack_to_read), body(NO_ID))
    assert error_of(answer)[:2] == (403, "forbidden")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_unknown_tenant_unknown_client_and_another_tenants_are_404(  # 8.1
    keyrack: World, component: str, method: str
) -> None:
    foreign = await made(keyrack, component, "Acme")
    for target in (f"{path(keyrack)}/{NO_ID}", f"{path(keyrack)}/nonsense", f"{path(keyrack)}/{foreign}"):
        assert error_of(await admin(keyrack).call(method, target, body(component)))[:2] == (404, "not_found")
    unknown = f"/v2/tenants/{NO_ID}/oauth-clients"
    assert error_of(await admin(keyrack).call(method, f"{unknown}/{foreign}", body(component)))[:2] == (
        404,
        "not_found",
    )
    assert error_of(await admin(keyrack).get(unknown))[:2] == (404, "not_found")


def without(*at: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for step in at[:-1]:
            data = data[step]
        del data[at[-1]]

    return change


def setting(value: object, *at: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for step in at[:-1]:
            data = data[step]
        data[at[-1]] = value

    return change


LINK = ("relationships", "component", "data")
# fmt: off
REFUSED: list[tuple[str, Callable[[dict[str, Any]], None], str, str]] = [
    # section, what is wrong,                              code,               pointer
    ("8.2", without("type"),                               "validation_error", "/data/type"),
    ("8.2", setting("credential", "type"),                 "type_conflict",    "/data/type"),
    ("8.2", without("attributes"),                         "validation_error", "/data/attributes"),
    ("8.2", without("attributes", "client_id"),            "validation_error", "/data/attributes/client_id"),
    ("8.2", without("attributes", "client_secret"),        "validation_error", "/data/attributes/client_secret"),
    ("8.2", setting("", "attributes", "client_id"),        "validation_error", "/data/attributes/client_id"),
    ("8.2", setting(" \t", "attributes", "client_secret"), "validation_error", "/data/attributes/client_secret"),
    ("8.2", setting(17, "attributes", "client_id"),        "validation_error", "/data/attributes/client_id"),
    ("8.2", setting(None, "attributes", "client_secret"),  "validation_error", "/data/attributes/client_secret"),
    ("8.2", setting("x" * 4097, "attributes", "client_id"), "validation_error", "/data/attributes/client_id"),
    ("8.2", without("relationships"),                      "validation_error", "/data/relationships"),
    ("8.2", without("relationships", "component"),         "validation_error", "/data/relationships/component"),
    ("8.2", without(*LINK, "id"),                          "validation_error", COMPONENT_ID),
    ("8.2", without(*LINK, "type"),                        "validation_error", COMPONENT_TYPE),
    ("4",   setting("flow", *LINK, "type"),                "validation_error", COMPONENT_TYPE),
    ("8.2", setting(NO_ID, *LINK, "id"),                   "related_not_found", COMPONENT_ID),
    ("8.2", setting("nonsense", *LINK, "id"),              "related_not_found", COMPONENT_ID),
]
"""What create and update both refuse: all five parameters are required, in the PATCH as well (8.2, 8.4, 24.8)."""
# fmt: on
STATUS = {"validation_error": 400, "type_conflict": 409, "related_not_found": 404}


@pytest.fixture(scope="module")
async def standing(keyrack_to_read: World) -> tuple[str, str]:
    """A component and Globex's client for it, which no request of these tests changes."""
    component_id = await keyrack_to_read.add_component(keyrack_to_read.tenants["Acme"], "standing", PIZZA, "global")
    return component_id, await made(keyrack_to_read, component_id)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(("section", "wrong", "code", "pointer"), REFUSED)
async def test_refused(
    keyrack_to_read: World,
    standing: tuple[str, str],
    section: str,
    wrong: Callable[[dict[str, Any]], None],
    code: str,
    pointer: str,
    method: str,
) -> None:
    component_id, client = standing
    request = body(component_id, "changed")
    wrong(request["data"])
    who, clients = admin(keyrack_to_read), path(keyrack_to_read)
    answer = await who.call(method, clients if method == "POST" else f"{clients}/{client}", request)
    assert error_of(answer) == (STATUS[code], code, pointer), section
    assert (await who.get(clients)).json()["data"] == [resource(client, component_id)], "nothing changed"


async def test_all_that_is_wrong_is_reported_together(keyrack_to_read: World) -> None:  # 3, 8.2
    request = {"data": {"type": "oauth-client", "attributes": {"client_id": " "}}}
    answer = await admin(keyrack_to_read).post(path(keyrack_to_read), request)
    assert answer.status_code == 400
    assert faults(answer) == {
        "/data/attributes/client_id",
        "/data/attributes/client_secret",
        "/data/relationships",
    }


async def test_create_takes_the_documented_wrong_type_but_update_does_not(  # 8.2, 8.4, 24.8, 23.1
    keyrack: World, component: str
) -> None:
    created = await admin(keyrack).post(path(keyrack), body(component, kind="flow"))
    assert (created.status_code, created.json()["data"]["type"]) == (201, "oauth-client")
    one = f"{path(keyrack)}/{created.json()['data']['id']}"
    answer = await admin(keyrack).patch(one, body(component, kind="flow"))
    assert error_of(answer) == (409, "type_conflict", "/data/type")


async def test_values_are_stored_verbatim(keyrack: World, component: str) -> None:  # 8.2: no trimming, to 4096
    client_id, secret = " id with spaces\t", "s" * 4095 + " "
    created = await admin(keyrack).post(path(keyrack), body(component, client_id, secret))
    assert created.json()["data"]["attributes"] == {"client_id": client_id, "client_secret": secret}


async def test_a_made_up_id_is_ignored_but_must_not_exist(keyrack: World, component: str) -> None:  # 4
    request = body(component)
    request["data"]["id"] = NO_ID
    created = await admin(keyrack).post(path(keyrack), request)
    assert created.status_code == 201
    request["data"]["id"] = created.json()["data"]["id"]
    assert request["data"]["id"] != NO_ID
    assert error_of(await admin(keyrack).post(path(keyrack), request)) == (409, "id_conflict", "/data/id")
    request["data"]["id"] = NO_ID
    one = f"{path(keyrack)}/{created.json()['data']['id']}"
    assert error_of(await admin(keyrack).patch(one, request)) == (409, "id_conflict", "/data/id")


@pytest.mark.parametrize("access", ["team", "tenant", "global"])
async def test_visible_is_what_the_tenant_sees(keyrack: World, access: str) -> None:  # 8.2, section 5, 24.3
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], access, None, access=access)
    own = await admin(keyrack, "Acme").post(path(keyrack, "Acme"), body(component_id))
    assert own.status_code == 201, "any access inside the own tenant, and no build is needed"
    foreign = await admin(keyrack).post(path(keyrack), body(component_id))
    if access == "global":
        assert foreign.status_code == 201, "visibility for this check ignores the gate"
    else:
        assert error_of(foreign) == (404, "related_not_found", COMPONENT_ID), "the same answer as for an unknown one"


async def test_one_client_for_each_component_and_tenant(keyrack: World, component: str) -> None:  # 8.2, 24.1
    await made(keyrack, component)
    again = await admin(keyrack).post(path(keyrack), body(component, "second"))
    assert error_of(again) == (409, "already_exists", COMPONENT_ID)
    await made(keyrack, component, "Acme")


async def test_filter(keyrack: World, component: str) -> None:  # 8.3
    other = await keyrack.add_component(keyrack.tenants["Acme"], "other", PIZZA, access="global")
    first, second = await made(keyrack, component), await made(keyrack, other)
    # fmt: off
    for query, found in {
        f"?filter[component]={component}":       [first],
        f"?filter%5Bcomponent%5D={component}":   [first],
        f"/?filter[component]={other}":          [second],
        f"?filter[component]={NO_ID}":           [],
        "?filter[component]=":                   [first, second],
        "?nonsense=x":                          [first, second],
        "":                                      [first, second],
    }.items():
        assert ids(await admin(keyrack).get(path(keyrack) + query)) == found, query
    # fmt: on
    unknown = await admin(keyrack).get(f"{path(keyrack)}?filter[nonsense]=x")
    assert unknown.status_code == 400, "0.22"
    assert unknown.json()["errors"][0]["source"] == {"parameter": "filter[nonsense]"}


async def test_pages_only_when_asked(keyrack: World, component: str) -> None:  # 8.3, 4
    await made(keyrack, component)
    paged = (await admin(keyrack).get(f"{path(keyrack)}?page[size]=1&page[number]=2")).json()
    assert paged == {"data": [], "meta": {"page": 2, "per_page": 1, "total": 1, "total_pages": 1}}


async def test_a_client_outlives_its_component(keyrack: World, component: str) -> None:  # 8.3, 8.5, 24.6
    client = await made(keyrack, component)
    assert (await admin(keyrack, "Acme").delete(f"/v2/components/{component}")).status_code == 204
    one = f"{path(keyrack)}/{client}"
    assert (await admin(keyrack).get(one)).json() == {"data": resource(client, None), "meta": {}}
    filtered = await admin(keyrack).get(f"{path(keyrack)}?filter[component]={component}")
    assert filtered.json()["data"] == [resource(client, None)]
    again = await admin(keyrack).patch(one, body(component))
    assert error_of(again) == (404, "related_not_found", COMPONENT_ID), "the dead id is no target"
    alive = await keyrack.add_component(keyrack.tenants["Acme"], "alive", PIZZA, access="global")
    moved = await admin(keyrack).patch(one, body(alive))
    assert moved.json()["data"] == resource(client, alive)
    await keyrack.set_access(keyrack.tenants["Acme"], alive, "tenant")  # the same when it becomes hidden
    assert (await admin(keyrack).get(one)).json()["data"] == resource(client, None)
    assert (await admin(keyrack).delete(one)).status_code == 204


async def test_a_client_moves_to_another_component(keyrack: World, component: str) -> None:  # 8.4
    other = await keyrack.add_component(keyrack.tenants["Acme"], "other", PIZZA, access="global")
    taken = await keyrack.add_component(keyrack.tenants["Acme"], "taken", PIZZA, access="global")
    client, _ = await made(keyrack, component), await made(keyrack, taken)
    one = f"{path(keyrack)}/{client}"
    clash = await admin(keyrack).patch(one, body(taken))
    assert error_of(clash) == (409, "already_exists", COMPONENT_ID)
    moved = await admin(keyrack).patch(one, body(other))
    assert (moved.status_code, moved.json()["data"]) == (200, resource(client, other))
    await made(keyrack, component)  # the old one is free again
