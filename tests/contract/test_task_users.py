"""What a running step may do, route by route: contract section 2, with 0.3, 0.10, 10, 13 to 18.3; errors as in 3.

Every route of the application has a row. The columns are where the resource is: in the step's own workspace, in another
contract of its tenant, in another tenant.
"""

from typing import Any

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from support.app import Caller, World, error_of, relationship
from support.auth_clients import auth_client
from support.flows import flow_body, graph_of, node
from support.task_users import Site, site, step_of

OK, NO = (200, 403, 403), (403, 403, 403)
LEAF, REFUSED, UNSEEN = (200, 404, 404), (403, 404, 404), (404, 404, 404)

# fmt: off
ROUTES: list[tuple[str, str, str, tuple[int, int, int]]] = [
    # section, method, path with query                             own, near, far
    ("18.3", "GET",    "/v1/tasks/{flow_id}/steps/{step_id}",                    LEAF),
    ("18.3", "PUT",    "/v1/accounts/{credential_id}",                           LEAF),
    ("6.4",  "GET",    "/v2/permissions",                                        NO),
    ("7",    "GET",    "/v2/tenants",                                            NO),
    ("7",    "POST",   "/v2/tenants",                                            NO),
    ("7",    "GET",    "/v2/tenants/{tenant_id}",                                NO),
    ("7",    "PATCH",  "/v2/tenants/{tenant_id}",                                NO),
    ("7",    "DELETE", "/v2/tenants/{tenant_id}",                                NO),
    ("6.4",  "GET",    "/v2/tenants/{tenant_id}/roles",                          NO),
    ("6.4",  "PATCH",  "/v2/tenants/{tenant_id}/roles",                          NO),
    ("6.4",  "PATCH",  "/v2/tenants/{tenant_id}/members/{user_id}",              NO),
    ("0.16", "GET",    "/v2/tenants/{tenant_id}/audit-events",                   NO),
    ("14.3", "GET",    "/v2/tenants/{tenant_id}/auth-clients",                   NO),
    ("14.3", "POST",   "/v2/tenants/{tenant_id}/auth-clients",                   NO),
    ("14.3", "GET",    "/v2/tenants/{tenant_id}/auth-clients/{auth_client_id}",  NO),
    ("14.3", "PATCH",  "/v2/tenants/{tenant_id}/auth-clients/{auth_client_id}",  NO),
    ("14.3", "DELETE", "/v2/tenants/{tenant_id}/auth-clients/{auth_client_id}",  NO),
    ("8.1",  "GET",    "/v2/tenants/{tenant_id}/oauth-clients",                  NO),
    ("8.1",  "POST",   "/v2/tenants/{tenant_id}/oauth-clients",                  NO),
    ("8.1",  "GET",    "/v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}", NO),
    ("8.1",  "PATCH",  "/v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}", NO),
    ("8.1",  "DELETE", "/v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}", NO),
    ("0.15", "GET",    "/v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}/usage", NO),
    ("0.6",  "GET",    "/v2/tenants/{tenant_id}/events",                         NO),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/events/{event_id}/replay",       NO),
    ("0.6",  "GET",    "/v2/tenants/{tenant_id}/webhooks",                       NO),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/webhooks",                       NO),
    ("0.6",  "GET",    "/v2/tenants/{tenant_id}/webhooks/{webhook_id}",          NO),
    ("0.6",  "PATCH",  "/v2/tenants/{tenant_id}/webhooks/{webhook_id}",          NO),
    ("0.6",  "DELETE", "/v2/tenants/{tenant_id}/webhooks/{webhook_id}",          NO),
    ("0.6",  "GET",    "/v2/tenants/{tenant_id}/webhooks/{webhook_id}/deliveries", NO),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/webhooks/{webhook_id}/replay",   NO),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/webhooks/{webhook_id}/rotate-secret", NO),
    ("0.6",  "POST",   "/v2/tenants/{tenant_id}/webhooks/{webhook_id}/test",     NO),
    ("9",    "GET",    "/v2/contracts",                                          NO),
    ("9",    "POST",   "/v2/contracts",                                          NO),
    ("10",   "GET",    "/v2/contracts/{contract_id}",                            OK),
    ("9",    "PATCH",  "/v2/contracts/{contract_id}",                            NO),
    ("9",    "DELETE", "/v2/contracts/{contract_id}",                            NO),
    ("9",    "POST",   "/v2/contracts/{contract_id}/suspend",                    NO),
    ("9",    "POST",   "/v2/contracts/{contract_id}/unsuspend",                  NO),
    ("6.4",  "GET",    "/v2/contracts/{contract_id}/roles",                      NO),
    ("9",    "GET",    "/v2/contracts/{contract_id}/members",                    NO),
    ("9",    "POST",   "/v2/contracts/{contract_id}/members",                    NO),
    ("9",    "PATCH",  "/v2/contracts/{contract_id}/members/{user_id}",          NO),
    ("9",    "DELETE", "/v2/contracts/{contract_id}/members/{user_id}",          NO),
    ("9",    "GET",    "/v2/contracts/{contract_id}/invites",                    NO),
    ("9",    "POST",   "/v2/contracts/{contract_id}/invites",                    NO),
    ("9",    "PATCH",  "/v2/contracts/{contract_id}/invites/{invite_id}",        NO),
    ("9",    "DELETE", "/v2/contracts/{contract_id}/invites/{invite_id}",        NO),
    ("9",    "GET",    "/v2/users/me/invites",                                   NO),
    ("9",    "POST",   "/v2/users/me/invites/{invite_id}/accept",                NO),
    ("10",   "GET",    "/v2/workspaces",                                         NO),
    ("10",   "POST",   "/v2/workspaces",                                         NO),
    ("10",   "GET",    "/v2/workspaces/{workspace_id}",                          OK),
    ("10",   "PATCH",  "/v2/workspaces/{workspace_id}",                          NO),
    ("10",   "DELETE", "/v2/workspaces/{workspace_id}",                          NO),
    ("10",   "GET",    "/v2/workspaces/{workspace_id}/members",                  NO),
    ("10",   "POST",   "/v2/workspaces/{workspace_id}/members",                  NO),
    ("10",   "PATCH",  "/v2/workspaces/{workspace_id}/members/{user_id}",        NO),
    ("10",   "DELETE", "/v2/workspaces/{workspace_id}/members/{user_id}",        NO),
    ("13.2", "GET",    "/v2/workspaces/{workspace_id}/components",               OK),
    ("13.2", "GET",    "/v2/workspaces/{workspace_id}/components/{component_id}", OK),
    ("0.3",  "GET",    "/v2/workspaces/{workspace_id}/components/{component_id}/runtime-env", NO),
    ("20.2", "POST",   "/v2/workspaces/{workspace_id}/oauth-consents",           NO),
    ("20.2", "GET",    "/v2/workspaces/{workspace_id}/oauth-consents/{consent_id}", NO),
    ("15.2", "GET",    "/v2/workspaces/{workspace_id}/secrets",                  OK),
    ("15.2", "POST",   "/v2/workspaces/{workspace_id}/secrets",                  NO),
    ("15.2", "GET",    "/v2/workspaces/{workspace_id}/secrets/{secret_id}",      OK),
    ("15.2", "PATCH",  "/v2/workspaces/{workspace_id}/secrets/{secret_id}",      NO),
    ("15.2", "DELETE", "/v2/workspaces/{workspace_id}/secrets/{secret_id}",      NO),
    ("15.3", "POST",   "/v2/workspaces/{workspace_id}/secrets/{secret_id}/refresh", (400, 403, 403)),  # not refreshable
    ("11",   "GET",    "/v2/users/me",                                           NO),
    ("0.2",  "GET",    "/v2/users/me/api-keys",                                  NO),
    ("0.2",  "POST",   "/v2/users/me/api-keys",                                  NO),
    ("0.2",  "DELETE", "/v2/users/me/api-keys/{key_id}",                         NO),
    ("11",   "GET",    "/v2/users",                                              NO),
    ("11",   "POST",   "/v2/users",                                              NO),
    ("11",   "GET",    "/v2/users/{user_id}",                                    UNSEEN),
    ("11",   "DELETE", "/v2/users/{user_id}",                                    UNSEEN),
    ("12",   "GET",    "/v2/teams?contract_id={contract_id}",                    NO),
    ("12",   "POST",   "/v2/teams",                                              NO),
    ("12",   "GET",    "/v2/teams/{team_id}",                                    UNSEEN),
    ("12",   "POST",   "/v2/teams/{team_id}/relationships/members",              UNSEEN),
    ("12",   "DELETE", "/v2/teams/{team_id}/relationships/members",              UNSEEN),
    ("12",   "PATCH",  "/v2/teams/{team_id}",                                    UNSEEN),
    ("12",   "DELETE", "/v2/teams/{team_id}",                                    UNSEEN),
    ("13.2", "GET",    "/v2/components?contract_id={contract_id}",               NO),
    ("13.2", "POST",   "/v2/components",                                         NO),
    ("13.2", "GET",    "/v2/components/all",                                     NO),
    ("13.2", "GET",    "/v2/components/{component_id}",                          LEAF),
    ("13.2", "PATCH",  "/v2/components/{component_id}",                          REFUSED),
    ("13.2", "DELETE", "/v2/components/{component_id}",                          REFUSED),
    ("13.4", "GET",    "/v2/components/{component_id}/env",                      REFUSED),
    ("13.4", "PUT",    "/v2/components/{component_id}/env",                      REFUSED),
    ("13.2", "GET",    "/v2/components/{component_id}/versions",                 REFUSED),
    ("0.3",  "POST",   "/v2/components/{component_id}/versions",                 REFUSED),
    ("13.2", "DELETE", "/v2/components/{component_id}/versions/{revision}",      REFUSED),
    ("13.2", "GET",    "/v2/components/{component_id}/versions/{revision}/descriptor", REFUSED),
    ("14.1", "GET",    "/v2/auth-clients?workspace_id={workspace_id}",           OK),
    ("14.1", "POST",   "/v2/auth-clients",                                       NO),
    ("0.10", "GET",    "/v2/auth-clients/{auth_client_id}",                      LEAF),
    ("14.1", "PATCH",  "/v2/auth-clients/{auth_client_id}",                      REFUSED),
    ("14.1", "DELETE", "/v2/auth-clients/{auth_client_id}",                      REFUSED),
    ("16",   "GET",    "/v2/credentials?workspace_id={workspace_id}",            OK),
    ("16",   "POST",   "/v2/credentials",                                        NO),
    ("16",   "GET",    "/v2/credentials/{credential_id}",                        LEAF),
    ("16",   "PATCH",  "/v2/credentials/{credential_id}",                        REFUSED),
    ("16",   "DELETE", "/v2/credentials/{credential_id}",                        REFUSED),
    ("17",   "GET",    "/v2/flows?workspace_id={workspace_id}",                  OK),
    ("17",   "POST",   "/v2/flows",                                              NO),
    ("17",   "GET",    "/v2/flows/{flow_id}",                                    LEAF),
    ("17",   "PATCH",  "/v2/flows/{flow_id}",                                    REFUSED),
    ("17",   "DELETE", "/v2/flows/{flow_id}",                                    REFUSED),
    ("17",   "POST",   "/v2/flows/{flow_id}/start",                              REFUSED),
    ("17",   "POST",   "/v2/flows/{flow_id}/stop",                               REFUSED),
    ("17",   "GET",    "/v2/flows/{flow_id}/draft",                              REFUSED),
    ("17",   "PUT",    "/v2/flows/{flow_id}/draft",                              REFUSED),
    ("17",   "DELETE", "/v2/flows/{flow_id}/draft",                              REFUSED),
    ("17",   "GET",    "/v2/flows/{flow_id}/versions",                           REFUSED),
    ("17",   "GET",    "/v2/flows/{flow_id}/versions/{version}",                 REFUSED),
    ("0.16", "POST",   "/v2/flows/{flow_id}/task-keys",                          REFUSED),
]
# fmt: on


