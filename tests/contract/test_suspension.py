"""A suspended contract: flows stopped, no writing in it or its workspaces (contract section 9, 17); decision 6.

Every route that writes has a row or is outside of contracts, so a new one must say what suspension does to it.
"""

from typing import Any

import pytest
from litestar.routes import HTTPRoute

from keyrack.simulator.testing import running_simulator
from support.app import Caller, TenantInTest, World, error_of, relationship
from support.auth_clients import auth_client
from support.flows import Site, flow_body, graph_of, node, site, step_of
from support.grants import connect
from support.secrets import resource

CLOSED, OPEN = "closed", "open"
OUTSIDE = ("/v2/tenants", "/v2/users", "/v2/service-accounts")
"""Below these nothing is part of a contract."""

# fmt: off
ROUTES: list[tuple[str, str, str]] = [
    ("PUT",    "/v1/accounts/{credential_id}",                          CLOSED),
    ("POST",   "/v2/contracts",                                         OPEN),  # makes another
    ("PATCH",  "/v2/contracts/{contract_id}",                           CLOSED),
    ("DELETE", "/v2/contracts/{contract_id}",                           OPEN),
    ("POST",   "/v2/contracts/{contract_id}/suspend",                   OPEN),
    ("POST",   "/v2/contracts/{contract_id}/unsuspend",                 OPEN),
    ("POST",   "/v2/contracts/{contract_id}/members",                   CLOSED),
    ("PATCH",  "/v2/contracts/{contract_id}/members/{user_id}",         CLOSED),
    ("DELETE", "/v2/contracts/{contract_id}/members/{user_id}",         CLOSED),
    ("POST",   "/v2/contracts/{contract_id}/invites",                   CLOSED),
    ("PATCH",  "/v2/contracts/{contract_id}/invites/{invite_id}",       CLOSED),
    ("DELETE", "/v2/contracts/{contract_id}/invites/{invite_id}",       CLOSED),
    ("POST",   "/v2/workspaces",                                        CLOSED),
    ("PATCH",  "/v2/workspaces/{workspace_id}",                         CLOSED),
    ("DELETE", "/v2/workspaces/{workspace_id}",                         CLOSED),
    ("POST",   "/v2/workspaces/{workspace_id}/members",                 CLOSED),
    ("PATCH",  "/v2/workspaces/{workspace_id}/members/{user_id}",       CLOSED),
    ("DELETE", "/v2/workspaces/{workspace_id}/members/{user_id}",       CLOSED),
    ("POST",   "/v2/workspaces/{workspace_id}/oauth-consents",          CLOSED),
    ("POST",   "/v2/workspaces/{workspace_id}/connect-links",           CLOSED),
    ("POST",   "/v2/workspaces/{workspace_id}/secrets",                 CLOSED),
    ("PATCH",  "/v2/workspaces/{workspace_id}/secrets/{secret_id}",     CLOSED),
    ("DELETE", "/v2/workspaces/{workspace_id}/secrets/{secret_id}",     CLOSED),
    ("POST",   "/v2/workspaces/{workspace_id}/secrets/{secret_id}/refresh", CLOSED),
    ("POST",   "/v2/workspaces/{workspace_id}/secrets/{secret_id}/dpop-proof", OPEN),  # goes with reading the token
    ("POST",   "/v2/workspaces/{workspace_id}/mcp-servers",             CLOSED),
    ("POST",   "/v2/teams",                                             CLOSED),
    ("PATCH",  "/v2/teams/{team_id}",                                   CLOSED),
    ("DELETE", "/v2/teams/{team_id}",                                   CLOSED),
    ("POST",   "/v2/teams/{team_id}/relationships/members",             CLOSED),
    ("DELETE", "/v2/teams/{team_id}/relationships/members",             CLOSED),
    ("POST",   "/v2/components",                                        CLOSED),
    ("PATCH",  "/v2/components/{component_id}",                         CLOSED),
    ("DELETE", "/v2/components/{component_id}",                         CLOSED),
    ("PUT",    "/v2/components/{component_id}/env",                     CLOSED),
    ("POST",   "/v2/components/{component_id}/versions",                CLOSED),
    ("DELETE", "/v2/components/{component_id}/versions/{revision}",     CLOSED),
    ("POST",   "/v2/auth-clients",                                      CLOSED),
    ("POST",   "/v2/auth-clients/{auth_client_id}/diagnose",            OPEN),
    ("POST",   "/v2/auth-clients/{auth_client_id}/secret-rotation",     CLOSED),
    ("PATCH",  "/v2/auth-clients/{auth_client_id}/secret-rotation",     CLOSED),
    ("DELETE", "/v2/auth-clients/{auth_client_id}/secret-rotation",     CLOSED),
    ("PATCH",  "/v2/auth-clients/{auth_client_id}",                     CLOSED),
    ("DELETE", "/v2/auth-clients/{auth_client_id}",                     CLOSED),
    ("POST",   "/v2/credentials",                                       CLOSED),
    ("PATCH",  "/v2/credentials/{credential_id}",                       CLOSED),
    ("DELETE", "/v2/credentials/{credential_id}",                       CLOSED),
    ("POST",   "/v2/flows",                                             CLOSED),
    ("PATCH",  "/v2/flows/{flow_id}",                                   CLOSED),
    ("DELETE", "/v2/flows/{flow_id}",                                   OPEN),
    ("POST",   "/v2/flows/{flow_id}/start",                             CLOSED),
    ("POST",   "/v2/flows/{flow_id}/stop",                              CLOSED),
    ("PUT",    "/v2/flows/{flow_id}/draft",                             CLOSED),
    ("DELETE", "/v2/flows/{flow_id}/draft",                             CLOSED),
    ("POST",   "/v2/flows/{flow_id}/task-keys",                         CLOSED),
]
# fmt: on


