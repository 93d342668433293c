"""Who sees which component: the predicates of contract section 5, as the routes of 13.2 show them; rules 24.4, 24.27.

`contract_has` is read from `GET /v2/components?contract_id=`, `workspace_has` from the two workspace routes, and
`tenant_sees` from `/v2/components/all` and the creation of an OAuth client, which are not gated.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from support.app import Caller, World, error_of
from support.consent import add_oauth_client
from support.documents import ids
from support.flows import Place, add_contract, add_workspace, flow_body, turn_whitelist_on

PLAIN = {"title": "Plain", "actions": {"run": {}}}
ASKS = {"title": "Asks", "useOAuthClient": True, "actions": {"run": {}}}

OWNER, SIBLING, FOREIGN = "the owning contract", "another contract of its tenant", "another tenant's contract"

# fmt: off
HAS: list[tuple[str, bool, bool, tuple[bool, bool, bool]]] = [
    # access, asks for a client, tenant has one:  owner, sibling, foreign
    ("team",   False, False,                     (True,  False,   False)),
    ("team",   True,  False,                     (True,  False,   False)),
    ("team",   True,  True,                      (True,  False,   False)),
    ("tenant", False, False,                     (True,  True,    False)),
    ("tenant", True,  False,                     (True,  True,    False)),  # "tenant" components are never gated
    ("tenant", True,  True,                      (True,  True,    False)),
    ("global", False, False,                     (True,  True,    True)),
    ("global", True,  False,                     (True,  False,   False)),  # the gate: also for the own tenant
    ("global", True,  True,                      (True,  True,    True)),
]
"""Section 5, `contract_has`: the first table of a component's reach."""
# fmt: on


@dataclass
class Views:
    """Components of one contract of Acme by their row, and three places to look from."""

    world: World
    places: Mapping[str, Place]
    components: dict[tuple[str, bool, bool], str]


@pytest.fixture(scope="module")
async def views(keyrack_to_read: World) -> Views:
    acme, globex = keyrack_to_read.tenants["Acme"], keyrack_to_read.tenants["Globex"]
    components = {}
    for access, asks, has_client, _ in HAS:
        name = f"{access}-{asks}-{has_client}".lower()
        component = await keyrack_to_read.add_component(acme, name, ASKS if asks else PLAIN, access=access)
        components[access, asks, has_client] = component
        if has_client:
            await add_oauth_client(keyrack_to_read, "Acme", component, "id", "secret")
            if access == "global":
                await add_oauth_client(keyrack_to_read, "Globex", component, "id", "secret")
    places = {
        OWNER: Place(acme.contract_id, acme.workspace_id, acme.integrator),
        SIBLING: await add_contract(keyrack_to_read, acme, "sibling"),
        FOREIGN: Place(globex.contract_id, globex.workspace_id, globex.integrator),
    }
    return Views(keyrack_to_read, places, components)


@pytest.mark.parametrize("view", range(3), ids=[OWNER, SIBLING, FOREIGN])
@pytest.mark.parametrize(("access", "asks", "has_client", "expected"), HAS, ids=str)
async def test_contract_has(  # section 5, 13.2, 24.4
    views: Views, access: str, asks: bool, has_client: bool, expected: tuple[bool, ...], view: int
) -> None:
    place = views.places[[OWNER, SIBLING, FOREIGN][view]]
    component = views.components[access, asks, has_client]
    who, has = place.member, expected[view]
    listed = await who.get(f"/v2/components?contract_id={place.contract_id}")
    assert (component in ids(listed)) is has
    own = await who.get(f"/v2/components?contract_id={place.contract_id}&filter[access]=private")
    assert (component in ids(own)) is (view == 0)
    others = await who.get(f"/v2/components?contract_id={place.contract_id}&filter[access]=public")
    assert (component in ids(others)) is (has and view != 0)
    for path in (f"/v2/workspace/{place.workspace_id}/components", f"/v2/workspaces/{place.workspace_id}/components"):
        assert (component in ids(await who.get(path))) is has
        assert (await who.get(f"{path}/{component}")).status_code == (200 if has else 404)
    for path in ("", "/versions", "/versions/latest/descriptor"):
        assert (await who.get(f"/v2/components/{component}{path}")).status_code == (200 if has else 404)