@pytest.fixture(scope="module")
async def sites(keyrack_to_read: World) -> tuple[Site, Site, Site]:
    """Where the step is, elsewhere in its tenant, and in another tenant."""
    globex, acme = keyrack_to_read.tenants["Globex"], keyrack_to_read.tenants["Acme"]
    own = await site(keyrack_to_read, globex, "own")
    return own, await site(keyrack_to_read, globex, "near", apart=True), await site(keyrack_to_read, acme, "far")


@pytest.fixture(scope="module")
async def step(keyrack_to_read: World, sites: tuple[Site, Site, Site]) -> Caller:
    return await step_of(keyrack_to_read, sites[0].flow_id)


def body(path: str, there: Site) -> Any:
    """The body of a write: valid where it says which place is meant, which is judged before the permission."""
    in_contract = {"contract": relationship("contract", there.contract_id)}
    in_workspace = {"workspace": relationship("workspace", there.workspace_id)}
    of_component = {"component": relationship("component", there.component_id)}
    resources: dict[str, Any] = {
        "/v1/accounts/{credential_id}": {"keys": {"key": "handed back"}},
        "/v2/workspaces": {"type": "workspace", "attributes": {"name": "New"}, "relationships": in_contract},
        "/v2/teams": {"type": "team", "relationships": in_contract},
        "/v2/components": {
            "type": "component",
            "attributes": {"name": "new"},
            "relationships": {"team": relationship("team", there.team_id)},
        },
        "/v2/credentials": {"type": "credential", "attributes": {}, "relationships": {**of_component, **in_workspace}},
        "/v2/flows": flow_body(there.workspace_id, "globex/own-ledger:due")["data"],
        "/v2/auth-clients": auth_client([there.second_id], ("workspace", there.workspace_id))["data"],
    }
    if path.startswith("/v1"):
        return resources[path]
    if path.endswith(("/start", "/stop", "/accept", "/task-keys", "/refresh", "suspend")):
        return None
    return {"data": resources.get(path, {})}


