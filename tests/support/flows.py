"""Flows, the contracts and workspaces they are in, and their running steps with keys of their own (task users)."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from keyrack.model.tenancy import WorkspaceType
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.schema import tenants
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows
from support.app import Caller, TenantInTest, World, relationship
from support.auth_clients import auth_client
from support.auth_clients import make as make_client
from support.secrets import make, resource


def node(command: str, step_id: str = "step_1", **more: Any) -> dict[str, Any]:
    """Return a step."""
    return {"id": step_id, "command": command, "name": "", "description": "", **more}


def graph_of(*nodes: dict[str, Any], edges: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """Return a graph."""
    return {"nodes": list(nodes), "edges": list(edges)}


def flow_body(
    workspace_id: str, command: str = "", *, graph: dict[str, Any] | None = None, **attributes: Any
) -> dict[str, Any]:
    """Return the body that creates a flow of one step, or of a whole graph."""
    given = {
        "name": "Friday",
        "type": "ordinary",
        "default_mapper_type": "jsonata",
        "graph": graph or graph_of(node(command)),
        **attributes,
    }
    workspace = {"workspace": relationship("workspace", workspace_id)}
    return {"data": {"type": "flow", "attributes": given, "relationships": workspace}}


@dataclass(frozen=True)
class Place:
    """A contract with one workspace, and somebody who is in both."""

    contract_id: str
    workspace_id: str
    member: Caller


async def add_contract(world: World, tenant: TenantInTest, name: str, *, workspace_type: str = "full") -> Place:
    """Give a tenant another contract with a workspace and a member."""
    member = await world.add_user(tenant.id, f"{name}@members.example")
    async with world.store.unit(tenant.id, writes=True) as unit:
        contract_id = await ContractRows(unit).add(name, [], {}, None)
        workspace = await WorkspaceRows(unit).add(contract_id, name, WorkspaceType(workspace_type), {})
        await ContractMembers(unit).add(contract_id, member.id, ["admin"])
        await WorkspaceMembers(unit).add(workspace.id, member.id, ["integrator"])
    return Place(contract_id, workspace.id, member)


async def add_workspace(world: World, tenant: TenantInTest, workspace_type: str) -> str:
    """Give a tenant's contract another workspace with the tenant's integrator in it."""
    async with world.store.unit(tenant.id, writes=True) as unit:
        workspace = await WorkspaceRows(unit).add(tenant.contract_id, workspace_type, WorkspaceType(workspace_type), {})
        await WorkspaceMembers(unit).add(workspace.id, tenant.integrator.id, ["integrator"])
    return workspace.id


async def turn_whitelist_on(world: World, tenant: TenantInTest) -> None:
    """Set `feature_flags.contract_component_whitelist`."""
    flags = {"feature_flags": {"contract_component_whitelist": True}}
    async with world.store.unit(tenant.id, writes=True) as unit:
        await unit.connection.execute(update(tenants).where(tenants.c.id == tenant.id).values(attributes=flags))


PLAIN: dict[str, Any] = {
    "title": "Ledger",
    "credentials": {"fields": {"key": {"label": "Key", "viewClass": "TextFieldView"}}},
    "triggers": {"due": {"title": "Due"}},
}
CALENDAR = {"title": "Calendar", "authClientTypes": ["oauth2"], "triggers": {"due": {"title": "Due"}}}


@dataclass(frozen=True)
class Site:
    """A workspace with an active flow of two steps and what they use."""

    name: str
    """Its components are `<name>-ledger` and `<name>-calendar`; apart from the tenant's contract, so are the rest."""
    tenant_id: str
    contract_id: str
    workspace_id: str
    team_id: str
    user: Caller
    flow_id: str
    component_id: str
    """Of `step_1`, which has the credential."""
    second_id: str
    """Of `step_2`, which has the secret."""
    credential_id: str
    secret_id: str
    auth_client_id: str

    @property
    def ids(self) -> dict[str, str]:
        """Values of path parameters, by their names."""
        nothing = dict.fromkeys(
            ("webhook_id", "event_id", "oauth_client_id", "key_id", "consent_id", "invite_id"), "0" * 24
        )
        own = {name: value for name, value in vars(self).items() if isinstance(value, str)}
        words = {"user_id": self.user.id, "step_id": "step_1", "revision": "latest", "version": "0" * 40}
        return nothing | own | words


async def site(world: World, tenant: TenantInTest, name: str, *, apart: bool = False) -> Site:
    """Build a site in a tenant's contract, or apart from it: in another contract of the tenant."""
    contract_id, workspace_id, user = tenant.contract_id, tenant.workspace_id, tenant.integrator
    if apart:
        place = await add_contract(world, tenant, name)
        contract_id, workspace_id, user = place.contract_id, place.workspace_id, place.member
    team = user_team(tenant)
    plain = await world.add_component(tenant, f"{name}-ledger", PLAIN, access="tenant")
    second = await world.add_component(tenant, f"{name}-calendar", CALENDAR, access="tenant")
    client = await make_client(user, auth_client([second], ("workspace", workspace_id)))
    secret = (await make(user, workspace_id, client, {"access_token": "at-1"}))["id"]  # never refreshed
    about = {"component": relationship("component", plain), "workspace": relationship("workspace", workspace_id)}
    data = {"type": "credential", "attributes": {"keys": {"key": f"{name}-key"}}, "relationships": about}
    credential = resource(await user.post("/v2/credentials", {"data": data}), 201)["id"]
    graph = graph_of(
        node(f"{team}/{name}-ledger:due", credentials_id=credential),
        node(f"{team}/{name}-calendar:due", "step_2", secret_id=secret),
    )
    flow = resource(await user.post("/v2/flows", flow_body(workspace_id, graph=graph)), 201)["id"]
    resource(await user.post(f"/v2/flows/{flow}/start"), 202)
    return Site(
        name,
        tenant.id,
        contract_id,
        workspace_id,
        tenant.team_id,
        user,
        flow,
        plain,
        second,
        credential,
        secret,
        client,
    )


def user_team(tenant: TenantInTest) -> str:
    """Return the name of a tenant's team, as commands of flows spell it."""
    return tenant.admin.name.partition("@")[2].partition(".")[0]


async def step_of(world: World, flow_id: str) -> Caller:
    """Return a running step of an active flow, with a key of its own."""
    made = resource(await world.support.post(f"/v2/flows/{flow_id}/task-keys"), 201)["attributes"]
    return Caller(world.http, made["username"], made["api_key"], flow_id)
