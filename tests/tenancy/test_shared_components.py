"""A component that is shared with all tenants shows none of the owner's keys to another (0.8, 5, 8, 13.1, 18.1)."""

from support.consent import add_oauth_client
from support.tenancy.stage import Stage, ask
from support.tenancy.table import rows

OPEN = {"component title"}
"""What sharing a component shows."""


async def test_another_tenant_with_a_client_of_its_own_sees_none_of_the_owners_values(stage: Stage) -> None:
    stage.snapshot.restore()
    owner, component = stage.mine, stage.mine.ids["component_id"]
    name = f"{owner.ids['team_name']}/{owner.ids['team_name']}"
    hidden = {what: value for what, value in owner.canaries.items() if what not in OPEN}
    await stage.world.set_access(owner.tenant, component, "global")
    await add_oauth_client(stage.world, stage.other.name, component, "own-id", "own-secret")
    ids = {**stage.other.ids, "component_id": component, "revision": owner.ids["revision"]}
    about = [row for row in rows() if "{component_id}" in row.path or row.path in {"/v2/flows", "/v2/credentials"}]
    lists = [
        "/v2/components?contract_id={contract_id}",
        "/v2/workspaces/{workspace_id}/components",
        "/v2/components/all",
    ]
    heard = {}
    for column, who in {"B": stage.other.tenant.admin, "I": stage.other.tenant.integrator}.items():
        for row in about:
            if row.method == "GET":
                heard[column, row.path] = await ask(who, row, ids)
        for path in lists:
            heard[column, path] = await who.get(path.format_map(ids))
        node = {"id": "step_1", "command": f"{name}-connected:due", "name": "", "description": ""}
        attributes = {"name": "Theirs", "type": "ordinary", "default_mapper_type": "jsonata"}
        workspace = {"data": {"type": "workspace", "id": ids["workspace_id"]}}
        attributes["graph"] = {"nodes": [node], "edges": []}  # type: ignore[assignment]
        flow = {"type": "flow", "attributes": attributes, "relationships": {"workspace": workspace}}
        made = heard[column, "flow"] = await who.post("/v2/flows", {"data": flow})
        assert made.status_code == 201, made.text
        start = {"component": {"data": {"type": "component", "id": component}}}
        consent = {"data": {"type": "oauth-consent", "relationships": start}}
        heard[column, "consent"] = await who.post(f"/v2/workspaces/{ids['workspace_id']}/oauth-consents", consent)
        assert "own-id" in heard[column, "consent"].text
    runtime = f"/v2/workspaces/{ids['workspace_id']}/components/{component}/runtime-env"
    environment = await stage.callers["V"].get(runtime)
    told = {where: [what for what, value in hidden.items() if value in answer.text] for where, answer in heard.items()}
    assert {where: what for where, what in told.items() if what} == {}
    assert any(owner.canaries["component title"] in answer.text for answer in heard.values()), "it is shared"
    variables = environment.json()["data"]["attributes"]["vars"]
    assert variables["APP_SECRET"] == "own-secret"
    assert [what for what, value in hidden.items() if value in environment.text] == ["env var"]  # no client's (0.8)
    stage.snapshot.restore()