@pytest.mark.parametrize(("access", "seen"), [("team", False), ("tenant", False), ("global", True)])
async def test_tenant_sees_without_the_gate(views: Views, access: str, seen: bool) -> None:  # section 5, 13.2, 24.3
    acme, globex = views.world.tenants["Acme"], views.world.tenants["Globex"]
    component = views.components[access, True, False]
    assert component in ids(await acme.admin.get("/v2/components/all")), "any access inside the own tenant"
    assert (component in ids(await globex.admin.get("/v2/components/all"))) is seen
    assert (await globex.admin.get(f"/v2/components/{component}")).status_code == (200 if seen else 404)
    narrowed = await globex.admin.get(f"/v2/components/all?contract_id={globex.contract_id}")
    assert component not in ids(narrowed), "only those owned by the contract"


async def test_a_missing_client_is_told_where_somebody_wants_to_use_it(views: Views) -> None:  # 0.4, 24.4
    globex = views.world.tenants["Globex"]
    gated = views.components["global", True, False]
    consent = {"type": "oauth-consent", "relationships": {"component": {"data": {"type": "component", "id": gated}}}}
    started = await globex.integrator.post(f"/v2/workspaces/{globex.workspace_id}/oauth-consents", {"data": consent})
    assert error_of(started) == (409, "oauth_client_missing", "/data/relationships/component/data/id")
    flow = await globex.integrator.post("/v2/flows", flow_body(globex.workspace_id, "acme/global-true-false:run"))
    assert error_of(flow) == (409, "oauth_client_missing", "/data/attributes/graph/nodes/0/command")
    hidden = await globex.integrator.post("/v2/flows", flow_body(globex.workspace_id, "acme/team-true-false:run"))
    assert error_of(hidden) == (400, "validation_error", "/data/attributes/graph/nodes/0/command")


# fmt: off
WHITELIST: list[tuple[bool, str, bool, bool, bool]] = [
    # flag, workspace type, own component, whitelisted: workspace has it
    (False, "full",    False, False, True),
    (True,  "full",    False, False, False),
    (True,  "full",    False, True,  True),
    (True,  "full",    True,  False, True),    # never the owning contract's components (24.27)
    (True,  "limited", False, False, True),    # only full workspaces
]
"""Section 5, the last condition of `workspace_has`."""
# fmt: on


@pytest.mark.parametrize(("flag", "kind", "own", "listed", "has"), WHITELIST, ids=str)
async def test_whitelist(keyrack: World, flag: bool, kind: str, own: bool, listed: bool, has: bool) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    component = await keyrack.add_component(globex if own else acme, "plain", PLAIN, access="global")
    workspace = await add_workspace(keyrack, globex, kind)
    if flag:
        await turn_whitelist_on(keyrack, globex)
    if listed:
        answer = await whitelist(globex.admin, component, globex.contract_id)
        assert answer["attributes"]["whitelisted_contract_ids"] == [globex.contract_id]
    found = await globex.integrator.get(f"/v2/workspaces/{workspace}/components")
    assert (component in ids(found)) is has
    in_contract = await globex.integrator.get(f"/v2/components?contract_id={globex.contract_id}")
    assert component in ids(in_contract), "the whitelist is about workspaces"


async def test_each_tenant_has_its_own_part_of_a_whitelist(keyrack: World) -> None:  # 13.1, 13.2
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    component = await keyrack.add_component(acme, "plain", PLAIN, access="global")
    await whitelist(acme.admin, component, acme.contract_id)
    assert (await whitelist(globex.admin, component))["attributes"]["whitelisted_contract_ids"] == []
    path = f"/v2/workspaces/{acme.workspace_id}/components/{component}"
    shown = (await acme.integrator.get(path)).json()["data"]["attributes"]
    assert shown["whitelisted_contract_ids"] == [acme.contract_id], "another tenant replaced only its own"
    for foreign in (acme.contract_id, "0" * 24):
        body = {"data": {"type": "component", "attributes": {"whitelisted_contract_ids": [foreign]}}}
        refused = await globex.admin.patch(f"/v2/components/{component}", body)
        assert error_of(refused) == (404, "related_not_found", "/data/attributes/whitelisted_contract_ids/0")


async def whitelist(who: Caller, component: str, *contracts: str) -> dict[str, dict[str, object]]:
    body = {"data": {"type": "component", "attributes": {"whitelisted_contract_ids": contracts}}}
    answer = await who.patch(f"/v2/components/{component}", body)
    assert answer.status_code == 200, answer.text
    data: dict[str, dict[str, object]] = answer.json()["data"]
    return data