def takes_body(method: str, path: str) -> bool:
    return method in ("POST", "PATCH", "PUT") or path.endswith("/relationships/members")  # which reads that of DELETE


async def call(step: Caller, method: str, path: str, there: Site) -> Any:
    content = body(path, there) if takes_body(method, path) else None
    return await step.call(method, path.format(**there.ids), content)


@pytest.mark.parametrize(("section", "method", "path", "statuses"), ROUTES, ids=str)
async def test_route(
    step: Caller, sites: tuple[Site, Site, Site], section: str, method: str, path: str, statuses: tuple[int, int, int]
) -> None:
    for there, status in zip(sites, statuses, strict=True):
        answer = await call(step, method, path, there)
        assert answer.status_code == status, f"section {section}: {answer.text}"
        if status != 200:
            assert error_of(answer)[1] == {400: "not_refreshable", 403: "forbidden", 404: "not_found"}[status]


def test_every_route_is_in_the_table(keyrack_to_read: World) -> None:
    """Enumerated from the application itself, so that a route which /openapi.json leaves out is seen as well."""
    app: Litestar = keyrack_to_read.app._app  # type: ignore[attr-defined]
    found = {
        (method, route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path_format.startswith(("/v1", "/v2"))
        for method in route.methods - {"OPTIONS"}
    }
    listed = [(method, path.partition("?")[0]) for _, method, path, _ in ROUTES]
    assert len(listed) == len(set(listed))
    assert found == set(listed)


@pytest.mark.parametrize(("section", "method", "path", "statuses"), [row for row in ROUTES if "{" in row[2]], ids=str)
async def test_what_does_not_exist_is_not_found(
    step: Caller, sites: tuple[Site, Site, Site], section: str, method: str, path: str, statuses: tuple[int, int, int]
) -> None:  # section 3
    del statuses
    unknown = dict.fromkeys(sites[0].ids, "f" * 24)
    content = body(path, sites[0]) if takes_body(method, path) else None
    answer = await step.call(method, path.format(**unknown), content)
    wanted = 403 if path.startswith("/v2/users/me/") else 404
    assert answer.status_code == wanted, f"section {section}: {answer.text}"


async def test_way_from_the_workspace_to_its_contract(step: Caller, sites: tuple[Site, Site, Site]) -> None:
    """The way that clients go [CLIENT] (section 10)."""
    workspace = (await step.get(f"/v2/workspaces/{sites[0].workspace_id}")).json()["data"]
    contract = await step.get(f"/v2/contracts/{workspace['relationships']['contract']['data']['id']}")
    assert contract.status_code == 200
    assert contract.json()["data"]["id"] == sites[0].contract_id
    assert "custom_data" not in contract.json()["data"]["attributes"]  # section 9


async def test_members_are_not_told(step: Caller, sites: tuple[Site, Site, Site]) -> None:  # section 2
    for path in (f"/v2/workspaces/{sites[0].workspace_id}", f"/v2/contracts/{sites[0].contract_id}"):
        for include in ("members", "invites", "members,invites"):
            assert error_of(await step.get(f"{path}?include={include}"))[:2] == (403, "forbidden")
        assert sites[0].user.name not in (await step.get(path)).text


async def test_only_components_that_flows_of_its_workspace_name(
    step: Caller, sites: tuple[Site, Site, Site], keyrack_to_read: World
) -> None:  # section 2; the near site's components can be used here as well (section 5), but are not
    own, near, _ = sites
    path = f"/v2/workspaces/{own.workspace_id}/components"
    listed = await step.get(path)
    assert {each["id"] for each in listed.json()["data"]} == {own.component_id, own.second_id}
    everything = {each["id"] for each in (await own.user.get(path)).json()["data"]}
    assert near.component_id in everything
    for component in (near.component_id, near.second_id):
        assert (await step.get(f"{path}/{component}")).status_code == 404
        assert (await step.get(f"/v2/components/{component}")).status_code == 404
    drafted = await keyrack_to_read.add_component(keyrack_to_read.tenants["Globex"], "drafted", {"title": "Drafted"})
    draft = {"type": "flow-draft", "attributes": {"graph": graph_of(node("globex/drafted:x"))}}
    stored = await own.user.put(f"/v2/flows/{own.flow_id}/draft", {"data": draft})
    assert stored.status_code == 200, stored.text
    assert (await step.get(f"/v2/components/{drafted}")).status_code == 404  # a draft does not run


async def test_credentials_come_with_keys(step: Caller, sites: tuple[Site, Site, Site]) -> None:  # 16
    listed = (await step.get(f"/v2/credentials?workspace_id={sites[0].workspace_id}")).json()["data"]
    one = (await step.get(f"/v2/credentials/{sites[0].credential_id}")).json()["data"]
    assert listed == [one]
    assert set(one["attributes"]["keys"]) == {"key"}


async def test_secrets_come_with_credentials(step: Caller, sites: tuple[Site, Site, Site]) -> None:  # 15, 24.17
    path = f"/v2/workspaces/{sites[0].workspace_id}/secrets"
    (listed,) = (await step.get(path)).json()["data"]
    one = (await step.get(f"{path}/{sites[0].secret_id}")).json()["data"]
    assert listed["attributes"]["credentials"]["access_token"] == "at-1"
    assert one["attributes"]["credentials"]["access_token"] == "at-1"


async def test_configuration_of_steps_of_its_workspace(step: Caller, sites: tuple[Site, Site, Site]) -> None:  # 18.2
    first = (await step.get(f"/v1/tasks/{sites[0].flow_id}/steps/step_1")).json()
    assert set(first["config"]) == {"key", "_account"}
    second = (await step.get(f"/v1/tasks/{sites[0].flow_id}/steps/step_2")).json()
    assert second["config"]["credentials"]["access_token"] == "at-1"
    assert (await step.get(f"/v1/tasks/{sites[0].flow_id}/steps/step_3")).status_code == 404