def routes(world: World) -> set[tuple[str, str]]:
    """All routes, from the application itself, so that one which /openapi.json leaves out is seen as well."""
    app = world.litestar
    return {
        (method, route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path_format.startswith(("/v1", "/v2"))
        for method in route.methods - {"OPTIONS", "HEAD"}
    }


def path_of(acme: TenantInTest, action: str = "") -> str:
    return f"/v2/contracts/{acme.contract_id}{action}"


@pytest.fixture(scope="module")
async def closed(keyrack_to_read: World) -> Site:
    """Everything that a contract can hold, and the contract suspended."""
    acme = keyrack_to_read.tenants["Acme"]
    made = await site(keyrack_to_read, acme, "own")
    assert (await acme.admin.post(path_of(acme, "/suspend"))).status_code == 202
    return made


def body(path: str, there: Site) -> Any:
    """Bodies that say which place is meant; in all others the place is in the path, which is judged first."""
    in_contract = {"contract": relationship("contract", there.contract_id)}
    in_workspace = {"workspace": relationship("workspace", there.workspace_id)}
    of_component = {"component": relationship("component", there.component_id)}
    in_team = {"team": relationship("team", there.team_id)}
    placed: dict[str, Any] = {
        "/v2/workspaces": {"type": "workspace", "attributes": {"name": "New"}, "relationships": in_contract},
        "/v2/teams": {"type": "team", "relationships": in_contract},
        "/v2/components": {"type": "component", "attributes": {"name": "new"}, "relationships": in_team},
        "/v2/credentials": {"type": "credential", "attributes": {}, "relationships": {**of_component, **in_workspace}},
        "/v2/flows": flow_body(there.workspace_id, "acme/own-ledger:due")["data"],
        "/v2/auth-clients": auth_client([there.second_id], ("workspace", there.workspace_id))["data"],
    }
    if path.endswith(("/start", "/stop", "/task-keys", "/refresh", "/diagnose")):
        return None
    return {"data": placed.get(path, {})}


CLOSED_ROUTES = [(method, path) for method, path, what in ROUTES if what == CLOSED]


@pytest.mark.parametrize(("method", "path"), CLOSED_ROUTES)
async def test_whoever_may_write_is_told_that_the_contract_is_suspended(
    keyrack_to_read: World, closed: Site, method: str, path: str
) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    who = keyrack_to_read.support if path.endswith("/task-keys") else acme.admin  # who holds every role there
    answer = await who.call(method, path.format(**closed.ids), body(path, closed))
    assert error_of(answer)[:2] == (403, "contract_suspended"), answer.text


STRANGERS = ["stranger", "elsewhere"]


@pytest.mark.parametrize(("method", "path"), CLOSED_ROUTES)
@pytest.mark.parametrize("column", STRANGERS)
async def test_whoever_may_not_learns_nothing_of_it(
    keyrack_to_read: World, closed: Site, method: str, path: str, column: str
) -> None:
    others = {
        "stranger": keyrack_to_read.tenants["Acme"].stranger,
        "elsewhere": keyrack_to_read.tenants["Globex"].admin,
    }
    answer = await others[column].call(method, path.format(**closed.ids), body(path, closed))
    # which of them each gets is in the table of tests/tenancy; here it is that nobody is told of the suspension
    assert error_of(answer)[:2] in {(403, "forbidden"), (404, "not_found"), (404, "related_not_found")}, answer.text


def test_every_route_that_writes_is_in_the_table(keyrack_to_read: World) -> None:
    writing = {(method, path) for method, path in routes(keyrack_to_read) if method != "GET"}
    inside = {(method, path) for method, path in writing if not path.startswith(OUTSIDE)}
    assert inside == {(method, path) for method, path, _ in ROUTES}


async def test_reading_goes_on(keyrack_to_read: World, closed: Site) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    contract = resource(await acme.integrator.get(path_of(acme)))
    assert contract["attributes"]["status"] == "suspended"
    listed = (await acme.integrator.get("/v2/contracts")).json()["data"]
    assert [each["attributes"]["status"] for each in listed] == ["suspended"]
    secret = resource(await closed.user.get(f"/v2/workspaces/{closed.workspace_id}/secrets/{closed.secret_id}"))
    assert secret["attributes"]["credentials"]["access_token"] == "at-1"
    credential = resource(await closed.user.get(f"/v2/credentials/{closed.credential_id}"))
    assert credential["attributes"]["keys"]
    env = f"/v2/workspaces/{closed.workspace_id}/components/{closed.component_id}/runtime-env"
    assert (await keyrack_to_read.support.get(env)).status_code == 200


async def flow_of(who: Caller, flow_id: str) -> dict[str, Any]:
    found: dict[str, Any] = resource(await who.get(f"/v2/flows/{flow_id}"))["attributes"]
    return found


async def test_flows_are_stopped_and_stay_so(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    there = await site(keyrack_on_each, acme, "own")
    near = await site(keyrack_on_each, acme, "near", apart=True)
    step, other = [await step_of(keyrack_on_each, each.flow_id) for each in (there, near)]
    answer = await acme.admin.post(path_of(acme, "/suspend"))
    assert (answer.status_code, answer.content) == (202, b"")
    assert "content-type" not in answer.headers
    flow = await flow_of(there.user, there.flow_id)
    assert (flow["status"], flow["current_status"]) == ("inactive", "inactive")
    assert flow["last_stop_time"]
    assert (await step.get(f"/v2/workspaces/{there.workspace_id}")).status_code == 401, "its key is gone"
    assert (await flow_of(near.user, near.flow_id))["status"] == "active", "of another contract"
    assert (await other.get(f"/v2/workspaces/{near.workspace_id}")).status_code == 200
    refused = await there.user.post(f"/v2/flows/{there.flow_id}/start")
    assert error_of(refused)[:2] == (403, "contract_suspended")  # section 17
    opened = await acme.admin.post(path_of(acme, "/unsuspend"))
    assert (opened.status_code, opened.content) == (204, b"")
    assert (await flow_of(there.user, there.flow_id))["status"] == "inactive"
    assert (await step.get(f"/v2/workspaces/{there.workspace_id}")).status_code == 401
    assert (await there.user.post(f"/v2/flows/{there.flow_id}/start")).status_code == 202


async def test_both_can_be_said_twice(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    for action, status, left in [("/unsuspend", 204, "active"), ("/suspend", 202, "suspended")]:
        contents: tuple[Any, ...] = (None, {})
        for content in contents:  # section 1: an action takes no body or an empty one
            assert (await acme.admin.post(path_of(acme, action), content)).status_code == status
            assert resource(await acme.admin.get(path_of(acme)))["attributes"]["status"] == left
    assert (await acme.admin.post(path_of(acme, "/unsuspend/"))).status_code == 204, "section 1: trailing slash"
    assert (await acme.admin.post(path_of(acme, "/suspend"), [])).status_code == 400
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?target={acme.contract_id}")).json()["data"]
    done = [event["attributes"]["action"] for event in events]
    assert done == ["contract.unsuspend"] * 2 + ["contract.suspend"] * 2 + ["contract.unsuspend"]


@pytest.mark.parametrize(("action", "status"), [("/suspend", 202), ("/unsuspend", 204)])
async def test_who_may(keyrack: World, action: str, status: int) -> None:
    acme = keyrack.tenants["Acme"]
    owner = await keyrack.add_user(acme.id, "owner@acme.example")
    member = {"type": "contract-member", "id": owner.id, "attributes": {"roles": ["owner", "admin"]}}
    assert (await acme.admin.post(path_of(acme, "/members"), {"data": member})).status_code == 200
    bare = await keyrack.add_service_account("contracts.contract.get")
    for who in (owner, acme.integrator, acme.stranger, keyrack.tenants["Globex"].admin, bare):
        assert error_of(await who.post(path_of(acme, action)))[:2] == (403, "forbidden")
    able = await keyrack.add_service_account(f"contracts.contract.{action[1:]}")
    for who in (acme.admin, able):
        assert (await who.post(path_of(acme, action))).status_code == status
    assert error_of(await acme.admin.post(f"/v2/contracts/{'0' * 24}{action}"))[:2] == (404, "not_found")


async def test_flows_can_be_deleted(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    there = await site(keyrack, acme, "own")
    assert (await acme.admin.post(path_of(acme, "/suspend"))).status_code == 202
    assert (await there.user.delete(f"/v2/flows/{there.flow_id}")).status_code == 204
    assert (await there.user.get(f"/v2/flows/{there.flow_id}")).status_code == 404


async def test_flows_of_other_contracts_use_its_components_as_before(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    near = await site(keyrack, acme, "near", apart=True)  # whose components are the suspended contract's
    assert (await acme.admin.post(path_of(acme, "/suspend"))).status_code == 202
    graph = graph_of(node("acme/near-ledger:due"))
    made = resource(await near.user.post("/v2/flows", flow_body(near.workspace_id, graph=graph)), 201)
    assert (await near.user.post(f"/v2/flows/{made['id']}/start")).status_code == 202


async def test_a_reader_still_gets_a_fresh_token(keyrack: World) -> None:  # no grant dies of a suspension: decision 6
    acme = keyrack.tenants["Acme"]
    async with running_simulator() as simulator:
        connected = await connect(keyrack, simulator, {"rotation": "strict"})
        assert (await acme.admin.post(path_of(acme, "/suspend"))).status_code == 202
        path = f"/v2/workspaces/{connected.secret.workspace_id}/secrets/{connected.secret.id}"
        found = resource(await acme.integrator.get(path))["attributes"]
        assert found["state"] == "ready"
        assert found["credentials"]["access_token"] != connected.secret.credentials["access_token"]
